"""The queue and every change to a delivery, in PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress as ignored
from datetime import timedelta
from typing import Final

from attrs import frozen

from fn_notifications.adapters.postgres.aggregates import Aggregates, NotificationKey, store_time
from fn_notifications.adapters.postgres.beginning import begin
from fn_notifications.adapters.postgres.changes import Changed, unchanged, write
from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.adapters.postgres.rows import key_of, key_row
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.adapters.postgres.suppressions import suppress
from fn_notifications.application.ports.deliveries import Answer, Begun, Choice, Gate, Lease
from fn_notifications.domain import events as e
from fn_notifications.domain.address import Channel
from fn_notifications.domain.delivery import Delivery, DeliveryKey, decide
from fn_notifications.domain.errors import IllegalTransition

_PROMOTED: Final = 1000
"""How many rows whose time has come one claim makes ready, before it takes from those that are."""

# The row locks of the inner SELECT hold until the end of the transaction, so no row moves before it is updated; SKIP
# LOCKED keeps claims from ever waiting, for each other or for anybody.
_PROMOTE: Final = """
UPDATE due SET ready = true, lease_until = NULL, worker = NULL
WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM due
    WHERE NOT ready AND status = 'pending' AND coalesce(lease_until, due_at) <= (SELECT fn_now())
    ORDER BY coalesce(lease_until, due_at) LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
"""

_CLAIM: Final = """
WITH taken AS (
    UPDATE due SET ready = false, lease_until = (SELECT fn_now()) + make_interval(secs => %(lease)s),
                   token = nextval('lease_token'), worker = %(worker)s
    WHERE ctid = ANY (ARRAY(
        SELECT q.ctid
        FROM json_to_recordset(%(wanted)s) AS i (channel text, wanted integer)
        CROSS JOIN LATERAL (
            SELECT q.ctid FROM due q
            WHERE q.ready AND q.channel = i.channel
            ORDER BY q.priority, q.rank, q.due_at LIMIT i.wanted FOR UPDATE SKIP LOCKED
        ) AS q))
    RETURNING tenant, notification_id, no, channel, token, priority, rank, due_at
)
SELECT tenant, notification_id, no, channel, token FROM taken ORDER BY priority, rank, due_at
"""

_RELEASE: Final = """
UPDATE due SET ready = true, lease_until = NULL, worker = NULL
WHERE ctid = ANY (ARRAY(
    SELECT q.ctid
    FROM json_to_recordset(%(leases)s) AS i (tenant text, notification_id uuid, no smallint, token bigint)
    CROSS JOIN LATERAL (
        SELECT q.ctid FROM due q
        WHERE q.tenant = i.tenant AND q.notification_id = i.notification_id AND q.no = i.no
          AND q.token = i.token AND q.status = 'pending' AND q.lease_until IS NOT NULL
        FOR UPDATE
    ) AS q))
"""

_OVERDUE: Final = """
SELECT q.tenant, q.notification_id, q.no
FROM (VALUES ('sending'), ('in_doubt')) AS s (status)
CROSS JOIN LATERAL (
    SELECT * FROM due q
    WHERE NOT q.ready AND q.status = s.status AND coalesce(q.lease_until, q.due_at) <= (SELECT fn_now())
    ORDER BY coalesce(q.lease_until, q.due_at) LIMIT %(limit)s
) AS q
LIMIT %(limit)s
"""


@frozen
class PostgresDeliveries:
    """The Deliveries port."""

    database: Database
    seals: Seals

    async def claim(self, wanted: Mapping[Channel, int], *, worker: str, lease: timedelta) -> Sequence[Lease]:
        """See the port. A claim whose commit stays unknown is made again: what it took comes back with the lease."""
        lanes = [{"channel": channel, "wanted": limit} for channel, limit in wanted.items() if limit > 0]

        async def work(connection: Connection) -> Sequence[Lease]:
            await execute(connection, _PROMOTE, limit=_PROMOTED)
            rows = await fetch(connection, _CLAIM, wanted=lanes, lease=lease.total_seconds(), worker=worker)
            return [Lease(key=key_of(row), channel=Channel(row.channel), token=row.token) for row in rows]

        return await self.database.run(work) if lanes else []

    async def begin(self, leases: Sequence[Lease], gate: Gate) -> Sequence[Begun]:
        """See the port. Not repeated when its commit stays unknown: the leases run out, and what was begun under
        them is then in doubt.
        """

        async def work(connection: Connection) -> Sequence[Begun]:
            return await begin(connection, self.seals, leases, gate)

        return await self.database.run(work, repeatable=False) if leases else []

    async def finish(self, answers: Sequence[Answer]) -> Sequence[Delivery]:
        """See the port. An answer about a delivery or an attempt that is not there (any more) changes nothing."""

        async def work(connection: Connection) -> Sequence[Delivery]:
            return await self._finish(connection, answers)

        return await self.database.run(work) if answers else []

    async def release(self, leases: Sequence[Lease]) -> None:
        """See the port."""
        rows = sorted(leases, key=lambda one: (one.key.tenant, one.key.notification_id, one.key.no))

        async def work(connection: Connection) -> None:
            await execute(connection, _RELEASE, leases=[{**key_row(one.key), "token": one.token} for one in rows])

        if rows:
            await self.database.run(work)

    async def change(self, keys: Collection[DeliveryKey], choose: Choice) -> Sequence[Delivery]:
        """See the port. Raises IllegalTransition for a command that does not apply; nothing is changed then."""

        async def work(connection: Connection) -> Sequence[Delivery]:
            places = await aggregates.lock(connection, keys)
            wholes = await aggregates.read(connection, _notifications(places), opened=True)
            now = await store_time(connection)
            changes = []
            for key, place in places.items():
                change = unchanged(wholes[key.tenant, key.notification_id], key, place)
                command = choose(change.notification, change.before, now)
                if command and (events := decide(change.before, command, now)):
                    changes.append(change.then(events, freed=True))
            await write(connection, changes, now)
            return [one.after for one in changes]

        aggregates = Aggregates(self.seals)
        return await self.database.run(work) if keys else []

    async def overdue(self, limit: int) -> Sequence[DeliveryKey]:
        """See the port."""

        async def work(connection: Connection) -> Sequence[DeliveryKey]:
            return [key_of(row) for row in await fetch(connection, _OVERDUE, limit=limit)]

        return await self.database.run(work)

    async def _finish(self, connection: Connection, answers: Sequence[Answer]) -> Sequence[Delivery]:
        aggregates = Aggregates(self.seals)
        places = await aggregates.lock(connection, [answer.lease.key for answer in answers])
        wholes = await aggregates.read(connection, _notifications(places), opened=False)
        now = await store_time(connection)
        changes: dict[DeliveryKey, Changed] = {}
        states = []
        for answer in answers:
            key = answer.lease.key
            if key not in places:
                continue
            place, whole = places[key], wholes[key.tenant, key.notification_id]
            freed = place is not None and place.token == answer.lease.token
            change = changes.get(key) or unchanged(whole, key, place)
            events: tuple[e.Event, ...] = ()
            with ignored(IllegalTransition):
                events = decide(change.after, answer.record, now)
            changes[key] = change.then(events, freed=freed)
            states.append(changes[key].after)
        await suppress(connection, self.seals, [answer.opt_out for answer in answers if answer.opt_out])
        await write(connection, [one for one in changes.values() if one.events or one.freed], now)
        return states


def _notifications(keys: Collection[DeliveryKey]) -> list[NotificationKey]:
    return [(key.tenant, key.notification_id) for key in keys]
