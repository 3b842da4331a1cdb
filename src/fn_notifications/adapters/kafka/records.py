"""A Kafka message as the application's record."""

from datetime import UTC, datetime, timedelta
from typing import Final, cast

from confluent_kafka import TIMESTAMP_NOT_AVAILABLE, Message

from fn_notifications.application.ports.events import Record

EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def record_from(message: Message) -> Record:
    """Byte for byte; a tombstone's value and a header without one are empty. Without a timestamp: 1970."""
    kind, milliseconds = message.timestamp()
    if kind == TIMESTAMP_NOT_AVAILABLE:
        milliseconds = 0
    return Record(
        topic=message.topic() or "",
        partition=message.partition() or 0,
        offset=message.offset() or 0,
        timestamp=EPOCH + timedelta(milliseconds=milliseconds),
        value=message.value() or b"",
        key=message.key(),
        headers=_headers(message),
    )


def _headers(message: Message) -> tuple[tuple[str, bytes], ...]:
    try:
        headers = cast("list[tuple[str, bytes | None]]", message.headers() or [])
    except (SystemError, UnicodeDecodeError):
        # A name that is not UTF-8. The client cannot give the others either, and asking again would crash; a
        # record must not stop its partition for that.
        return ()
    return tuple((name, value or b"") for name, value in headers)
