"""What the memory adapters hold, in one place, so that a change to several things is one change."""

import asyncio
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from attrs import define, evolve, field, frozen

from fn_notifications.application.outward import Transition
from fn_notifications.application.ports.eventlog import SHARDS, Entry
from fn_notifications.application.ports.history import Change, DeadLetter, Overruled
from fn_notifications.application.ports.intake import Original
from fn_notifications.application.ports.quarantine import Held
from fn_notifications.application.taken import Taken
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import CHANNELS, ChannelRules
from fn_notifications.domain.deduplication import Kept
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.identity import shard_of
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.preferences import ContactPoint, Profile, UserRef
from fn_notifications.domain.rates import Bucket
from fn_notifications.domain.receipts import Receipt
from fn_notifications.domain.routes import Board

NotificationKey = tuple[str, UUID]
DedupKey = tuple[UserRef, str, str]
Lane = tuple[Channel, int]
"""With the priority."""


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
    """A row of the event log: an event of a delivery, or something else that is told."""

    position: int
    at: datetime
    transition: Transition | None
    entry: Entry | None
    """As it is published, if it is."""


@define(kw_only=True)
class Shard:
    """How far one shard of the event log is published, and who reads it."""

    published: int = -1
    reader: str | None = None
    lease_until: datetime | None = None
    waiting: list[Entry] = field(factory=list)
    """What is to be published."""


@frozen(kw_only=True)
class Intake:
    """A row of what was taken in."""

    tenant: str
    at: datetime
    taken: Taken


@frozen(kw_only=True)
class Detained:
    """What an event means for one person, in quarantine. `outcome` is None and the event there while it is held."""

    tenant: str
    identity: bytes
    held: Held
    original: Original | None
    outcome: str | None = None


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
    identified: dict[tuple[str, bytes], datetime] = field(factory=dict)
    """When each was."""
    became: dict[tuple[str, bytes], tuple[UUID, ...]] = field(factory=dict)
    """By the identity of an event: the notifications it became, or repeated."""
    kept: dict[DedupKey, tuple[Kept, ...]] = field(factory=dict)
    received: dict[tuple[UserRef, str], tuple[datetime, ...]] = field(factory=dict)
    """When each person was last told something of a type."""
    volumes: dict[tuple[str, str], tuple[datetime, int, tuple[int, ...]]] = field(factory=dict)
    """By tenant and type: the hour, how many were asked for in it, and in those before."""
    turns: dict[Lane, dict[tuple[str, str], tuple[int, int]]] = field(factory=dict)
    """By tenant and type: its last turn in a lane, and the highest rank it ever had there."""
    quarantine: dict[int, Detained] = field(factory=dict)
    notifications: dict[NotificationKey, Notification] = field(factory=dict)
    deliveries: dict[DeliveryKey, Delivery] = field(factory=dict)
    due: dict[DeliveryKey, Due] = field(factory=dict)
    tokens: int = 0
    """Of leases, over all deliveries: a lease is newer than another by its token, even of a place made anew."""
    changes: dict[NotificationKey, tuple[Change, ...]] = field(factory=dict)
    overruled: dict[NotificationKey, tuple[Overruled, ...]] = field(factory=dict)
    repeats: dict[NotificationKey, int] = field(factory=dict)
    topics: set[tuple[str, str]] = field(factory=set)
    """By tenant: where events were taken in from."""
    dead_letters: list[tuple[str, DeadLetter]] = field(factory=list)
    """With the tenant each belongs to."""
    originals: dict[int, Original] = field(factory=dict, repr=False)
    """By the dead letter's id: the bytes as they came."""
    receipt_keys: set[tuple[str, str]] = field(factory=set)
    nameless: dict[tuple[str, str], datetime] = field(factory=dict)
    """Of these, those that name no attempt of ours, and when they came."""
    inbox: list[Inboxed] = field(factory=list)
    receipts: dict[NotificationKey, tuple[tuple[int, Receipt], ...]] = field(factory=dict)
    log: list[Logged] = field(factory=list)
    shards: tuple[Shard, ...] = field(factory=lambda: tuple(Shard() for _ in range(SHARDS)))
    """Of the log."""
    logged: int = 0
    intakes: list[Intake] = field(factory=list)
    reported: int = 0
    """How many reports came in."""
    archived: dict[tuple[str, str, int], int] = field(factory=dict)
    """By tenant, what it was, and day: how many were thrown away."""
    log_since: int = 0
    """The oldest day that the event log goes back to."""
    history_since: int = 0
    """What is of an older day is kept no longer, or only because it is open."""
    board: Board = field(factory=Board)
    buckets: dict[str, Bucket] = field(factory=dict)

    def keep(self, one: Transition, user: UserRef) -> None:
        """Add an event of a delivery to the event log."""
        entry = None
        if one.topic is not None:
            entry = self._entry(user, id_=one.id, topic=one.topic, key=user.user_id, at=one.at, data=one.data())
        self._log(one.at, one, entry)

    def tell(self, tenant: str, *, id_: str, topic: str, key: str, at: datetime, data: Mapping[str, Any]) -> None:
        """Add something else to the event log, to be published."""
        owner = UserRef(tenant=tenant, user_id=key)
        self._log(at, None, self._entry(owner, id_=id_, topic=topic, key=key, at=at, data=data))

    def _entry(self, owner: UserRef, *, id_: str, **more: Any) -> Entry:
        shard = shard_of(owner.tenant, owner.user_id) % SHARDS
        return Entry(id=id_, shard=shard, position=self.logged, **more)

    def _log(self, at: datetime, one: Transition | None, entry: Entry | None) -> None:
        self.log.append(Logged(position=self.logged, at=at, transition=one, entry=entry))
        self.logged += 1
        if entry:
            self.shards[entry.shard].waiting.append(entry)

    def whole(self, key: NotificationKey) -> Notification:
        """A notification with its deliveries as they stand."""
        notification = self.notifications[key]
        return evolve(
            notification,
            deliveries=tuple(self.deliveries[delivery.key] for delivery in notification.deliveries),
        )


EARLY: Final = timedelta(minutes=5)
"""How long a receipt waits for its attempt to become known."""
