"""From what an event says about a person to fields of their profile. Pure; what cannot be a field is None."""

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from fn_notifications.application.ports.addresses import Addresses
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Channel
from fn_notifications.domain.catalogue import Zones
from fn_notifications.domain.preferences import Field

Read = Callable[[Any], Mapping[Field, Any] | None]
"""The fields a value stands for; None when it stands for none. Never raises. The value is never None."""

SWITCHES: Final = ("enabled", "opt_in", "quiet")
"""Fields of which there is one per channel, each true or false: `enabled.sms`."""

_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]{1,32}(?:/[A-Za-z0-9_+-]{1,32}){0,2}")
_LANGUAGE: Final = re.compile(r"([A-Za-z]{2,3})((?:-[A-Za-z0-9]{1,8}){0,3})")
_WALL_CLOCK: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::[0-5][0-9])?")


def readers(addresses: Addresses, zones: Zones, channels: tuple[Channel, ...]) -> Mapping[str, Read]:
    """A reader for every field that an event may teach, and for `notification_channels`, which stands for several."""
    table: dict[str, Read] = {
        "email": lambda raw: _field("email", _address(addresses.email, raw)),
        "phone": lambda raw: _field("phone", _address(addresses.phone, raw)),
        "timezone": lambda raw: _field("timezone", _zone(raw, zones)),
        "language": lambda raw: _field("language", _language(raw)),
        "quiet_hours": lambda raw: _field("quiet_hours", _quiet_hours(raw, zones)),
        "notification_channels": _channels,
    }
    for name in ("global_enabled", *(f"{switch}.{channel}" for switch in SWITCHES for channel in channels)):
        table[name] = _switch(name)
    return table


def _field(name: Field, value: Any) -> Mapping[Field, Any] | None:
    return None if value is None else {name: value}


def _switch(name: Field) -> Read:
    return lambda raw: {name: raw} if isinstance(raw, bool) else None


def _address(read: Callable[[str], Any], raw: Any) -> str | None:
    address = read(raw) if isinstance(raw, str) else None
    return address.value if address else None


def _zone(raw: Any, zones: Zones) -> str | None:
    """Checked by shape before anybody looks it up: a zone's name ends up as a path of a file."""
    return raw if isinstance(raw, str) and _ZONE.fullmatch(raw) and zones(raw) else None


def _language(raw: Any) -> str | None:
    """A BCP 47 tag (RFC 5646): language in lower case, the rest as it came; an underscore counts as a hyphen."""
    match = _LANGUAGE.fullmatch(raw.strip().replace("_", "-")) if isinstance(raw, str) else None
    return match[1].lower() + match[2] if match else None


def _channels(raw: Any) -> Mapping[Field, Any] | None:
    """The channels somebody wants. Naming WhatsApp switches it on, but is no opt-in; not naming it says nothing."""
    if not isinstance(raw, list) or not all(isinstance(channel, str) for channel in raw):
        return None
    fields: dict[Field, Any] = {f"enabled.{channel}": channel in raw for channel in (EMAIL, SMS)}
    if WHATSAPP in raw:
        fields[f"enabled.{WHATSAPP}"] = True
    return fields


def _quiet_hours(raw: Any, zones: Zones) -> Mapping[str, Any] | None:
    """`start` and `end` as HH:MM, or `start_hour` and `end_hour`. A zone nobody knows is left out, the rest holds."""
    if not isinstance(raw, Mapping):
        return None
    enabled = raw.get("enabled", True)
    start, end = _wall_clock(raw, "start"), _wall_clock(raw, "end")
    if enabled is False:
        start, end = start or "00:00", end or "00:00"
    if not isinstance(enabled, bool) or start is None or end is None:
        return None
    zone = _zone(raw.get("timezone"), zones)
    return {"enabled": enabled, "start": start, "end": end} | ({"timezone": zone} if zone else {})


def _wall_clock(raw: Mapping[str, Any], name: str) -> str | None:
    written, hour = raw.get(name), raw.get(f"{name}_hour")
    if isinstance(written, str):
        match = _WALL_CLOCK.fullmatch(written.strip())
        return f"{int(match[1]):02}:{match[2]}" if match else None
    if isinstance(hour, int) and not isinstance(hour, bool) and 0 <= hour <= 24:
        return f"{hour % 24:02}:00"
    return None
