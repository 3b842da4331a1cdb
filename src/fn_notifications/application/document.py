"""The form of a catalogue document, read strictly: an unknown or misspelt key is an error that names its place.

A place in an event is one path or a list of them, tried in order. A deduplication key is a list of alternatives; an
alternative is one path, or a list of paths that only together make the key.
"""

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, NewType

from attrs import field, frozen
from cattrs import BaseValidationError, Converter, ForbiddenExtraKeysError, transform_error

from fn_notifications.application.converters import DEFAULT, Convert, converter
from fn_notifications.application.ports.paths import Path, Paths
from fn_notifications.domain.address import EMAIL, Channel
from fn_notifications.domain.catalogue import InDoubt, OverCap, Priority

Places = NewType("Places", tuple[Path, ...])
Keys = NewType("Keys", tuple[tuple[Path, ...], ...])
Conversions = NewType("Conversions", dict[str, Convert])
Variables = NewType("Variables", dict[str, Places])

_UNITS: Final = MappingProxyType({"s": "seconds", "m": "minutes", "h": "hours", "d": "days"})
_MOST: Final = 1000
_NAME: Final = re.compile(r"[a-z][a-z0-9_]*")


@frozen(kw_only=True)
class TypeDocument:
    """`[types.x]`: a notification type. `required.y = "text(80)"` declares a variable with its converter."""

    channels: tuple[Channel, ...] = (EMAIL,)
    priority: Priority = Priority.NORMAL
    window: timedelta = timedelta(hours=1)
    ttl: timedelta = timedelta(hours=24)
    in_doubt: InDoubt = InDoubt.HOLD
    over_cap: OverCap = OverCap.DEFER
    duplicates_allowed: bool = False
    unsubscribable: bool = False
    hold_older_than: timedelta | None = None
    hold_more_than: int | None = None
    batch: int | None = None
    required: Conversions = field(factory=lambda: Conversions({}))
    optional: Conversions = field(factory=lambda: Conversions({}))


@frozen(kw_only=True)
class PartyDocument:
    """`[events."x".parties.y]`: somebody the event concerns. What is set here wins over the event's own."""

    type: str
    user: Places
    key: Keys = Keys(())
    variables: Variables = field(factory=lambda: Variables({}))


@frozen(kw_only=True)
class EventDocument:
    """`[events."x"]`: an event type. `learns.z = [places]`: at these places stand people, written as `[people.z]`."""

    key: Keys = Keys(())
    variables: Variables = field(factory=lambda: Variables({}))
    parties: dict[str, PartyDocument] = field(factory=dict)
    learns: Variables = field(factory=lambda: Variables({}))


@frozen(kw_only=True)
class PeopleDocument:
    """`[people.z]`: how a publisher writes a person; paths start at the person. `source`: users or provisional."""

    source: str
    user: Places
    fields: Variables


@frozen(kw_only=True)
class CatalogueDocument:
    """The whole document."""

    version: str
    types: dict[str, TypeDocument]
    hold_more_than: int | None = None
    events: dict[str, EventDocument] = field(factory=dict)
    people: dict[str, PeopleDocument] = field(factory=dict)
    given_words: str | None = None
    whatsapp: dict[str, dict[str, str]] = field(factory=dict)


def structure(document: Mapping[str, Any], paths: Paths, channels: tuple[Channel, ...]) -> CatalogueDocument:
    """The document, its paths and converters compiled. Raises cattrs' `BaseValidationError`."""
    reader = Converter(forbid_extra_keys=True)
    reader.register_structure_hook(str, lambda raw, _: _text(raw))
    reader.register_structure_hook(StrEnum, _word)  # else the hook of str, its base, would let any text pass
    reader.register_structure_hook(bool, lambda raw, _: _switch(raw))
    reader.register_structure_hook(int, lambda raw, _: _number(raw))
    hooks: Mapping[Any, Callable[[Any], Any]] = {
        Channel: lambda raw: _channel(raw, channels),
        timedelta: _duration,
        Conversions: _conversions,
        Places: lambda raw: _places(raw, paths),
        Keys: lambda raw: _keys(raw, paths),
        Variables: lambda raw: {_name(name): _places(places, paths) for name, places in _table(raw).items()},
    }
    for form, read in hooks.items():
        _register(reader, form, read)
    return reader.structure(document, CatalogueDocument)


