"""From a catalogue document (TOML, as a mapping) to a catalogue, or to everything that is wrong with it."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from cattrs import BaseValidationError

from fn_notifications.application import document as d
from fn_notifications.application.catalogue import Catalogue, EventRule, Learning, Party, ProfileField, Variable
from fn_notifications.application.converters import Convert
from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.ports.addresses import Addresses
from fn_notifications.application.ports.paths import Paths
from fn_notifications.application.profile_fields import Read, readers
from fn_notifications.domain.catalogue import CHANNELS, NotificationType, Zones
from fn_notifications.domain.preferences import CONTACTS, Source

_SOURCES: Final = {"users": Source.EVENT, "provisional": Source.PROVISIONAL}
_CONTENT_SID: Final = re.compile(r"HX[0-9a-f]{32}")


class CatalogueError(Misconfigured):
    """A catalogue cannot be used. Each problem names its place in the document and the mistake."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("the catalogue cannot be used:\n" + "\n".join(f"  {problem}" for problem in problems))
        self.problems = tuple(problems)


def load(document: Mapping[str, Any], paths: Paths, addresses: Addresses, zones: Zones) -> Catalogue:
    """The catalogue a document describes, with every path compiled.

    Raises `CatalogueError` with all mistakes at once: those of form, and once the form is right, those of meaning.
    """
    try:
        read = d.structure(document, paths, tuple(CHANNELS))
    except BaseValidationError as error:
        raise CatalogueError(d.problems(error)) from None
    fields = readers(addresses, zones, tuple(CHANNELS))
    if problems := list(_mistakes(read, fields)):
        raise CatalogueError(problems)
    return _catalogue(read, fields)


def _catalogue(read: d.CatalogueDocument, fields: Mapping[str, Read]) -> Catalogue:
    given = _given(read)
    variables = {name: given | type_.required | type_.optional for name, type_ in read.types.items()}
    return Catalogue(
        version=read.version,
        types={name: _type(name, type_, variables[name], read.hold_more_than) for name, type_ in read.types.items()},
        events={name: _event(event, read, variables, fields) for name, event in read.events.items()},
        variables=variables,
        given_words=read.given_words,
        content_sids=read.whatsapp,
    )


def _given(read: d.CatalogueDocument) -> dict[str, Convert]:
    """What a caller's own words are put in: every type takes them."""
    return dict(read.types[read.given_words].required) if read.given_words else {}


def _type(name: str, type_: d.TypeDocument, variables: Mapping[str, Convert], most: int | None) -> NotificationType:
    return NotificationType(
        name=name,
        priority=type_.priority,
        channels=type_.channels,
        window=type_.window,
        ttl=type_.ttl,
        in_doubt=type_.in_doubt,
        over_cap=type_.over_cap,
        required=tuple(type_.required),
        optional=tuple(variable for variable in variables if variable not in type_.required),
        duplicates_allowed=type_.duplicates_allowed,
        unsubscribable=type_.unsubscribable,
        hold_older_than=type_.hold_older_than,
        hold_more_than=type_.hold_more_than if type_.hold_more_than is not None else most,
        batch=type_.batch,
    )


def _event(
    event: d.EventDocument,
    read: d.CatalogueDocument,
    variables: Mapping[str, Mapping[str, Convert]],
    fields: Mapping[str, Read],
) -> EventRule:
    return EventRule(
        parties=tuple(
            Party(
                name=name,
                type=party.type,
                user=party.user,
                key=party.key or event.key,
                variables={
                    variable: Variable(paths=places, convert=variables[party.type][variable])
                    for variable, places in (event.variables | party.variables).items()
                    if variable in variables[party.type]
                },
                required=tuple(read.types[party.type].required),
            )
            for name, party in event.parties.items()
        ),
        learns=tuple(
            _learning(place, read.people[people], fields) for people, places in event.learns.items() for place in places
        ),
    )


def _learning(place: Any, people: d.PeopleDocument, fields: Mapping[str, Read]) -> Learning:
    return Learning(
        at=place,
        user=people.user,
        source=_SOURCES[people.source],
        fields={name: ProfileField(paths=places, read=fields[name]) for name, places in people.fields.items()},
    )


def _mistakes(read: d.CatalogueDocument, fields: Mapping[str, Read]) -> Iterator[str]:
    """What is well-formed and cannot be meant."""
    if read.given_words is not None and "body" not in getattr(read.types.get(read.given_words), "required", ()):
        yield f"given_words: {read.given_words!r} is no type that requires a body"
        return
    for name, type_ in read.types.items():
        for variable in sorted(type_.required.keys() & type_.optional.keys()):
            yield f"types.{name}: {variable!r} is required and optional"
    for name, people in read.people.items():
        yield from _mistakes_about_people(name, people, fields)
    for name, event in read.events.items():
        yield from (f'events."{name}"{mistake}' for mistake in _mistakes_about_event(event, read))
    for language, sids in read.whatsapp.items():
        for type_name, sid in sids.items():
            if type_name not in read.types:
                yield f"whatsapp.{language}.{type_name}: no such type"
            if not _CONTENT_SID.fullmatch(sid):
                yield f"whatsapp.{language}.{type_name}: a Content SID is HX and 32 hexadecimal digits"


def _mistakes_about_people(name: str, people: d.PeopleDocument, fields: Mapping[str, Read]) -> Iterator[str]:
    if people.source not in _SOURCES:
        yield f"people.{name}.source: {people.source!r} is neither {' nor '.join(_SOURCES)}"
    for wanted in people.fields:
        if wanted not in fields:
            yield f"people.{name}.fields: a profile has no field {wanted!r}"
        elif people.source == "provisional" and (wanted in CONTACTS or wanted.startswith("opt_in.")):
            yield f"people.{name}.fields.{wanted}: only the person's own users service may say this"


def _mistakes_about_event(event: d.EventDocument, read: d.CatalogueDocument) -> Iterator[str]:
    if not event.parties and not event.learns:
        yield ": concerns nobody and teaches nothing"
    for people in event.learns:
        if people not in read.people:
            yield f".learns.{people}: people has no such entry"
    given = _given(read)
    declared: set[str] = set()
    for name, party in event.parties.items():
        type_ = read.types.get(party.type)
        if type_ is None:
            yield f".parties.{name}.type: no type {party.type!r}"
            return
        own = given | type_.required | type_.optional
        declared |= own.keys()
        if not (party.key or event.key):
            yield f".parties.{name}: has no key, here or for the whole event"
        for variable in party.variables.keys() - own.keys():
            yield f".parties.{name}.variables.{variable}: {party.type} declares no such variable"
        for variable in type_.required.keys() - (event.variables | party.variables).keys():
            yield f".parties.{name}: {party.type} requires {variable!r} and no place is given for it"
    for variable in event.variables.keys() - declared:
        yield f".variables.{variable}: no party's type declares it"
