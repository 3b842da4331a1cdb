"""What the outside is told: which changes of a delivery become events, and what they carry. No address, no text."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from fn_notifications.domain import events as e
from fn_notifications.domain.delivery import Delivery, evolve
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
class Outward:
    """An event on its way to the log. `id` is made from delivery and version, so it never differs for one change."""

    id: str
    topic: str
    key: str
    at: datetime
    data: Mapping[str, Any]


def outward(notification: Notification, before: Delivery, events: Sequence[e.Event]) -> tuple[Outward, ...]:
    """The events to publish for these changes of one delivery, in order."""
    told = []
    state = before
    for event in events:
        was, state = state.status, evolve(state, event)
        topic = _TOPICS.get(state.status) if state.status is not None and state.status is not was else None
        if topic:
            told.append(_told(topic, notification, state, event))
    return tuple(told)


def _told(topic: str, notification: Notification, state: Delivery, event: e.Event) -> Outward:
    finding = getattr(event, "finding", None)
    attempt = state.attempt(finding.no) if finding else state.attempts[-1] if state.attempts else None
    return Outward(
        id=f"{state.key.event_key}-v{state.version}",
        topic=topic,
        key=notification.user.user_id,
        at=event.at,
        data={
            "notification_id": str(notification.id),
            "delivery_id": state.key.event_key,
            "version": state.version,
            "event_key": notification.key,
            "tenant": notification.user.tenant,
            "user_id": notification.user.user_id,
            "notification_type": notification.type,
            "channel": state.channel,
            "provider": attempt.provider if attempt else None,
            "status": state.status,
            "reason": state.reason,
            "attempt_id": attempt.id if attempt else None,
            "attempt_no": attempt.no if attempt else None,
            "occurred_at": event.at.isoformat(),
        },
    )
