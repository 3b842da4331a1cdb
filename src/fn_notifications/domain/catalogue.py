"""The notification types and what follows for each; the channels and their defaults. Data, given a shape."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta, tzinfo
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Address, Channel, EmailAddress, PhoneNumber
from fn_notifications.domain.retry import RetryPolicy


class Priority(StrEnum):
    """How soon. Urgent uses every allowed channel and ignores quiet hours and caps; it never overrides consent."""

    URGENT = "urgent"
    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"

    @property
    def rank(self) -> int:
        """0 is first."""
        return list(Priority).index(self)


class InDoubt(StrEnum):
    """What a type does about an attempt that is still in doubt after the grace."""

    RESEND = "resend"
    RESEND_IF_ALONE = "resend_if_alone"
    """Only when no other channel of the notification arrived."""
    HOLD = "hold"


class OverCap(StrEnum):
    """What a type does when a person's frequency cap is reached."""

    DEFER = "defer"
    SKIP = "skip"


@frozen(kw_only=True)
class NotificationType:
    """An entry of the catalogue."""

    name: str
    priority: Priority = Priority.NORMAL
    channels: tuple[Channel, ...] = (EMAIL,)
    window: timedelta = timedelta(hours=1)
    """Of event time, within which an equal key is a duplicate."""
    ttl: timedelta = timedelta(hours=24)
    in_doubt: InDoubt = InDoubt.HOLD
    over_cap: OverCap = OverCap.DEFER
    required: tuple[str, ...] = ()
    optional: tuple[str, ...] = ()
    duplicates_allowed: bool = False
    """Whether another route may be tried while an attempt is in doubt."""
    unsubscribable: bool = False
    hold_older_than: timedelta | None = None
    """Between an event and its publication; an older one is held in quarantine. None: a quarter of `ttl`."""
    hold_more_than: int | None = None
    """Within an hour to one person; what is beyond is held in quarantine. None, or urgent: no such limit."""
    batch: int | None = None
    """How many messages of it may share a call, where the route takes as many. None: one when it is urgent or leaves
    its doubts to people, for a call without an answer is a doubt about each of them; otherwise the route's number."""


@frozen(kw_only=True)
class ChannelRules:
    """A channel's defaults."""

    channel: Channel
    address: str
    """The profile field that holds its address."""
    on_by_default: bool = True
    needs_opt_in: bool = False
    respects_quiet_hours: bool = True
    grace: timedelta = timedelta(minutes=15)
    has_sender: bool = True


CHANNELS: Final[Mapping[Channel, ChannelRules]] = MappingProxyType(
    {
        EMAIL: ChannelRules(channel=EMAIL, address="email", respects_quiet_hours=False, grace=timedelta(minutes=60)),
        SMS: ChannelRules(channel=SMS, address="phone"),
        WHATSAPP: ChannelRules(channel=WHATSAPP, address="phone", on_by_default=False, needs_opt_in=True),
    }
)


@frozen(kw_only=True)
class AllowList:
    """Outside production: whom a real provider may reach. Entries are addresses or email domains."""

    entries: frozenset[str] = field(repr=False)

    def allows(self, address: Address) -> bool:
        """Whether this address, or its domain, is listed."""
        if isinstance(address, EmailAddress) and address.domain in self.entries:
            return True
        return address.lookup in self.entries


Zones = Callable[[str], tzinfo | None]
"""IANA name to zone; None for a name nobody knows."""
ZonesOf = Callable[[PhoneNumber], Sequence[tzinfo]]
"""Every zone of the country a number belongs to; none where that is unknown."""


def no_zones(_: PhoneNumber) -> Sequence[tzinfo]:
    """For whoever cannot tell countries apart."""
    return ()


@frozen(kw_only=True)
class Policy:
    """Everything the rules need that is neither the request nor the person."""

    zones: Zones
    zones_of: ZonesOf = no_zones
    channels: Mapping[Channel, ChannelRules] = CHANNELS
    contact_grace: timedelta = timedelta(minutes=15)
    quiet_spread: timedelta = timedelta(minutes=5)
    """Deliveries deferred to the end of quiet hours are spread over this."""
    allowlist: AllowList | None = None
    retry: RetryPolicy = RetryPolicy()
