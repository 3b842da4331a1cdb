"""Values to rows and back."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from fn_notifications.application.errors import Refused
from fn_notifications.application.ports.history import Change, Overruled
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import Priority
from fn_notifications.domain.decision import Decision, Verdict
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.events import Attempt, Evidence
from fn_notifications.domain.identity import attempt_id
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.outcome import Scope
from fn_notifications.domain.preferences import UserRef
from fn_notifications.domain.reasons import Reason

Row = Any
"""A row as the driver gives it: columns by name."""

_PRIORITIES = tuple(Priority)


def dumps(value: Any) -> str:
    """A JSON document, ASCII only. Raises `Refused` for what is none; the message holds nothing of it."""
    try:
        return json.dumps(value, default=_plain, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError):
        raise Refused("a value cannot be written as JSON") from None


def batch(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows for a statement. Raises as `dumps` does, which also takes what the faster writer does not: large numbers."""
    try:
        return orjson.dumps(rows, default=_plain, option=orjson.OPT_NON_STR_KEYS).decode()
    except TypeError:
        return dumps(rows)


def sparse(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row without what is NULL, which costs as much to read as what is not."""
    return {name: value for name, value in row.items() if value is not None}


def _plain(value: Any) -> Any:
    if isinstance(value, UUID):
        return value.hex
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, bytes):
        return f"\\x{value.hex()}"
    if isinstance(value, Mapping):
        return dict(value)
    raise TypeError


def key_row(key: DeliveryKey) -> dict[str, Any]:
    """The key of a delivery."""
    return {"tenant": key.tenant, "notification_id": key.notification_id, "no": key.no}


def key_of(row: Row) -> DeliveryKey:
    """A row's delivery."""
    return DeliveryKey(tenant=row.tenant, notification_id=row.notification_id, no=row.no)


def notification_row(notification: Notification, sealed: bytes) -> dict[str, Any]:
    """A notification, without its deliveries and decisions."""
    return {
        "tenant": notification.user.tenant,
        "id": notification.id,
        "user_id": notification.user.user_id,
        "type": notification.type,
        "priority": notification.priority.rank,
        "event_at": notification.event_at,
        "created_at": notification.created_at,
        "expires_at": notification.expires_at,
        "catalogue": notification.catalogue,
        "identity": notification.identity,
        "key": notification.key,
        "explicit": notification.explicit,
        "language": notification.language,
        "timezone": notification.timezone,
        "correlation_id": notification.correlation_id,
        "sealed": sealed,
    }


def notification_of(
    tenant: str, id_: UUID, row: Row, deliveries: tuple[Delivery, ...], opened: Mapping[str, Any]
) -> Notification:
    """A notification as stored; `opened` is what was sealed of it."""
    return Notification(
        id=id_,
        user=UserRef(tenant=tenant, user_id=row.user_id),
        type=row.type,
        priority=_PRIORITIES[row.priority],
        event_at=row.event_at,
        created_at=row.created_at,
        expires_at=row.expires_at,
        catalogue=row.catalogue,
        identity=row.identity,
        key=row.key,
        explicit=row.explicit,
        language=row.language,
        timezone=row.timezone,
        correlation_id=row.correlation_id,
        deliveries=deliveries,
        **opened,
    )


def delivery_row(delivery: Delivery) -> dict[str, Any]:
    """A delivery that is new, without its attempts."""
    return {
        **key_row(delivery.key),
        "channel": delivery.channel,
        "expires_at": delivery.expires_at,
        "status": delivery.status,
        "rest": delivery.rest,
        "due_at": delivery.due_at,
        "reason": delivery.reason,
        "resends": delivery.resends,
        "version": delivery.version,
    }


def standing_row(delivery: Delivery, changes: Sequence[Any]) -> dict[str, Any]:
    """How a delivery stands, but for its version and status. `changes` are added to those stored."""
    return {
        "rest": delivery.rest,
        "delivery_due_at": delivery.due_at,
        "reason": delivery.reason,
        "resends": delivery.resends,
        "changes": changes or None,
    }


def delivery_of(key: DeliveryKey, row: Row, attempts: Sequence[Attempt]) -> Delivery:
    """A delivery as stored."""
    return Delivery(
        key=key,
        channel=Channel(row.channel),
        expires_at=row.delivery_expires_at,
        status=Status(row.status),
        rest=Status(row.rest),
        due_at=row.due_at,
        reason=row.reason and Reason(row.reason),
        resends=row.resends,
        attempts=tuple(attempts),
        version=row.version,
    )


def attempt_row(key: DeliveryKey, attempt: Attempt) -> dict[str, Any]:
    """An attempt of a delivery that is new, without the delivery's key."""
    return {
        **answer_row(attempt),
        "id": None if attempt.id == attempt_id(key.notification_id, key.no, attempt.no) else attempt.id,
        "route": attempt.route,
        "started_at": attempt.started_at,
        "epoch": attempt.epoch,
    }


def answer_row(attempt: Attempt) -> dict[str, Any]:
    """What is known of an attempt."""
    return {
        "attempt_no": attempt.no,
        "evidence": attempt.evidence,
        "scope": attempt.scope,
        "code": attempt.code,
        "provider_id": attempt.provider_id,
        "answered_at": attempt.answered_at,
        "digest": attempt.digest,
    }


def attempt_of(row: Row) -> Attempt:
    """An attempt as stored."""
    return Attempt(
        no=row.no,
        id=row.id or attempt_id(row.notification_id, row.delivery_no, row.no),
        route=row.route,
        started_at=row.started_at,
        epoch=row.epoch,
        evidence=Evidence(row.evidence),
        scope=row.scope and Scope(row.scope),
        code=row.code,
        provider_id=row.provider_id,
        answered_at=row.answered_at,
        digest=row.digest,
    )


def packed_decisions(decisions: Iterable[Decision]) -> list[list[Any]]:
    """Decisions, without the Nones at their ends."""
    return [_trimmed([one.channel, one.verdict, one.reason, one.until]) for one in decisions]


def decisions_of(packed: Sequence[Sequence[Any]]) -> tuple[Decision, ...]:
    """What `packed_decisions` packed."""
    return tuple(
        Decision(
            channel=Channel(channel),
            verdict=Verdict(verdict),
            reason=Reason(rest[0]) if rest and rest[0] else None,
            until=moment(rest[1]) if len(rest) > 1 else None,
        )
        for channel, verdict, *rest in packed
    )


def packed_change(change: Change) -> list[Any]:
    """A change, without the Nones at its end."""
    return _trimmed([change.at, change.event, change.reason, change.until, change.text])


def packed_overruled(one: Overruled) -> list[Any]:
    """What was known of an attempt. A number stands where a change has its name."""
    return _trimmed([one.until, one.attempt_no, one.evidence, one.code])


def changes_of(row: Row) -> list[Change]:
    """What `packed_change` packed into a delivery's row."""
    return [_change_of(row.no, *packed) for packed in row.changes or () if isinstance(packed[1], str)]


def overruled_of(row: Row) -> list[Overruled]:
    """What `packed_overruled` packed into a delivery's row."""
    return [_overruled_of(row.no, *packed) for packed in row.changes or () if isinstance(packed[1], int)]


def _change_of(
    delivery_no: int,
    at: str,
    event: str,
    reason: str | None = None,
    until: str | None = None,
    text: str | None = None,
) -> Change:
    return Change(
        at=moment(at),
        delivery_no=delivery_no,
        event=event,
        reason=reason,
        until=moment(until) if until else None,
        text=text,
    )


def _overruled_of(delivery_no: int, until: str, attempt_no: int, evidence: int, code: str | None = None) -> Overruled:
    return Overruled(
        until=moment(until), delivery_no=delivery_no, attempt_no=attempt_no, evidence=Evidence(evidence), code=code
    )


def moment(text: str) -> datetime:
    """A time out of a JSON column."""
    return datetime.fromisoformat(text).astimezone(UTC)


def _trimmed(values: list[Any]) -> list[Any]:
    while values[-1] is None:
        values.pop()
    return values
