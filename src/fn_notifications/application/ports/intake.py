"""Where events end: stored as notifications, duplicates, skips or dead letters, all or nothing."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from attrs import field, frozen

from fn_notifications.domain.lifecycle import RELEASING
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.preferences import Profile, UserRef
from fn_notifications.domain.reasons import Reason


class EventOutcome(StrEnum):
    """What became of one event."""

    PLANNED = "planned"
    DUPLICATE = "duplicate"
    IGNORED = "ignored"
    """Of no type we know, or one that tells nobody."""
    STALE = "stale"
    DEAD_LETTERED = "dead_lettered"
    HELD = "held"
    """In quarantine, with at least one of the people it concerns."""


class DeadReason(StrEnum):
    """Why an event could not be used."""

    NOT_JSON = "not_json"
    TOO_DEEP = "too_deep"
    TOO_LARGE = "too_large"
    NUL_BYTE = "nul_byte"
    WRONG_SHAPE = "wrong_shape"
    NO_TYPE = "no_type"
    NO_RECIPIENT = "no_recipient"
    BAD_TIME = "bad_time"
    MISSING_VARIABLE = "missing_variable"
    EVENT_ID_REUSED = "event_id_reused"
    REJECTED = "rejected"
    """The store could not take it."""


@frozen(kw_only=True)
class Position:
    """Where an event lay."""

    topic: str
    partition: int
    offset: int


@frozen(kw_only=True)
class Original:
    """An event's bytes as they came, for dead letters and replay."""

    position: Position
    timestamp: datetime
    value: bytes = field(repr=False)
    key: bytes | None = field(default=None, repr=False)
    headers: tuple[tuple[str, bytes], ...] = field(default=(), repr=False)


@frozen(kw_only=True)
class Proposal:
    """A notification that is stored unless it only repeats one of the last `window` of event time."""

    notification: Notification
    window: timedelta
    limit: int | None = None
    """How many of its type this person may get within an hour; what is beyond is held. None: any number."""

    silent: bool = field(init=False)
    """Whether it says nothing on any channel: then it takes no key, and nobody has had enough of it."""

    @silent.default
    def _says_nothing(self) -> bool:
        return all(delivery.status in RELEASING for delivery in self.notification.deliveries)


@frozen
class Hold:
    """What an event means for one person, kept for an operator instead of being said."""

    user: UserRef
    type: str
    """Of the notification; of the event, where it only teaches something about the person."""
    event_at: datetime
    reason: Reason


@frozen(kw_only=True)
class Event:
    """One understood event, planned. Neither proposals nor holds: it is ignored."""

    identity: bytes
    digest: bytes
    """Of its body: the same identity with another digest is an id used twice."""
    type: str
    original: Original
    proposals: tuple[Proposal, ...] = ()
    holds: tuple[Hold, ...] = ()
    released: int | None = None
    """The id in quarantine that this settles. Without holds it is held no longer, whatever becomes of it; one that
    is not held any more when it is stored is a duplicate."""


@frozen(kw_only=True)
class DeadEvent:
    """One event that could not be used. `detail` says where, never with what value."""

    reason: DeadReason
    original: Original
    detail: str = ""


@frozen(kw_only=True)
class Batch:
    """Everything one transaction stores. Profiles are stored under the rule of `People.save`."""

    tenant: str
    events: tuple[Event, ...] = ()
    dead: tuple[DeadEvent, ...] = ()
    profiles: tuple[Profile, ...] = ()


@frozen(kw_only=True)
class Volume:
    """How many of a type were asked for in this hour, repetitions apart, and in the hours before."""

    type: str
    added: int
    """By this batch, which `amount` contains."""
    amount: int
    recent: tuple[int, ...]
    """The newest hour first, as many as `REMEMBERED` at most; those in which nothing came between others are 0."""


@frozen(kw_only=True)
class Report:
    """What became of a batch: outcomes in the order of its events, then of its dead ones."""

    outcomes: tuple[EventOutcome, ...]
    notifications: tuple[UUID, ...]
    """Those newly stored."""
    duplicates: Mapping[UUID, UUID] = field(factory=dict)
    """Notifications not stored, to the ones they would have repeated."""
    repeated: Mapping[bytes, tuple[UUID, ...]] = field(factory=dict)
    """Identities of events that were known before, with the same body: what those became, or repeated."""
    holds: tuple[Hold, ...] = ()
    """What this batch put into quarantine."""
    volumes: tuple[Volume, ...] = ()


class IntakeStore(Protocol):
    """Where planned events are stored."""

    async def store(self, batch: Batch) -> Report:
        """Store a batch in one transaction, with its counts.

        Idempotent by event identity: the same event again is a recorded duplicate, with another body a dead letter.
        Of concurrent proposals with one user, type and key within the window exactly one is stored; the others are
        recorded with its id. A notification whose every delivery is skipped takes no key.
        What is to be held, and what is beyond a person's limit for its type within the last hour of the store's time,
        duplicates and silent ones not counted, goes into quarantine with the event's bytes, in the same transaction.
        Every delivery gets its rank in its lane (see `fairness`).
        Raises `Conflict`, having stored nothing, when a profile's version moved; `Refused`, likewise, when the
        store cannot take some value of the batch.
        """
        ...
