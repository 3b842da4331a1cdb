"""Ids that are made from what they name, so that a rebuilt database makes the same ones."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_ATTEMPT_ID: Final = re.compile(r"([0-9a-f]{32})-([1-9][0-9]{0,8})-([1-9][0-9]{0,8})")
SHARDS: Final = 256
_DAY: Final = 86_400_000
"""Milliseconds."""


def digest(*parts: str | bytes) -> bytes:
    """A 128-bit digest of parts that cannot run into each other (each is preceded by its length)."""
    hashed = hashlib.sha256()
    for part in parts:
        raw = part.encode() if isinstance(part, str) else part
        hashed.update(len(raw).to_bytes(8, "big"))
        hashed.update(raw)
    return hashed.digest()[:16]


def event_identity(source: str, type_: str, id_: str) -> bytes:
    """Who said it, what kind of thing, and their id for it: the same three are the same event."""
    return digest("event", source, type_, id_)


def record_identity(topic: str, partition: int, offset: int, timestamp: datetime, value: bytes) -> bytes:
    """For an event without an id: where it lay. The time and value keep it apart in a topic made anew."""
    return digest("record", topic, str(partition), str(offset), timestamp.isoformat(), value)


def shard_of(tenant: str, user_id: str) -> int:
    """The shard of a user, 0 to 255: one byte of every id of theirs."""
    return digest("shard", tenant, user_id)[0]


def notification_id(event_at: datetime, tenant: str, user_id: str, type_: str, identity: bytes) -> UUID:
    """A UUIDv8 (RFC 9562 §5.8): 48-bit event time in ms, 8-bit shard of the user, the rest a digest.

    It sorts by time, so history can be partitioned by it, and says by itself where its rows are.
    """
    shard = shard_of(tenant, user_id)
    rest = int.from_bytes(digest("notification", tenant, user_id, type_, identity)[:9], "big") >> 6
    low_a, low_b = rest >> 62, rest & ((1 << 62) - 1)
    value = _milliseconds(event_at) << 80
    value |= 0x8 << 76 | shard << 68 | (low_a & 0xF) << 64 | 0b10 << 62 | low_b
    return UUID(int=value)


def shard_in(id_: UUID) -> int:
    """The shard of its user, as a notification's id says it (see `shard_of`)."""
    return id_.int >> 68 & 0xFF


def first_id_at(moment: datetime) -> UUID:
    """The smallest id of its millisecond: the bound of a partition."""
    return UUID(int=_milliseconds(moment) << 80)


def day_of(id_: UUID) -> int:
    """The day of a notification's event, counted from 1970-01-01 (UTC)."""
    return (id_.int >> 80) // _DAY


def first_of_day(day: int) -> UUID:
    """The smallest id of a day that `day_of` counts."""
    return UUID(int=day * _DAY << 80)


def _milliseconds(moment: datetime) -> int:
    """Since 1970, and 0 before. Those of the year 9999 fit into 48 bits."""
    return max((moment - _EPOCH) // timedelta(milliseconds=1), 0)


def attempt_id(notification: UUID, delivery_no: int, attempt_no: int) -> str:
    """The opaque name that travels with a call. From it alone the attempt's place is found again."""
    return f"{notification.hex}-{delivery_no}-{attempt_no}"


def parse_attempt_id(text: str) -> tuple[UUID, int, int] | None:
    """The notification, delivery and attempt an id names; None when it was not made here."""
    match = _ATTEMPT_ID.fullmatch(text)
    return (UUID(match[1]), int(match[2]), int(match[3])) if match else None
