"""What happened, as one JSON document: for `demo --json`, and for people who pipe."""

from collections.abc import Mapping, Sequence
from typing import Any

from fn_notifications.application.ports.history import DeadLetter
from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.application.ports.ledger import Ledger
from fn_notifications.application.ports.sending import Content, ContentError, Delivered, Renderer
from fn_notifications.domain.address import EMAIL
from fn_notifications.domain.decision import Verdict
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification


def report(
    notifications: Sequence[Notification],
    dead_letters: Sequence[DeadLetter],
    calls: Sequence[Delivered],
    ledger: Ledger,
    renderer: Renderer,
) -> dict[str, Any]:
    """The document. Times are ISO 8601 in UTC."""
    return {
        "notifications": [_notification(one, renderer) for one in notifications],
        "dead_letters": [_dead_letter(one) for one in dead_letters],
        "provider_calls": [_call(one) for one in calls],
        "ledger": ledger_document(ledger),
    }


def title_and_body(notification: Notification, renderer: Renderer) -> tuple[str | None, str | None]:
    """What the notification says, rendered anew: subject and plain text. None when its template fails."""
    try:
        content: Content = renderer.render(
            notification.type,
            EMAIL,
            notification.variables,
            language=notification.language,
            timezone=notification.timezone,
            version=notification.catalogue,
        )
    except ContentError:
        return None, None
    return content.subject, content.text


def verdict(delivery: Delivery) -> Verdict:
    """Where the rules' last word leaves a delivery."""
    if delivery.status in (Status.SKIPPED, Status.EXPIRED, Status.CANCELLED):
        return Verdict.SKIP
    return Verdict.DEFER if delivery.status is Status.PENDING and delivery.reason else Verdict.SEND


def _notification(notification: Notification, renderer: Renderer) -> Mapping[str, Any]:
    title, body = title_and_body(notification, renderer)
    return {
        "id": str(notification.id),
        "user_id": notification.user.user_id,
        "notification_type": notification.type,
        "status": notification.status,
        "title": title,
        "body": body,
        "deliveries": [_delivery(one) for one in notification.deliveries],
    }


def _delivery(delivery: Delivery) -> Mapping[str, Any]:
    return {
        "channel": delivery.channel,
        "status": delivery.status,
        "decision": verdict(delivery),
        "reason": delivery.reason,
        "due_at": delivery.due_at.isoformat() if delivery.due_at else None,
        "provider": delivery.attempts[-1].provider if delivery.attempts else None,
        "attempts": len(delivery.attempts),
    }


def _dead_letter(letter: DeadLetter) -> Mapping[str, Any]:
    position = letter.position
    return {
        "reason": letter.reason,
        "detail": letter.detail,
        "position": {"topic": position.topic, "partition": position.partition, "offset": position.offset},
    }


def _call(call: Delivered) -> Mapping[str, Any]:
    return {
        "provider": call.provider,
        "channel": call.channel,
        "to": call.to,
        "subject": call.subject,
        "text": call.text,
        "answer": call.answer,
        "attempt_id": call.attempt_id,
    }


def ledger_document(ledger: Ledger) -> dict[str, Any]:
    """Events by outcome with their sum, deliveries by status, what is kept no longer, and what does not add up."""
    return {
        "events": {"in": ledger.taken_in} | {outcome: ledger.events.get(outcome, 0) for outcome in EventOutcome},
        "deliveries": {status: amount for status in Status if (amount := ledger.deliveries.get(status))},
        "archived": dict(sorted(ledger.archived.items())),
        "balanced": not ledger.imbalances,
        "imbalances": [
            {"equation": one.equation, "expected": one.expected, "found": one.found} for one in ledger.imbalances
        ],
    }
