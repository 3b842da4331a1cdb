"""The event log's rows: every event of a delivery is one; some are told to the outside. No address, no text."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from typing import Any, Final

from attrs import field, frozen

from fn_notifications.domain import events as e
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.identity import attempt_id
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification

SENT: Final = "fn-notifications.notification.sent"
DELIVERED: Final = "fn-notifications.notification.delivered"
FAILED: Final = "fn-notifications.delivery.failed"
DEAD_LETTER: Final = "fn-notifications.dead-letter"

_TOPICS: Final[Mapping[Status, str]] = {
    Status.SENT: SENT,
    Status.DELIVERED: DELIVERED,
    Status.FAILED: FAILED,
    Status.EXPIRED: FAILED,
    Status.UNCONFIRMED: FAILED,
}
"""A status that is worth telling, once, when it is reached. `data.status` says which it was."""


@frozen(kw_only=True)
class Transition:
    """One event of a delivery, as the log keeps it: which it was, and where it led to."""

    key: DeliveryKey
    version: int
    status: Status | None
    attempts: int
    """How many the delivery has from here on."""
    at: datetime
    topic: str | None = None
    """Where it is published; None when it is kept for the ledger alone."""
    user_id: str | None = None
    told: Mapping[str, Any] = field(factory=dict)
    """Of what is published, that which the row does not say otherwise; empty when it is not published."""

    @property
    def id(self) -> str:
        """Made from delivery and version, so it never differs for one change."""
        return f"{self.key.event_key}-v{self.version}"

    def data(self) -> dict[str, Any]:
        """What is published: the event's `data`."""
        no = self.told.get("attempt_no")
        return {
            "notification_id": str(self.key.notification_id),
            "delivery_id": self.key.event_key,
            "version": self.version,
            "tenant": self.key.tenant,
            "user_id": self.user_id,
            "status": self.status,
            "attempt_id": attempt_id(self.key.notification_id, self.key.no, no) if no else None,
            "occurred_at": self.at.isoformat(),
            **self.told,
        }


def planned(notification: Notification) -> Iterator[Transition]:
    """The first row of each delivery of a notification that was just planned. None is told: nothing was begun."""
    for delivery in notification.deliveries:
        yield _transition(delivery, notification.created_at)


def transitions(
    notification: Notification, states: Sequence[Delivery], events: Sequence[e.Event]
) -> Iterator[Transition]:
    """A row for each of these events of one delivery, in order. `states`: from before it on (see `Delivery.states`)."""
    for event, (was, state) in zip(events, pairwise(states), strict=True):
        topic = _TOPICS.get(state.status) if state.status and state.status is not was.status else None
        if topic is None:
            yield _transition(state, event.at)
        else:
            told = _told(notification, state, event)
            yield _transition(state, event.at, topic=topic, user_id=notification.user.user_id, told=told)


def _transition(state: Delivery, at: datetime, **more: Any) -> Transition:
    attempts = len(state.attempts)
    return Transition(key=state.key, version=state.version, status=state.status, attempts=attempts, at=at, **more)


def _told(notification: Notification, state: Delivery, event: e.Event) -> dict[str, Any]:
    finding = getattr(event, "finding", None)
    attempt = state.attempt(finding.no) if finding else state.attempts[-1] if state.attempts else None
    told = {
        "event_key": notification.key,
        "notification_type": notification.type,
        "channel": state.channel,
        "provider": attempt.provider if attempt and attempt.called else None,
        "reason": state.reason,
        "attempt_no": attempt.no if attempt else None,
    }
    if attempt and attempt.id != attempt_id(state.key.notification_id, state.key.no, attempt.no):
        told["attempt_id"] = attempt.id
    return told
