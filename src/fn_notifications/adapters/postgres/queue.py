"""A delivery's place in the queue: the row of `due`, which is there while the delivery has a next wake-up or a lease
that may die, and how it moves with its delivery.
"""

from datetime import datetime
from typing import Any, Final

from attrs import frozen

from fn_notifications.adapters.postgres.rows import Row, key_row
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.reasons import Reason

_CALLING: Final = (Status.SENDING, Status.DELIVERED)
"""What is delivered has a place only while another call of it is on the wire."""


@frozen(kw_only=True)
class Place:
    """The row. `due_at` keeps its last value while a call is on the wire."""

    key: DeliveryKey
    user_id: str
    channel: str
    priority: int
    rank: int
    due_at: datetime
    expires_at: datetime
    status: str
    awaits_contact: bool
    ready: bool
    lease_until: datetime | None = None
    token: int = 0
    worker: str | None = None

    def leased(self, token: int) -> bool:
        """Whether this token's is the lease on it, dead or alive."""
        return self.token == token and self.lease_until is not None

    def on_the_wire(self, now: datetime) -> bool:
        """Whether a call of a worker with a living lease is under way."""
        return self.status in _CALLING and self.lease_until is not None and self.lease_until > now

    def held(self, token: int, now: datetime) -> bool:
        """Whether the lease of this token still holds and nothing was begun under it."""
        alive = self.lease_until is not None and self.lease_until > now
        return alive and self.leased(token) and self.status == Status.PENDING

    def moved(self, delivery: Delivery, now: datetime, *, freed: bool) -> dict[str, Any]:
        """What of the row moves when the delivery has changed. `freed`: whoever leased it is done with it.

        A lease also ends with the state it was taken in; only with a call on the wire it is always kept.
        """
        due_at, status = delivery.due_at or self.due_at, delivery.status or ""
        kept = delivery.calling or (status == self.status and not freed)
        return {
            "due_at": due_at,
            "awaits_contact": awaits_contact(delivery),
            "ready": self.ready if kept else status == Status.PENDING and due_at <= now,
            "lease_until": self.lease_until if kept else None,
            "worker": self.worker if kept else None,
        }

    def row(self) -> dict[str, Any]:
        """For a statement."""
        return {
            **key_row(self.key),
            "user_id": self.user_id,
            "channel": self.channel,
            "priority": self.priority,
            "rank": self.rank,
            "due_at": self.due_at,
            "expires_at": self.expires_at,
            "status": self.status,
            "awaits_contact": self.awaits_contact,
            "ready": self.ready,
            "lease_until": self.lease_until,
            "token": self.token,
            "worker": self.worker,
        }


def new_place(
    notification: Notification, delivery: Delivery, now: datetime, *, rank: int = 0, reachable: bool = False
) -> Place:
    """Where a delivery begins, or, in doubt after all, begins again.

    `reachable`: the contact point it waits for has come in the meantime.
    """
    waits = awaits_contact(delivery)
    due_at = now if delivery.due_at is None or (waits and reachable) else delivery.due_at
    return Place(
        key=delivery.key,
        user_id=notification.user.user_id,
        channel=delivery.channel,
        priority=notification.priority.rank,
        rank=rank,
        due_at=due_at,
        expires_at=delivery.expires_at,
        status=delivery.status or "",
        awaits_contact=waits,
        ready=delivery.status is Status.PENDING and due_at <= now,
    )


def place_of(row: Row, key: DeliveryKey) -> Place | None:
    """A delivery's place by its row; None when the delivery is settled."""
    if row.user_id is None:
        return None
    return Place(
        key=key,
        user_id=row.user_id,
        channel=row.channel,
        priority=row.priority,
        rank=row.rank,
        due_at=row.due_at,
        expires_at=row.expires_at,
        status=row.status,
        awaits_contact=row.awaits_contact,
        ready=row.ready,
        lease_until=row.lease_until,
        token=row.token,
        worker=row.worker,
    )


def awaits_contact(delivery: Delivery) -> bool:
    """Whether it waits for its user's contact point to become known."""
    return delivery.reason is Reason.AWAITING_CONTACT
