"""Deliveries under lock, and notifications with all that belongs to them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from uuid import UUID

from attrs import field, frozen

from fn_notifications.adapters.postgres.pool import Batch, Connection, fetch
from fn_notifications.adapters.postgres.queue import Place, place_of
from fn_notifications.adapters.postgres.rows import Row, attempt_of, delivery_of, key_of, key_row, notification_of
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.events import Attempt
from fn_notifications.domain.notification import Notification

NotificationKey = tuple[str, UUID]
_Key = tuple[str, UUID, int]
"""Of a delivery, as it is in a row."""

# Look-ups are LATERAL, one row of the parameter at a time and in its order: locks are always taken in the order of
# the keys, and there is no join left for the planner to turn into a scan of a table that was small a moment ago.
_LOCK: Final = """
SELECT i.tenant, i.notification_id, i.no, q.user_id, q.channel, q.priority, q.rank, q.due_at, q.expires_at, q.status,
       q.awaits_contact, q.ready, q.lease_until, q.token, q.worker, d.version, fn_now() AS at
FROM json_to_recordset(%(keys)s) AS i (tenant text, notification_id uuid, no smallint)
CROSS JOIN LATERAL (
    SELECT d.version FROM deliveries d
    WHERE d.tenant = i.tenant AND d.notification_id = i.notification_id AND d.no = i.no
    FOR NO KEY UPDATE
) AS d
LEFT JOIN LATERAL (
    SELECT * FROM due q
    WHERE q.tenant = i.tenant AND q.notification_id = i.notification_id AND q.no = i.no
    FOR UPDATE
) AS q ON true
"""

_READ: Final = """
SELECT n.tenant, n.id, n.user_id, n.type, n.priority, n.event_at, n.created_at, n.expires_at, n.catalogue, n.identity,
       n.key, n.explicit, n.language, n.timezone, n.correlation_id, n.sealed,
       d.notification_id, d.no, d.channel, d.delivery_expires_at, d.status, d.rest, d.due_at, d.reason, d.resends,
       d.version, d.changes
FROM json_to_recordset(%(ids)s) AS i (tenant text, id uuid)
CROSS JOIN LATERAL (SELECT * FROM notifications n WHERE n.tenant = i.tenant AND n.id = i.id LIMIT 1) AS n
LEFT JOIN LATERAL (
    SELECT d.notification_id, d.no, d.channel, d.expires_at AS delivery_expires_at, d.status, d.rest, d.due_at,
           d.reason, d.resends, d.version, d.changes
    FROM deliveries d WHERE d.tenant = i.tenant AND d.notification_id = i.id ORDER BY d.no
) AS d ON true
"""

_ATTEMPTS: Final = """
SELECT a.*
FROM json_to_recordset(%(ids)s) AS i (tenant text, id uuid)
CROSS JOIN LATERAL (
    SELECT * FROM attempts a WHERE a.tenant = i.tenant AND a.notification_id = i.id ORDER BY a.delivery_no, a.no
) AS a
"""

_NOW: Final = "SELECT fn_now() AS now"


@frozen(kw_only=True)
class Whole:
    """A notification's own row, its deliveries, and the rows of these."""

    row: Row = field(repr=False)
    rows: tuple[Row, ...] = field(repr=False)
    deliveries: tuple[Delivery, ...]
    content: Mapping[str, Any] = field(factory=dict, repr=False)
    """What is sealed of it; nothing unless it was asked for."""

    @property
    def notification(self) -> Notification:
        """The value."""
        return notification_of(self.row, self.deliveries, self.content)


@frozen
class Locked:
    """A delivery that is locked."""

    place: Place | None
    """In the queue; None when it is settled."""
    version: int
    at: datetime
    """When it was, by the store's time."""


@frozen
class Aggregates:
    """Reads notifications; what is sealed of them only when asked to."""

    seals: Seals

    async def lock(self, connection: Connection, keys: Collection[DeliveryKey]) -> Mapping[DeliveryKey, Locked]:
        """Lock deliveries and their places in the queue, in order of their keys. Unknown keys are passed over.

        What is read afterwards, in another statement, is up to date: this one may have waited for its locks.
        """
        ordered = sorted(set(keys), key=lambda key: (key.tenant, key.notification_id, key.no))
        rows = await fetch(connection, _LOCK, keys=[key_row(key) for key in ordered])
        return {key_of(row): Locked(place_of(row), row.version, row.at) for row in rows}

    async def read(
        self, connection: Connection, ids: Collection[NotificationKey], *, opened: bool
    ) -> Mapping[NotificationKey, Whole]:
        """Notifications with their deliveries, those that exist. `opened`: with variables and metadata."""
        batch = [{"tenant": tenant, "id": id_} for tenant, id_ in dict.fromkeys(ids)]
        rows = await fetch(connection, _READ, ids=batch)
        attempts = await self._attempts(connection, batch) if any(_tried(row) for row in rows) else {}
        return {
            (tenant, id_): self._whole(tuple(group), attempts, opened=opened)
            for (tenant, id_), group in groupby(rows, key=lambda row: (row.tenant, row.id))
        }

    def _whole(self, rows: tuple[Row, ...], attempts: Mapping[_Key, list[Attempt]], *, opened: bool) -> Whole:
        first = rows[0]
        rows = tuple(row for row in rows if row.no is not None)
        deliveries = tuple(delivery_of(row, attempts.get((row.tenant, row.id, row.no), ())) for row in rows)
        whole = Whole(row=first, rows=rows, deliveries=deliveries)
        return self.opened(whole) if opened else whole

    def opened(self, whole: Whole) -> Whole:
        """The same with variables and metadata. Raises `VaultError` when they cannot be opened."""
        row = whole.row
        content = self.seals.open_json(row.sealed, *sealed_place(row.tenant, row.id))
        return Whole(row=row, rows=whole.rows, deliveries=whole.deliveries, content=content)

    async def _attempts(self, connection: Connection, ids: Batch) -> Mapping[_Key, list[Attempt]]:
        attempts: dict[_Key, list[Attempt]] = {}
        for row in await fetch(connection, _ATTEMPTS, ids=ids):
            attempts.setdefault((row.tenant, row.notification_id, row.delivery_no), []).append(attempt_of(row))
        return attempts


def sealed_place(tenant: str, notification_id: UUID) -> tuple[str, ...]:
    """What a notification's variables are sealed for."""
    return "notifications", tenant, str(notification_id)


async def store_time(connection: Connection) -> datetime:
    """The store's own time, now."""
    (row,) = await fetch(connection, _NOW)
    now: datetime = row.now
    return now


def _tried(row: Row) -> bool:
    """A delivery's first event plans it; before a second there is no attempt."""
    return row.version is not None and row.version > 1
