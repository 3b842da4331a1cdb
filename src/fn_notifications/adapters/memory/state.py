"""What the memory adapters hold, in one place, so that a change to several things is one change."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from attrs import define, evolve, field, frozen

from fn_notifications.application.outward import Outward
from fn_notifications.application.ports.history import Change, DeadLetter
from fn_notifications.application.ports.intake import EventOutcome, Original
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import CHANNELS, ChannelRules
from fn_notifications.domain.deduplication import Kept
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.preferences import ContactPoint, Profile, UserRef
from fn_notifications.domain.receipts import Receipt

NotificationKey = tuple[str, UUID]
DedupKey = tuple[UserRef, str, str]


@frozen(kw_only=True)
class Due:
    """An open delivery's place in the queue."""

    rank: int
    at: datetime | None
    """When it wants to be looked at; a contact point that arrives may bring this forward."""
    token: int = 0
    worker: str | None = None
    lease_until: datetime | None = None


@define(kw_only=True)
class Inboxed:
    """A receipt on its way to its delivery."""

    receipt: Receipt
    received_at: datetime


@frozen(kw_only=True)
class Logged:
    """An outward event with its place in the log."""

    outward: Outward
    shard: int
    position: int


@define(kw_only=True)
class State:
    """Everything. One lock stands for the database's transactions: short, exclusive, and never held across a call."""

    clock: Callable[[], datetime]
    channels: Mapping[Channel, ChannelRules] = CHANNELS
    lock: asyncio.Lock = field(factory=asyncio.Lock)
    profiles: dict[UserRef, Profile] = field(factory=dict)
    points: dict[tuple[UserRef, Channel], ContactPoint] = field(factory=dict)
    suppressions: dict[tuple[str, Channel, str], dict[str, tuple[datetime, bool]]] = field(factory=dict)
    """By tenant, channel and normalised address, then by cause: the latest word's time, and whether it opts out."""
    identities: dict[tuple[str, bytes], bytes] = field(factory=dict)
    kept: dict[DedupKey, tuple[Kept, ...]] = field(factory=dict)
    notifications: dict[NotificationKey, Notification] = field(factory=dict)
    deliveries: dict[DeliveryKey, Delivery] = field(factory=dict)
    due: dict[DeliveryKey, Due] = field(factory=dict)
    changes: dict[NotificationKey, tuple[Change, ...]] = field(factory=dict)
    repeats: dict[NotificationKey, int] = field(factory=dict)
    outcomes: dict[EventOutcome, int] = field(factory=dict)
    dead_letters: list[tuple[str, DeadLetter]] = field(factory=list)
    """With the tenant each belongs to."""
    originals: dict[int, Original] = field(factory=dict, repr=False)
    """By the dead letter's id: the bytes as they came."""
    receipt_keys: set[tuple[str, str]] = field(factory=set)
    inbox: list[Inboxed] = field(factory=list)
    receipts: dict[NotificationKey, tuple[tuple[int, Receipt], ...]] = field(factory=dict)
    log: list[Logged] = field(factory=list)
    published: int = 0
    reader: tuple[str, datetime] | None = None

    def append(self, entry: Outward, shard: int) -> None:
        """Add to the event log."""
        self.log.append(Logged(outward=entry, shard=shard, position=len(self.log)))

    def whole(self, key: NotificationKey) -> Notification:
        """A notification with its deliveries as they stand."""
        notification = self.notifications[key]
        return evolve(
            notification,
            deliveries=tuple(self.deliveries[delivery.key] for delivery in notification.deliveries),
        )


EARLY: Final = timedelta(minutes=5)
"""How long a receipt waits for its attempt to become known."""
