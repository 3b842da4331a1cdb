"""What we know of a person, field by field, and who told us.

A profile is a map of named fields, each with its source and time; `merge` is the rule that decides which word counts.
Everything else (contact points, quiet hours, switches) is read out of it.
"""

from collections.abc import Iterable, Mapping
from datetime import datetime, time, timedelta
from enum import IntEnum
from typing import Any, Final

from attrs import evolve, field, frozen

from fn_notifications.domain.address import Address, Channel, EmailAddress, PhoneNumber
from fn_notifications.domain.caps import Cap
from fn_notifications.domain.quiet_hours import QuietHours

Field = str
"""`email`, `phone`, `global_enabled`, `timezone`, `language`, `quiet_hours`, `enabled.<channel>`,
`opt_in.<channel>`, `quiet.<channel>`, `cap.<channel>`, `channels.<type>`."""

CONTACTS: Final = ("email", "phone")
"""Fields that hold an address: the newest word of somebody entitled to it wins. They are stored sealed."""


class Source(IntEnum):
    """Who told us, from the least to the most entitled."""

    PROVISIONAL = 0
    """Another party's event spoke about this person."""
    EVENT = 1
    """The users service said so."""
    USER = 2
    """The person set it, through the API."""


@frozen
class Known:
    """A value, who told us, and when (by the clock of who told)."""

    value: Any = field(repr=False)
    source: Source
    at: datetime


@frozen(kw_only=True, cache_hash=True)
class UserRef:
    """Names a person within a tenant."""

    tenant: str
    user_id: str


@frozen(kw_only=True)
class Fact:
    """What one event, or one API call, says about a person."""

    user: UserRef
    source: Source
    at: datetime
    fields: Mapping[Field, Any] = field(repr=False)


@frozen(kw_only=True)
class Profile:
    """All we hold about a person. `version` is the store's: 0 means nothing is stored yet."""

    user: UserRef
    fields: Mapping[Field, Known] = field(factory=dict, repr=False)
    version: int = 0

    def get(self, name: Field) -> Any:
        """The value of a field, or None."""
        known = self.fields.get(name)
        return known.value if known else None

    @property
    def said(self) -> Mapping[Field, Any]:
        """The values, whoever said them."""
        return {name: known.value for name, known in self.fields.items()}


def merge(profile: Profile, facts: Iterable[Fact]) -> Profile:
    """The profile after these facts; the very same object when they change nothing.

    Order does not matter: the same facts in any order end in the same profile.
    """
    fields = dict(profile.fields)
    for fact in facts:
        for name, value in fact.fields.items():
            new = Known(value, fact.source, fact.at)
            if _may_say(fact.source, name) and _counts_more(name, new, fields.get(name)):
                fields[name] = new
    if fields == profile.fields:
        return profile
    return evolve(profile, fields=fields)


def _may_say(source: Source, name: Field) -> bool:
    """Another party's event may neither give a contact point nor opt anybody in."""
    return source is not Source.PROVISIONAL or not (name in CONTACTS or name.startswith("opt_in."))


def _counts_more(name: Field, new: Known, old: Known | None) -> bool:
    if old is None:
        return True
    if name in CONTACTS:
        return _rank(new.at, new.source, new.value) > _rank(old.at, old.source, old.value)
    return _rank(new.source, new.at, new.value) > _rank(old.source, old.at, old.value)


def _rank(first: Any, second: Any, value: Any) -> tuple[Any, Any, str]:
    """Ties are broken by the value, so that no order of arrival shows."""
    return first, second, repr(value)


@frozen(kw_only=True)
class Suppression:
    """An address that must not be written to again, and why."""

    cause: str
    at: datetime


@frozen(kw_only=True)
class ContactPoint:
    """A person's address on one channel with everything consent is read from. None: nobody ever said."""

    channel: Channel
    address: Address | None = None
    enabled: bool | None = None
    opt_in: bool | None = None
    respects_quiet_hours: bool | None = None
    cap: Cap | None = None
    suppression: Suppression | None = None
    epoch: int = 0
    """Counts the changes to any of the above: an attempt stores the one it read."""
    recent: tuple[datetime, ...] = ()
    """Times of the latest sends, kept only while there is a cap."""


@frozen(kw_only=True)
class Person:
    """Somebody as the rules see them."""

    user: UserRef
    contacts: Mapping[Channel, ContactPoint] = field(factory=dict)
    global_enabled: bool = True
    timezone: str | None = None
    language: str | None = None
    quiet_hours: QuietHours | None = None
    type_channels: Mapping[str, tuple[Channel, ...]] = field(factory=dict)

    @property
    def known(self) -> bool:
        """Whether we hold any address at all."""
        return any(point.address for point in self.contacts.values())


def contact_point(profile: Profile, channel: Channel, address_field: Field) -> ContactPoint:
    """What a profile says about one channel; suppression and epoch are the store's to add."""
    raw = profile.get(address_field)
    return ContactPoint(
        channel=channel,
        address=_address(address_field, raw),
        enabled=profile.get(f"enabled.{channel}"),
        opt_in=profile.get(f"opt_in.{channel}"),
        respects_quiet_hours=profile.get(f"quiet.{channel}"),
        cap=_cap(profile.get(f"cap.{channel}")),
    )


def person(user: UserRef, said: Mapping[Field, Any], contacts: Mapping[Channel, ContactPoint]) -> Person:
    """What a profile says (see `Profile.said`) and its contact points, as the rules see them."""
    return Person(
        user=user,
        contacts=contacts,
        global_enabled=said.get("global_enabled") is not False,
        timezone=said.get("timezone"),
        language=said.get("language"),
        quiet_hours=_quiet_hours(said.get("quiet_hours")),
        type_channels={
            name.removeprefix("channels."): tuple(Channel(channel) for channel in value)
            for name, value in said.items()
            if value is not None and name.startswith("channels.")
        },
    )


def _address(kind: Field, raw: str | None) -> Address | None:
    if not raw:
        return None
    return EmailAddress(raw) if kind == "email" else PhoneNumber(raw)


def _cap(raw: Mapping[str, int] | None) -> Cap | None:
    return Cap(count=raw["count"], window=timedelta(seconds=raw["window_s"])) if raw else None


def _quiet_hours(raw: Mapping[str, Any] | None) -> QuietHours | None:
    if not raw or not raw.get("enabled", True):
        return None
    return QuietHours(
        start=time.fromisoformat(raw["start"]), end=time.fromisoformat(raw["end"]), zone=raw.get("timezone")
    )
