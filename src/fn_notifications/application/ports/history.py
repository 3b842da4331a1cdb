"""Looking back: what was stored, for people and for `explain`."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol
from uuid import UUID

from attrs import field, frozen

from fn_notifications.application.ports.intake import DeadReason, EventOutcome, Position
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.receipts import Receipt


@frozen(kw_only=True)
class Change:
    """A gate's second thought about a delivery, kept with its time."""

    at: datetime
    delivery_no: int
    event: str
    reason: str | None
    until: datetime | None = None


@frozen(kw_only=True)
class Story:
    """Everything about one notification."""

    notification: Notification
    changes: tuple[Change, ...] = ()
    receipts: tuple[tuple[int, Receipt], ...] = ()
    """Delivery number and report."""
    repeats: int = 0
    """How many requests were recorded as duplicates of it."""


@frozen(kw_only=True)
class DeadLetter:
    """A dead event as listed: without its bytes."""

    id: int
    reason: DeadReason
    position: Position
    at: datetime
    detail: str = ""


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


@frozen(kw_only=True)
class Ledger:
    """Counts that must add up."""

    events: Mapping[EventOutcome, int] = field(factory=dict)
    deliveries: Mapping[Status, int] = field(factory=dict)

    @property
    def taken_in(self) -> int:
        """How many events were stored, whatever became of them."""
        return sum(self.events.values())


class History(Protocol):
    """Reads only."""

    async def story(self, tenant: str, notification_id: UUID) -> Story | None:
        """Everything about one notification, or None."""
        ...

    async def recent(self, tenant: str, limit: int, *, user_id: str | None = None) -> Sequence[Notification]:
        """The newest notifications with their deliveries, newest first."""
        ...

    async def dead_letters(self, tenant: str, limit: int) -> Sequence[DeadLetter]:
        """The newest dead letters, newest first."""
        ...

    async def unsettled(self, horizon: timedelta) -> Unsettled:
        """What is on the wire, due within `horizon`, unpublished or unapplied."""
        ...

    async def ledger(self, tenant: str) -> Ledger:
        """Events by outcome and deliveries by status."""
        ...
