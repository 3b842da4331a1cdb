"""Deliveries under lock, and notifications with all that belongs to them."""

from collections.abc import Collection, Mapping
from datetime import datetime
from itertools import groupby
from typing import Final
from uuid import UUID

from attrs import evolve, field, frozen

from fn_notifications.adapters.postgres.pool import Batch, Connection, fetch
from fn_notifications.adapters.postgres.queue import Place, place_of
from fn_notifications.adapters.postgres.rows import Row, attempt_of, delivery_of, key_of, key_row, notification_of
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.domain.delivery import DeliveryKey
from fn_notifications.domain.events import Attempt
from fn_notifications.domain.notification import Notification

NotificationKey = tuple[str, UUID]

# Look-ups are LATERAL, one row of the parameter at a time and in its order: locks are always taken in the order of
# the keys, and there is no join left for the planner to turn into a scan of a table that was small a moment ago.
_LOCK: Final = """
SELECT i.tenant, i.notification_id, i.no, q.user_id, q.channel, q.priority, q.rank, q.due_at, q.expires_at, q.status,
       q.awaits_contact, q.ready, q.lease_until, q.token, q.worker
FROM json_to_recordset(%(keys)s) AS i (tenant text, notification_id uuid, no smallint)
CROSS JOIN LATERAL (
    SELECT FROM deliveries d
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
    """A notification with its deliveries, its own row, and the rows of these."""

    notification: Notification
    row: Row = field(repr=False)
    rows: tuple[Row, ...] = field(repr=False)


@frozen
class Aggregates:
    """Reads notifications; what is sealed of them only when asked to."""

    seals: Seals

    async def lock(self, connection: Connection, keys: Collection[DeliveryKey]) -> Mapping[DeliveryKey, Place | None]:
        """Lock deliveries and their places in the queue, in order of their keys. Unknown keys are passed over.

        What is read afterwards, in another statement, is up to date: this one may have waited for its locks.
        """
        ordered = sorted(set(keys), key=lambda key: (key.tenant, key.notification_id, key.no))
        rows = await fetch(connection, _LOCK, keys=[key_row(key) for key in ordered])
        return {key_of(row): place_of(row) for row in rows}

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

    def _whole(self, rows: tuple[Row, ...], attempts: Mapping[DeliveryKey, list[Attempt]], *, opened: bool) -> Whole:
        first = rows[0]
        rows = tuple(row for row in rows if row.no is not None)
        deliveries = [
            delivery_of(row, attempts.get(DeliveryKey(tenant=row.tenant, notification_id=row.id, no=row.no), ()))
            for row in rows
        ]
        whole = Whole(notification=notification_of(first, deliveries, {}), row=first, rows=rows)
        return evolve(whole, notification=self.opened(whole)) if opened else whole

    def opened(self, whole: Whole) -> Notification:
        """The notification with its variables and metadata. Raises `VaultError` when they cannot be opened."""
        row = whole.row
        content = self.seals.open_json(row.sealed, *sealed_place(row.tenant, row.id))
        return notification_of(row, whole.notification.deliveries, content)

    async def _attempts(self, connection: Connection, ids: Batch) -> Mapping[DeliveryKey, list[Attempt]]:
        attempts: dict[DeliveryKey, list[Attempt]] = {}
        for row in await fetch(connection, _ATTEMPTS, ids=ids):
            key = DeliveryKey(tenant=row.tenant, notification_id=row.notification_id, no=row.delivery_no)
            attempts.setdefault(key, []).append(attempt_of(row))
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
