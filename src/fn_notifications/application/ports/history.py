"""Looking back: what was stored, for people and for `explain`."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from attrs import field, frozen

from fn_notifications.application.ports.intake import DeadReason, Position
from fn_notifications.application.ports.ledger import Backlog, Ledger
from fn_notifications.domain.address import Channel
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.events import Evidence
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.receipts import Receipt


@frozen(kw_only=True)
class Change:
    """A second thought about a delivery, or an answer that came too late to be one, kept with its time."""

    at: datetime
    delivery_no: int
    event: str
    reason: str | None
    until: datetime | None = None
    text: str | None = None
    """An operator's reason, and who that was; what a late answer said."""


@frozen(kw_only=True)
class Overruled:
    """What was known of an attempt until `until`, when more was learnt (see `overruled`)."""

    until: datetime
    delivery_no: int
    attempt_no: int
    evidence: Evidence
    code: str | None = None


@frozen(kw_only=True)
class Story:
    """Everything about one notification."""

    notification: Notification
    read_at: datetime = field(eq=False)
    """By the store's time."""
    queue: Mapping[int, datetime | None]
    """By number, the deliveries that have a place in the queue, and when each is due there: earlier than it was put
    off to where what it waited for has come. None while it is on the wire.
    """
    changes: tuple[Change, ...] = ()
    overruled: tuple[Overruled, ...] = ()
    """In order of their times."""
    receipts: tuple[tuple[int, Receipt], ...] = ()
    """Delivery number and report."""
    repeats: int = 0
    """How many requests were recorded as duplicates of it."""


@frozen(kw_only=True)
class Doubtful:
    """A delivery in doubt, as listed."""

    type: str
    delivery: Delivery


@frozen(kw_only=True)
class DeadLetter:
    """A dead event as listed: without its bytes."""

    id: int
    reason: DeadReason
    position: Position
    at: datetime
    detail: str = ""
    replayed_at: datetime | None = None
    """When it was tried again with success."""


@frozen(kw_only=True)
class Unsettled:
    """What is still to be done."""

    sending: int = 0
    due_soon: int = 0
    unpublished: int = 0
    unapplied: int = 0

    @property
    def settled(self) -> bool:
        """Nothing of it."""
        return not (self.sending or self.due_soon or self.unpublished or self.unapplied)


class History(Protocol):
    """Reads only."""

    async def story(self, tenant: str, notification_id: UUID) -> Story | None:
        """Everything about one notification, or None."""
        ...

    async def recent(self, tenant: str, limit: int, *, user_id: str | None = None) -> Sequence[Notification]:
        """The newest notifications with their deliveries, newest first."""
        ...

    async def doubtful(
        self, tenant: str, limit: int, *, held: bool, after: DeliveryKey | None = None
    ) -> Sequence[Doubtful]:
        """What is in doubt, the oldest event first. `held`: only what waits for an operator, until it expires.

        `after`: what follows this delivery in that order, whatever became of it.
        """
        ...

    async def doubts(self, tenant: str) -> Mapping[Channel, int]:
        """How many deliveries are in doubt, by channel; channels without one are left out."""
        ...

    async def dead_letters(self, tenant: str, limit: int) -> Sequence[DeadLetter]:
        """The newest dead letters, newest first."""
        ...

    async def unsettled(self, horizon: timedelta, waiting: Collection[Channel] = ()) -> Unsettled:
        """What is on the wire, due within `horizon`, unpublished or unapplied.

        Of the channels in `waiting` nothing can go within the horizon (see `waiting_channels`): what is pending there
        does not count.
        """
        ...

    async def backlog(self, tenant: str) -> Sequence[Backlog]:
        """What is pending and could go but for the ways out: what is due, and what was put off for a hold or a lane."""
        ...

    async def ledger(self, tenant: str, days: int | None = None) -> Ledger:
        """The accounts, of everything that is kept or, so that it costs no more than they do, of the last `days`.

        A day is a day of event time in UTC; the first of one is today. Balanced at every moment, whatever is being
        written: each equation is read at one point of time. Changes nothing.
        """
        ...

    async def taken_from(self, tenant: str, topics: Collection[str]) -> frozenset[str]:
        """Those of these topics that anything was taken in from, as far as history goes back."""
        ...
