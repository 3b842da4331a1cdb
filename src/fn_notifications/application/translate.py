"""From a record's bytes to an event with one meaning, whichever dialect its publisher speaks. Pure.

The envelope varies between publishers; every spelling in the field is one row of a table here. What cannot be
understood becomes a reason, never an exception: the partition has to move on.
"""

import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from itertools import chain
from typing import Any, Final

from attrs import field, frozen

from fn_notifications.application.ports.events import Record
from fn_notifications.application.ports.intake import DeadReason
from fn_notifications.domain.identity import digest, event_identity, record_identity

LARGEST: Final = 256 * 1024
"""Bytes. An event tells what happened; whoever needs more room links to it."""
DEEPEST: Final = 64
"""Levels of nesting."""

_TYPE = ("event_type", "type")
_ID = ("event_id", "id")
_SOURCE = ("source", "source_service")
_TIME = ("timestamp", "time", "occurred_at")
_BODY = ("data", "payload")

_CANONICAL: Final = json.JSONEncoder(sort_keys=True, separators=(",", ":"))


@frozen(kw_only=True)
class Envelope:
    """An event, its dialect forgotten."""

    type: str
    identity: bytes
    digest: bytes
    at: datetime
    correlation_id: str | None
    body: Mapping[str, Any] = field(repr=False)


@frozen
class Unreadable:
    """A record that is no event."""

    reason: DeadReason
    detail: str = ""


def read(record: Record) -> Envelope | Unreadable:
    """The event a record holds."""
    if len(record.value) > LARGEST:
        return Unreadable(DeadReason.TOO_LARGE, f"{len(record.value)} bytes, at most {LARGEST}")
    document = _document(record.value)
    if isinstance(document, Unreadable):
        return document
    headers = _headers(record)
    if "ce_type" in headers:
        attributes = {name.removeprefix("ce_"): text for name, text in headers.items() if name.startswith("ce_")}
        document = {**attributes, "data": document}
    type_ = _first(document, _TYPE)
    if type_ is None:
        return Unreadable(DeadReason.NO_TYPE, "none of " + ", ".join(_TYPE))
    if not isinstance(type_, str):
        return Unreadable(DeadReason.WRONG_SHAPE, "the type is no text")
    at = _time(_first(document, _TIME), record.timestamp)
    if at is None:
        return Unreadable(DeadReason.BAD_TIME, "no ISO 8601 time with a year people live in")
    body = next((document[name] for name in _BODY if document.get(name) is not None), document)
    if not isinstance(body, dict):
        return Unreadable(DeadReason.WRONG_SHAPE, "the body is no object")
    return Envelope(
        type=type_,
        identity=_identity(record, document, type_),
        digest=digest(_CANONICAL.encode(body)),
        at=min(at, record.timestamp),
        correlation_id=_text(document.get("correlation_id")) or headers.get("traceparent"),
        body=body,
    )


def _document(value: bytes) -> dict[str, Any] | Unreadable:
    try:
        document = json.loads(value)
    except RecursionError:
        return Unreadable(DeadReason.TOO_DEEP, f"more than {DEEPEST} levels")
    except ValueError:  # UnicodeDecodeError and JSONDecodeError are ValueErrors; their texts quote the input
        return Unreadable(DeadReason.NUL_BYTE if b"\0" in value else DeadReason.NOT_JSON)
    if not isinstance(document, dict):
        return Unreadable(DeadReason.WRONG_SHAPE, "the event is no object")
    return _flaw(document) or document


def _flaw(document: dict[str, Any]) -> Unreadable | None:
    """What JSON allows and no store or message can carry: NUL, lone surrogates, NaN, endless nesting."""
    level: list[Any] = [document]
    for _ in range(DEEPEST):
        parts = [part for node in level for part in (chain(node, node.values()) if isinstance(node, dict) else node)]
        level = []
        for part in parts:
            if isinstance(part, str):
                if "\0" in part:
                    return Unreadable(DeadReason.NUL_BYTE)
                if not part.isascii() and any("\ud800" <= char <= "\udfff" for char in part):
                    return Unreadable(DeadReason.WRONG_SHAPE, "a lone surrogate")
            elif isinstance(part, dict | list):
                level.append(part)
            elif isinstance(part, float) and not math.isfinite(part):
                return Unreadable(DeadReason.WRONG_SHAPE, "a number that JSON has no word for")
        if not level:
            return None
    return Unreadable(DeadReason.TOO_DEEP, f"more than {DEEPEST} levels")


def _headers(record: Record) -> dict[str, str]:
    """Kafka's binary mode writes CloudEvents attributes as `ce_` headers (CloudEvents Kafka binding §3.2)."""
    return {name: value.decode("utf-8", "replace").replace("\0", "") for name, value in record.headers if value}


def _first(document: Mapping[str, Any], names: tuple[str, ...]) -> Any:
    for name in names:
        if (value := document.get(name)) is not None and value != "":
            return value
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _time(raw: Any, otherwise: datetime) -> datetime | None:
    if raw is None:
        return otherwise
    if not isinstance(raw, str):
        return None
    try:
        at = datetime.fromisoformat(raw)
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return at if 1971 <= at.year <= 9000 else None


def _identity(record: Record, document: Mapping[str, Any], type_: str) -> bytes:
    id_ = _first(document, _ID)
    if id_ is None:
        return record_identity(record.topic, record.partition, record.offset, record.timestamp, record.value)
    return event_identity(_text(_first(document, _SOURCE)) or record.topic, type_, str(id_))