def problems(error: BaseValidationError) -> list[str]:
    """Each mistake behind the error, with its place as it is written in TOML."""
    return [_located(line) for line in transform_error(error, path="", format_exception=_said)]


def _said(error: BaseException, _: type | None) -> str:
    if isinstance(error, KeyError):
        return f"{error.args[0]} is missing"
    if isinstance(error, ForbiddenExtraKeysError):
        return f"unknown: {', '.join(sorted(error.extra_fields))}"
    return str(error)


def _located(line: str) -> str:
    mistake, _, place = line.rpartition(" @ ")
    place = re.sub(r"\['([^']*)'\]", lambda key: f".{_quoted(key[1])}", place).lstrip(".")
    return f"{place}: {mistake}" if place else mistake


def _quoted(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else f'"{key}"'


def _register(reader: Converter, form: Any, read: Callable[[Any], Any]) -> None:
    reader.register_structure_hook_func(lambda wanted: wanted is form, lambda raw, _: read(raw))


def _text(raw: Any) -> str:
    if not isinstance(raw, str):
        raise ValueError("expected text")  # noqa: TRY004 - one kind of error for what a document gets wrong
    return raw


def _word(raw: Any, words: type[StrEnum]) -> StrEnum:
    if raw not in list(words):
        raise ValueError(f"{raw!r} is none of {', '.join(words)}")
    return words(raw)


def _switch(raw: Any) -> bool:
    if not isinstance(raw, bool):
        raise ValueError("expected true or false")  # noqa: TRY004 - as above
    return raw


def _number(raw: Any) -> int:
    if not isinstance(raw, int) or isinstance(raw, bool) or not 1 <= raw <= _MOST:
        raise ValueError(f"expected a whole number from 1 to {_MOST}")
    return raw


def _table(raw: Any) -> Mapping[str, Any]:
    if not isinstance(raw, Mapping):
        raise ValueError("expected a table")  # noqa: TRY004 - as above
    return raw


def _name(raw: Any) -> str:
    if not isinstance(raw, str) or not _NAME.fullmatch(raw.replace(".", "_")):
        raise ValueError(f"{raw!r} is no name: lower-case letters, digits and underscores")
    return raw


def _channel(raw: Any, channels: tuple[Channel, ...]) -> Channel:
    if raw not in channels:
        raise ValueError(f"{raw!r} is no channel: {', '.join(channels)}")
    return Channel(raw)


def _duration(raw: Any) -> timedelta:
    match = re.fullmatch(r"([0-9]{1,6})([smhd])", raw) if isinstance(raw, str) else None
    if match is None:
        raise ValueError(f"{raw!r} is no duration: a number with s, m, h or d, such as 15m")
    return timedelta(**{_UNITS[match[2]]: int(match[1])})


def _conversions(raw: Any) -> dict[str, Convert]:
    specs = [(name, DEFAULT) for name in raw] if isinstance(raw, list) else _table(raw).items()
    return {_name(name): converter(str(spec)) for name, spec in specs}


def _places(raw: Any, paths: Paths) -> tuple[Path, ...]:
    expressions = raw if isinstance(raw, list) else [raw]
    if not expressions or not all(isinstance(expression, str) for expression in expressions):
        raise ValueError("expected a path, or a list of paths")
    return tuple(paths.compile(expression) for expression in expressions)


def _keys(raw: Any, paths: Paths) -> tuple[tuple[Path, ...], ...]:
    return tuple(_places(alternative, paths) for alternative in (raw if isinstance(raw, list) else [raw]))
