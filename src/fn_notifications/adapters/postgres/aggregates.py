"""Deliveries under lock, and notifications with all that belongs to them."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from itertools import groupby
from operator import attrgetter
from typing import Any, Final
from uuid import UUID

from attrs import field, frozen

from fn_notifications.adapters.postgres.pool import Batch, Connection, fetch
from fn_notifications.adapters.postgres.queue import Place, place_of
from fn_notifications.adapters.postgres.rows import Row, attempt_of, delivery_of, key_row, notification_of
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.events import Attempt
from fn_notifications.domain.notification import Notification

NotificationKey = tuple[str, UUID]
_Attempts = Mapping[tuple[int, int], Sequence[Attempt]]
"""By the number of the notification in a statement's parameter, and of the delivery."""

# Look-ups are LATERAL, one row of the parameter at a time and in its order: locks are always taken in the order of
# the keys, and there is no join left for the planner to turn into a scan of a table that was small a moment ago. What
# was found is told by its number in the parameter.
_LOCK: Final = """
SELECT i.nth, q.user_id, q.channel, q.priority, q.rank, q.due_at, q.expires_at, q.status, q.awaits_contact, q.ready,
       q.lease_until, q.token, q.worker, d.version, fn_now() AS at
FROM ROWS FROM (json_to_recordset(%(keys)s) AS (tenant text, notification_id uuid, no smallint))
     WITH ORDINALITY AS i (tenant, notification_id, no, nth)
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
SELECT i.nth, n.user_id, n.type, n.priority, n.event_at, n.created_at, n.expires_at, n.catalogue, n.identity, n.key,
       n.explicit, n.language, n.timezone, n.correlation_id, n.sealed,
       d.no, d.channel, d.delivery_expires_at, d.status, d.rest, d.due_at, d.reason, d.resends, d.version, d.changes
FROM ROWS FROM (json_to_recordset(%(ids)s) AS (tenant text, id uuid)) WITH ORDINALITY AS i (tenant, id, nth)
CROSS JOIN LATERAL (SELECT * FROM notifications n WHERE n.tenant = i.tenant AND n.id = i.id LIMIT 1) AS n
LEFT JOIN LATERAL (
    SELECT d.no, d.channel, d.expires_at AS delivery_expires_at, d.status, d.rest, d.due_at, d.reason, d.resends,
           d.version, d.changes
    FROM deliveries d WHERE d.tenant = i.tenant AND d.notification_id = i.id ORDER BY d.no
) AS d ON true
"""

_ATTEMPTS: Final = """
SELECT i.nth, a.*
FROM ROWS FROM (json_to_recordset(%(ids)s) AS (tenant text, id uuid)) WITH ORDINALITY AS i (tenant, id, nth)
CROSS JOIN LATERAL (
    SELECT * FROM attempts a WHERE a.tenant = i.tenant AND a.notification_id = i.id ORDER BY a.delivery_no, a.no
) AS a
"""

_NOW: Final = "SELECT fn_now() AS now"


@frozen(kw_only=True)
class Whole:
    """A notification's own row, its deliveries, and the rows of these."""

    key: NotificationKey
    row: Row = field(repr=False)
    rows: tuple[Row, ...] = field(repr=False)
    deliveries: tuple[Delivery, ...]
    content: Mapping[str, Any] = field(factory=dict, repr=False)
    """What is sealed of it; nothing unless it was asked for."""

    @property
    def notification(self) -> Notification:
        """The value."""
        return self.opened(self.content)

    def opened(self, content: Mapping[str, Any]) -> Notification:
        """The value, with this for its content."""
        return notification_of(*self.key, self.row, self.deliveries, content)


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
        ordered = sorted(set(keys), key=lambda key: (key.tenant, key.notification_id.int, key.no))
        locked: dict[DeliveryKey, Locked] = {}
        for row in await fetch(connection, _LOCK, keys=[key_row(key) for key in ordered]):
            key = ordered[row.nth - 1]
            locked[key] = Locked(place_of(row, key), row.version, row.at)
        return locked

    async def read(
        self, connection: Connection, ids: Collection[NotificationKey], *, opened: bool
    ) -> Mapping[NotificationKey, Whole]:
        """Notifications with their deliveries, those that exist. `opened`: with variables and metadata."""
        keys = list(dict.fromkeys(ids))
        batch = [{"tenant": tenant, "id": id_} for tenant, id_ in keys]
        rows = await fetch(connection, _READ, ids=batch)
        attempts = await self._attempts(connection, batch) if any(_tried(row) for row in rows) else {}
        wholes: dict[NotificationKey, Whole] = {}
        for nth, group in groupby(rows, key=attrgetter("nth")):
            key = keys[nth - 1]
            wholes[key] = self._whole(key, tuple(group), attempts, opened=opened)
        return wholes

    def _whole(self, key: NotificationKey, rows: tuple[Row, ...], attempts: _Attempts, *, opened: bool) -> Whole:
        (tenant, id_), first = key, rows[0]
        rows = () if first.no is None else rows
        deliveries = tuple(
            delivery_of(
                DeliveryKey(tenant=tenant, notification_id=id_, no=row.no), row, attempts.get((row.nth, row.no), ())
            )
            for row in rows
        )
        content = self._content(key, first) if opened else {}
        return Whole(key=key, row=first, rows=rows, deliveries=deliveries, content=content)

    def opened(self, whole: Whole) -> Notification:
        """The notification with variables and metadata. Raises `VaultError` when they cannot be opened."""
        return whole.opened(self._content(whole.key, whole.row))

    def _content(self, key: NotificationKey, row: Row) -> Mapping[str, Any]:
        content: Mapping[str, Any] = self.seals.open_json(row.sealed, *sealed_place(*key))
        return content

    async def _attempts(self, connection: Connection, ids: Batch) -> _Attempts:
        attempts: dict[tuple[int, int], list[Attempt]] = {}
        for row in await fetch(connection, _ATTEMPTS, ids=ids):
            attempts.setdefault((row.nth, row.delivery_no), []).append(attempt_of(row))
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
