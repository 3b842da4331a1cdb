"""What a person sets, in the shape the HTTP interface gives it: documents to facts, and back. Pure."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from attrs import define, field, frozen

from fn_notifications.application.ports.addresses import Addresses
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import Policy
from fn_notifications.domain.preferences import Field, Profile

_WALL_CLOCK: Final = re.compile(r"(?:[01]\d|2[0-3]):[0-5]\d(?::[0-5]\d)?")
_LANGUAGE: Final = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8})*")
_CAP_LIMITS: Final = {"count": 100_000, "window_s": 366 * 24 * 3600}
_OURS: Final = frozenset({"id", "user_id", "created_at", "updated_at"})


class InvalidPreferences(ValueError):
    """A document that cannot be stored. `problems` maps each offending field to what is wrong with it."""

    def __init__(self, problems: Mapping[str, str]) -> None:
        super().__init__("; ".join(f"{name}: {problem}" for name, problem in problems.items()))
        self.problems = dict(problems)


@frozen(kw_only=True)
class PreferencesFormat:
    """Reads and writes preference documents against one catalogue's types and one policy's channels."""

    addresses: Addresses
    policy: Policy
    types: frozenset[str]

    def read(self, document: Mapping[str, Any]) -> Mapping[Field, Any]:
        """The profile fields a document sets; a null takes a field back. Raises InvalidPreferences, naming all."""
        reading = _Reading(self)
        reading.document(document)
        if reading.problems:
            raise InvalidPreferences(reading.problems)
        return reading.fields

    def blank(self) -> Mapping[Field, Any]:
        """Every field a document could set, taken back: what a replacing PUT starts from."""
        fields: dict[Field, Any] = dict.fromkeys(
            ("global_enabled", "email", "phone", "timezone", "language", "quiet_hours")
        )
        for channel in self.policy.channels:
            fields |= dict.fromkeys(f"{name}.{channel}" for name in ("enabled", "opt_in", "quiet", "cap"))
        return fields | dict.fromkeys(f"channels.{type_}" for type_ in sorted(self.types))

    def write(self, profile: Profile) -> dict[str, Any]:
        """A profile as a document; only what somebody said stands in it."""
        document: dict[str, Any] = {"user_id": profile.user.user_id}
        for name in ("global_enabled", "email", "phone", "timezone", "language", "quiet_hours"):
            if (value := profile.get(name)) is not None:
                document[name] = value
        for channel in self.policy.channels:
            said = {
                outside: value
                for outside, inside in _CHANNEL_FIELDS.items()
                if (value := profile.get(f"{inside}.{channel}")) is not None
            }
            if said:
                document.setdefault("channel_preferences", {})[channel] = said
        for type_ in sorted(self.types):
            if (channels := profile.get(f"channels.{type_}")) is not None:
                document.setdefault("notification_type_preferences", {})[type_] = list(channels)
        return document


_CHANNEL_FIELDS: Final = {
    "enabled": "enabled",
    "quiet_hours_respected": "quiet",
    "opt_in": "opt_in",
    "frequency_limit": "cap",
}


@define
class _Reading:
    format: PreferencesFormat
    fields: dict[Field, Any] = field(factory=dict)
    problems: dict[str, str] = field(factory=dict)

    def document(self, document: Any) -> None:
        if not isinstance(document, dict):
            self.problems["(document)"] = "must be an object"
            return
        readers: dict[str, Callable[[str, Any], None]] = {
            "global_enabled": self._boolean_at,
            "email": self._address,
            "phone": self._address,
            "timezone": self._timezone,
            "language": self._language,
            "quiet_hours": self._quiet_hours,
            "channel_preferences": self._channels,
            "notification_type_preferences": self._types,
        }
        for name, value in document.items():
            if name in readers:
                readers[name](name, value)
            elif name not in _OURS:
                self.problems[str(name)[:60]] = f"is no preference; known are {', '.join(sorted(readers))}"

    def _set(self, name: Field, where: str, value: Any, fits: bool, expected: str) -> None:
        if value is None or fits:
            self.fields[name] = value
        else:
            self.problems[where] = f"must be {expected}"

    def _boolean_at(self, name: str, value: Any) -> None:
        self._set(name, name, value, isinstance(value, bool), "true or false")

    def _address(self, name: str, value: Any) -> None:
        addresses = self.format.addresses
        read = addresses.email if name == "email" else addresses.phone
        expected = "an email address" if name == "email" else "a phone number in E.164, such as +15005550006"
        address = read(value) if isinstance(value, str) else None
        self._set(name, name, address.value if address else value, address is not None, expected)

    def _timezone(self, name: str, value: Any) -> None:
        self._set(name, name, value, self._is_zone(value), "an IANA time zone, such as Europe/Berlin")

    def _is_zone(self, value: Any) -> bool:
        return isinstance(value, str) and self.format.policy.zones(value) is not None

    def _language(self, name: str, value: Any) -> None:
        fits = isinstance(value, str) and _LANGUAGE.fullmatch(value) is not None
        self._set(name, name, value, fits, "a language tag, such as en or es-CO")

    def _quiet_hours(self, name: str, value: Any) -> None:
        if value is None:
            self.fields[name] = None
            return
        if not isinstance(value, dict):
            self.problems[name] = "must be an object with start and end"
            return
        enabled = value.get("enabled", True)
        read: dict[str, Any] = {"enabled": enabled}
        if not isinstance(enabled, bool):
            self.problems[f"{name}.enabled"] = "must be true or false"
        for edge in ("start", "end"):
            raw = value.get(edge, value.get(f"{edge}_hour"))
            clock = _wall_clock(raw)
            if clock is None and not (raw is None and enabled is False):
                self.problems[f"{name}.{edge}"] = "must be HH:MM, or an hour from 0 to 23"
            read[edge] = clock or "00:00"
        zone = value.get("timezone")
        if zone is not None and not self._is_zone(zone):
            self.problems[f"{name}.timezone"] = "must be an IANA time zone"
        self.fields[name] = {**read, "timezone": zone} if zone else read

    def _channels(self, name: str, value: Any) -> None:
        if not isinstance(value, dict):
            self.problems[name] = "must be an object by channel"
            return
        for channel, said in value.items():
            where = f"{name}.{str(channel)[:20]}"
            if Channel(channel) not in self.format.policy.channels:
                self.problems[where] = f"no such channel; known are {', '.join(self.format.policy.channels)}"
            elif not isinstance(said, dict):
                self.problems[where] = "must be an object"
            else:
                self._channel(where, channel, said)

    def _channel(self, where: str, channel: str, said: Mapping[str, Any]) -> None:
        for outside, value in said.items():
            at = f"{where}.{str(outside)[:40]}"
            inside = _CHANNEL_FIELDS.get(outside)
            if inside is None:
                self.problems[at] = f"is no preference; known are {', '.join(_CHANNEL_FIELDS)}"
            elif inside == "cap":
                self._set(
                    f"cap.{channel}",
                    at,
                    value,
                    _is_cap(value),
                    "{count, window_s}: whole numbers from 1, a window of at most a year",
                )
            else:
                self._set(f"{inside}.{channel}", at, value, isinstance(value, bool), "true or false")

    def _types(self, name: str, value: Any) -> None:
        if not isinstance(value, dict):
            self.problems[name] = "must be an object by notification type"
            return
        for type_, channels in value.items():
            where = f"{name}.{str(type_)[:60]}"
            if type_ not in self.format.types:
                self.problems[where] = "no such notification type"
                continue
            known = self.format.policy.channels
            fits = isinstance(channels, list) and all(isinstance(one, str) and one in known for one in channels)
            self._set(f"channels.{type_}", where, channels, fits, f"a list of {', '.join(known)}")


def _wall_clock(raw: Any) -> str | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int) and 0 <= raw <= 23:
        return f"{raw:02}:00"
    return raw if isinstance(raw, str) and _WALL_CLOCK.fullmatch(raw) else None


def _is_cap(value: Any) -> bool:
    if not isinstance(value, dict) or set(value) != set(_CAP_LIMITS):
        return False
    return all(
        isinstance(part, int) and not isinstance(part, bool) and 1 <= part <= _CAP_LIMITS[name]
        for name, part in value.items()
    )
