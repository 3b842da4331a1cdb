"""Deduplication keys: one row per user, type and key, which whoever decides about it holds locked."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

from fn_notifications.adapters.postgres.pool import Connection, execute, fetch
from fn_notifications.adapters.postgres.rows import moment
from fn_notifications.domain.deduplication import Kept
from fn_notifications.domain.identity import digest
from fn_notifications.domain.notification import Notification

_LONGEST: Final = timedelta(days=30)
_MOST: Final = 64
"""How many holders a key remembers, and for how long: far beyond any type's window."""

_LOCK: Final = """
INSERT INTO dedup_keys AS k (tenant, user_id, type, key, kept, seen)
SELECT tenant, user_id, type, key, kept, seen FROM json_populate_recordset(NULL::dedup_keys, %(keys)s)
ON CONFLICT (tenant, user_id, type, key) DO UPDATE SET seen = excluded.seen
RETURNING k.tenant, k.user_id, k.type, k.key, k.kept
"""

_WRITE: Final = """
INSERT INTO dedup_keys (tenant, user_id, type, key, kept, seen)
SELECT tenant, user_id, type, key, kept, seen FROM json_populate_recordset(NULL::dedup_keys, %(keys)s)
ON CONFLICT (tenant, user_id, type, key) DO UPDATE SET kept = excluded.kept
"""


class Held(NamedTuple):
    """Names a row: the key itself is kept as a digest, for it may be of any length."""

    tenant: str
    user_id: str
    type: str
    key: bytes

    @classmethod
    def of(cls, notification: Notification) -> "Held":
        """The row of a notification that has a key."""
        user = notification.user
        return cls(user.tenant, user.user_id, notification.type, digest("key", notification.key or ""))


async def lock_keys(
    connection: Connection, first: Mapping[Held, Sequence[Kept]], now: datetime
) -> dict[Held, tuple[Kept, ...]]:
    """Lock these keys, in their order, and say who holds each; `first` holds one that nobody has held before."""
    rows = await fetch(connection, _LOCK, keys=_rows(first, now))
    return {
        Held(row.tenant, row.user_id, row.type, row.key): tuple(Kept(moment(at), UUID(id_)) for at, id_ in row.kept)
        for row in rows
    }


async def write_keys(connection: Connection, kept: Mapping[Held, Sequence[Kept]], now: datetime) -> None:
    """Say who holds these keys, which are locked."""
    if kept:
        await execute(connection, _WRITE, keys=_rows(kept, now))


def _rows(kept: Mapping[Held, Sequence[Kept]], now: datetime) -> list[dict[str, Any]]:
    """In order of the keys. They were seen on a day, so that asking again on the same one moves no index entry."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return [{**key._asdict(), "kept": _remembered(kept[key]), "seen": today} for key in sorted(kept)]


def _remembered(kept: Sequence[Kept]) -> list[tuple[datetime, UUID]]:
    if not kept:
        return []
    newest = max(one.at for one in kept)
    return [(one.at, one.notification_id) for one in kept if newest - one.at < _LONGEST][-_MOST:]
