"""What the catalogue says about events: whom each one concerns, what to tell them, what it teaches about whom.

Values only, ready to be asked; `loading` makes them out of a document. Bodies are JSON of any shape: what is not
there, or is not what it should be, is absent, and nothing here raises.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import quote

from attrs import field, frozen

from fn_notifications.application.converters import Convert
from fn_notifications.application.ports.paths import Path
from fn_notifications.application.profile_fields import Read
from fn_notifications.domain.catalogue import NotificationType
from fn_notifications.domain.preferences import Field, Source

_LONGEST_NAME: Final = 255
_LONGEST_KEY: Final = 200
_UNNAMEABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


@frozen(kw_only=True)
class Variable:
    """A value of a message and the places it may stand in."""

    paths: tuple[Path, ...]
    convert: Convert

    def value_in(self, body: Any) -> Any:
        """The first place's value that is fit for a message, or None."""
        for path in self.paths:
            if (found := path(body)) is not None and (value := self.convert(found)) is not None:
                return value
        return None


@frozen(kw_only=True)
class Party:
    """Somebody an event concerns, and the notification that tells them."""

    name: str
    type: str
    user: tuple[Path, ...]
    key: tuple[tuple[Path, ...], ...]
    """Alternatives; one of several parts needs them all, in whatever order they come."""
    variables: Mapping[str, Variable] = field(factory=dict)
    required: tuple[str, ...] = ()

    def user_of(self, body: Any) -> str | None:
        """Who this party is, if the event says so."""
        return _name_at(self.user, body)

    def key_of(self, body: Any) -> str | None:
        """What an equal notification would be equal in, by the first alternative that is complete."""
        for alternative in self.key:
            parts = [_label(path(body)) for path in alternative]
            if all(parts):
                return _joined([part for part in parts if part])
        return None

    def variables_of(self, body: Any) -> tuple[dict[str, Any], list[str]]:
        """The values that are there, and the names of required ones that are not."""
        values = {name: variable.value_in(body) for name, variable in self.variables.items()}
        present = {name: value for name, value in values.items() if value is not None}
        return present, [name for name in self.required if name not in present]


@frozen(kw_only=True)
class ProfileField:
    """A field of a profile and the places it may stand in."""

    paths: tuple[Path, ...]
    read: Read

    def read_from(self, node: Any) -> tuple[Mapping[Field, Any], bool]:
        """The fields, and whether something stood there that is not one."""
        flawed = False
        for path in self.paths:
            raw = path(node)
            if raw is None:
                continue
            fields = self.read(raw)
            if fields is not None:
                return fields, False
            flawed = True
        return {}, flawed


@frozen(kw_only=True)
class Learning:
    """A place in an event that tells about people; a list there tells about several."""

    at: Path
    user: tuple[Path, ...]
    source: Source
    fields: Mapping[str, ProfileField]

    def facts(self, body: Any) -> list[tuple[str, dict[Field, Any]]]:
        """Whom it tells about, and what. The fields may be none: then it only says that somebody is there."""
        return [(user_id, fields) for user_id, fields, _ in self._told(body)]

    def problems(self, body: Any) -> list[str]:
        """A code for each field that was left out because its value cannot be one, such as `timezone_invalid`."""
        return [problem for _, _, problems in self._told(body) for problem in problems]

    def _told(self, body: Any) -> list[tuple[str, dict[Field, Any], list[str]]]:
        told = []
        nodes = self.at(body)
        for node in nodes if isinstance(nodes, list) else [nodes]:
            user_id = _name_at(self.user, node)
            if user_id is None:
                continue
            fields: dict[Field, Any] = {}
            problems = []
            for name, place in self.fields.items():
                found, flawed = place.read_from(node)
                fields |= found
                if flawed:
                    problems.append(f"{name}_invalid")
            told.append((user_id, fields, problems))
        return told


@frozen(kw_only=True)
class EventRule:
    """What follows from an event of one type."""

    parties: tuple[Party, ...] = ()
    learns: tuple[Learning, ...] = ()


@frozen(kw_only=True)
class Catalogue:
    """Every notification type, and what follows from every event type."""

    version: str
    types: Mapping[str, NotificationType]
    events: Mapping[str, EventRule]
    variables: Mapping[str, Mapping[str, Convert]] = field(factory=dict)
    """By type, the variables it declares."""
    given_words: str | None = None
    """The type whose templates say what a caller wrote, when a request of any type brings a `body` of its own."""
    content_sids: Mapping[str, Mapping[str, str]] = field(factory=dict)
    """By language and type, the provider-side WhatsApp template."""

    def accept(self, notification_type: str, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
        """The declared variables among a caller's values, converted, and the names of required ones that are missing.

        Raises KeyError for a type that is not in the catalogue.
        """
        declared = self.variables[notification_type]
        converted = {name: convert(values.get(name)) for name, convert in declared.items()}
        present = {name: value for name, value in converted.items() if value is not None}
        return present, [name for name in self.types[notification_type].required if name not in present]


def _name_at(paths: Sequence[Path], node: Any) -> str | None:
    for path in paths:
        if name := _name(path(node)):
            return name
    return None


def _name(value: Any) -> str | None:
    """An id as publishers write them. What no store can hold, or nobody would mean, is none."""
    if not isinstance(value, str) or len(value) > _LONGEST_NAME or not value.strip() or _UNNAMEABLE.search(value):
        return None
    return value


def _label(value: Any) -> str | None:
    """As `_name`; a whole number counts too, since ids of things are often numbers."""
    if isinstance(value, int) and not isinstance(value, bool) and value.bit_length() <= 64:
        return str(value)
    return _name(value)


def _joined(parts: list[str]) -> str:
    """One key of parts in whatever order; different parts never make the same key."""
    key = "&".join(sorted(quote(part, safe="") for part in parts))
    return key if len(key) <= _LONGEST_KEY else hashlib.sha256(key.encode()).hexdigest()
