"""The queue and every change to a delivery, in PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress as ignored
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from attrs import evolve, field, frozen

from fn_notifications.adapters.postgres.aggregates import Aggregates, Locked, NotificationKey, Whole, store_time
from fn_notifications.adapters.postgres.beginning import begin
from fn_notifications.adapters.postgres.changes import Changed, as_begun, unchanged, write
from fn_notifications.adapters.postgres.claiming import Claims
from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.adapters.postgres.reach import Reach, since
from fn_notifications.adapters.postgres.rows import changes_of, key_of, key_row
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.adapters.postgres.suppressions import suppress
from fn_notifications.application.changes import late_answer
from fn_notifications.application.ports.deliveries import Answer, Begun, Choice, Gate, Lease, Waiting
from fn_notifications.domain import events as e
from fn_notifications.domain.address import Channel
from fn_notifications.domain.commands import Record
from fn_notifications.domain.delivery import Delivery, DeliveryKey, decide
from fn_notifications.domain.errors import IllegalTransition

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

_WAITING: Final = """
SELECT q.tenant, q.notification_id, q.no, coalesce(q.status = 'pending' AND n.fits, false) AS fits
FROM (
    SELECT tenant, notification_id, no, status FROM due
    WHERE tenant = %(tenant)s AND (notification_id, no) > (%(after)s::uuid, %(no)s::smallint)
    ORDER BY tenant, notification_id, no LIMIT %(limit)s
) AS q
LEFT JOIN LATERAL (
    SELECT n.type = %(type)s AND n.created_at < %(before)s::timestamptz AS fits FROM notifications n
    WHERE n.tenant = q.tenant AND n.id = q.notification_id LIMIT 1
) AS n ON true
ORDER BY q.notification_id, q.no
"""

_UNDER_WAY: Final = ("sending", "in_doubt", "sent", "delivered")
_OVERDUE: Final = """
SELECT q.tenant, q.notification_id, q.no, q.status, coalesce(q.lease_until, q.due_at) AS at
FROM json_to_recordset(%(parts)s) AS s (status text, after timestamptz)
CROSS JOIN LATERAL (
    SELECT * FROM due q
    WHERE NOT q.ready AND q.status = s.status AND coalesce(q.lease_until, q.due_at) <= %(until)s::timestamptz
      AND coalesce(q.lease_until, q.due_at) >= s.after
    ORDER BY coalesce(q.lease_until, q.due_at) LIMIT %(limit)s
) AS q
LIMIT %(limit)s
"""

_OUTLIVED: Final = """
SELECT q.tenant, q.notification_id, q.no, q.status, q.expires_at AS at
FROM json_to_recordset(%(parts)s) AS s (status text, after timestamptz)
CROSS JOIN LATERAL (
    SELECT * FROM due q
    WHERE q.status = 'pending' AND q.expires_at <= %(until)s::timestamptz AND q.expires_at >= s.after
      AND (q.lease_until IS NULL OR q.lease_until <= %(until)s::timestamptz)
    ORDER BY q.expires_at LIMIT %(limit)s
) AS q
"""


@frozen
class PostgresDeliveries:
    """The Deliveries port."""

    database: Database
    seals: Seals
    claims: Claims = field(factory=Claims)
    _overdue: Reach[str, datetime] = field(factory=Reach, init=False)
    _outlived: Reach[str, datetime] = field(factory=Reach, init=False)
    """By status, both."""

    async def claim(self, wanted: Mapping[Channel, int], *, worker: str, lease: timedelta) -> Sequence[Lease]:
        """See the port. A claim whose commit stays unknown is made again: what it took comes back with the lease."""
        limits = {channel: limit for channel, limit in wanted.items() if limit > 0}

        async def work(connection: Connection) -> Sequence[Lease]:
            return await self.claims.take(connection, limits, worker=worker, lease=lease)

        return await self.database.run(work, often=True) if limits else []

    async def begin(self, leases: Sequence[Lease], gate: Gate) -> Sequence[Begun]:
        """See the port. Not repeated when its commit stays unknown: the leases run out, and what was begun under
        them is then in doubt.
        """

        async def work(connection: Connection) -> Sequence[Begun]:
            return await begin(connection, self.seals, leases, gate)

        return await self.database.run(work, repeatable=False, often=True) if leases else []

    async def finish(self, answers: Sequence[Answer]) -> Sequence[Delivery]:
        """See the port. Of an answer about a delivery that is not there (any more) only its opt-out is kept."""

        async def work(connection: Connection) -> Sequence[Delivery]:
            return await self._finish(connection, answers)

        return await self.database.run(work, often=True) if answers else []

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
            locked = await aggregates.lock(connection, keys)
            wholes = await aggregates.read(connection, _notifications(locked), opened=False)
            now = await store_time(connection)
            changes = []
            for key, one in locked.items():
                if one.place and one.place.on_the_wire(now):
                    continue
                change = unchanged(wholes[key.tenant, key.notification_id], key, one.place)
                command = choose(change.notification, change.before, now)
                if command and (events := decide(change.before, command, now)):
                    changes.append(change.then(events, freed=True))
            await write(connection, changes, now)
            return [one.after for one in changes]

        aggregates = Aggregates(self.seals)
        return await self.database.run(work) if keys else []

    async def waiting(
        self, tenant: str, type_: str, before: datetime, *, after: DeliveryKey | None = None, limit: int = 1000
    ) -> Waiting:
        """See the port."""
        last, no = (after.notification_id, after.no) if after else (UUID(int=0), 0)

        async def work(connection: Connection) -> Waiting:
            rows = await fetch(
                connection,
                _WAITING,
                tenant=tenant,
                type=type_,
                before=before.isoformat(),
                after=str(last),
                no=no,
                limit=limit,
            )
            return Waiting(
                keys=tuple(key_of(row) for row in rows if row.fits),
                next=key_of(rows[-1]) if len(rows) == limit else None,
            )

        return await self.database.run(work)

    async def overdue(self, limit: int) -> Sequence[DeliveryKey]:
        """See the port."""
        return await self._listed(_OVERDUE, _UNDER_WAY, self._overdue, limit)

    async def outlived(self, limit: int) -> Sequence[DeliveryKey]:
        """See the port."""
        return await self._listed(_OUTLIVED, ("pending",), self._outlived, limit)

    async def _listed(
        self, statement: str, statuses: Collection[str], reach: Reach[str, datetime], limit: int
    ) -> Sequence[DeliveryKey]:
        async def work(connection: Connection) -> Sequence[DeliveryKey]:
            now = await store_time(connection)
            with reach.look() as marks:
                parts = [{"status": one, "after": since(marks, one)} for one in statuses]
                rows = await fetch(connection, statement, parts=parts, until=now.isoformat(), limit=limit)
            read = dict.fromkeys(statuses, now) if len(rows) < limit else {row.status: row.at for row in rows}
            for status, until in read.items():
                reach.reached(status, until)
            return [key_of(row) for row in rows]

        return await self.database.run(work)

    async def _finish(self, connection: Connection, answers: Sequence[Answer]) -> Sequence[Delivery]:
        aggregates = Aggregates(self.seals)
        locked = await aggregates.lock(connection, [answer.begun.lease.key for answer in answers])
        known = [answer for answer in answers if answer.begun.lease.key in locked]
        await suppress(connection, self.seals, [answer.opt_out for answer in answers if answer.opt_out])
        if not known:
            return []
        # Nearly all of them are as the caller has them, and not read again.
        moved = {one.begun.lease.key for one in known if _moved(one.begun, locked[one.begun.lease.key])}
        wholes = await aggregates.read(connection, _notifications(moved), opened=False) if moved else {}
        now = max(one.at for one in locked.values())
        changes: dict[DeliveryKey, Changed] = {}
        states = []
        for answer in known:
            lease = answer.begun.lease
            key, place = lease.key, locked[lease.key].place
            held = place is not None and place.leased(lease.token)
            if key in moved:
                whole = wholes[key.tenant, key.notification_id]
                change = changes.get(key) or unchanged(whole, key, place)
                if not held and now >= lease.until:
                    change = _with_late_answer(change, whole, answer.record, now)
            else:
                change = changes.get(key) or as_begun(answer.begun, place)
            events: tuple[e.Event, ...] = ()
            with ignored(IllegalTransition):
                events = decide(change.after, answer.record, now)
            changes[key] = change.then(events, freed=held)
            states.append(changes[key].after)
        await write(connection, [one for one in changes.values() if one.events or one.freed or one.late], now)
        return states


def _moved(begun: Begun, found: Locked) -> bool:
    """Whether a delivery has changed, or changed hands, since its call went out."""
    held = found.place is not None and found.place.leased(begun.lease.token)
    return not held or found.version != begun.delivery.version


def _with_late_answer(change: Changed, whole: Whole, record: Record, now: datetime) -> Changed:
    no = change.before.key.no
    known = [change for row in whole.rows if row.no == no for change in changes_of(row)]
    late = late_answer(change.after, record, now, [*known, *change.late])
    return evolve(change, late=(*change.late, late)) if late else change


def _notifications(keys: Collection[DeliveryKey]) -> list[NotificationKey]:
    return [(key.tenant, key.notification_id) for key in keys]
