"""Looking back, in PostgreSQL. Each answer shows one moment."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from attrs import evolve, frozen

from fn_notifications.adapters.postgres.aggregates import Aggregates, NotificationKey, Whole
from fn_notifications.adapters.postgres.eventlog import BACKLOG
from fn_notifications.adapters.postgres.pool import Connection, Database, fetch
from fn_notifications.adapters.postgres.receipts import receipt_of
from fn_notifications.adapters.postgres.rows import change_of, decisions_of
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.application.ports.history import DeadLetter, Ledger, Story, Unsettled
from fn_notifications.application.ports.intake import DeadReason, EventOutcome, Position
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification

_DECISIONS: Final = """
SELECT r.notification_id, r.decisions
FROM json_populate_recordset(NULL::requests, %(requests)s) AS i
CROSS JOIN LATERAL (
    SELECT * FROM requests r
    WHERE r.tenant = i.tenant AND r.identity = i.identity AND r.user_id = i.user_id AND r.type = i.type LIMIT 1
) AS r
"""

_RECEIPTS: Final = """
SELECT * FROM receipts r
WHERE r.tenant = %(tenant)s AND r.notification_id = %(id)s AND r.applied AND r.delivery_no IS NOT NULL
ORDER BY r.received_at, r.at
"""

_REPEATS: Final = "SELECT count(*) AS repeats FROM requests WHERE tenant = %(tenant)s AND duplicate_of = %(id)s"

_RECENT: Final = "SELECT id FROM notifications WHERE tenant = %(tenant)s ORDER BY id DESC LIMIT %(limit)s"

_RECENT_OF_USER: Final = """
SELECT id FROM notifications WHERE tenant = %(tenant)s AND user_id = %(user_id)s ORDER BY id DESC LIMIT %(limit)s
"""

_DEAD: Final = """
SELECT id, reason, detail, topic, partition, "offset", at
FROM dead_letters WHERE tenant = %(tenant)s ORDER BY id DESC LIMIT %(limit)s
"""

_UNSETTLED: Final = """
SELECT count(*) FILTER (WHERE status = 'sending') AS sending,
       count(*) FILTER (WHERE status <> 'sending'
                        AND due_at <= (SELECT fn_now()) + make_interval(secs => %(horizon)s)) AS due_soon
FROM due
"""

_UNAPPLIED: Final = "SELECT count(*) AS unapplied FROM receipts WHERE look_at IS NOT NULL"

_EVENTS: Final = """
SELECT c.key AS outcome, sum(c.value::bigint)::bigint AS events
FROM intake i CROSS JOIN LATERAL jsonb_each_text(i.counts) AS c
WHERE i.tenant = %(tenant)s GROUP BY c.key
"""

_DELIVERIES: Final = """
SELECT status, count(*) AS deliveries FROM deliveries WHERE tenant = %(tenant)s GROUP BY status
"""


@frozen
class PostgresHistory:
    """The History port."""

    database: Database
    seals: Seals

    async def story(self, tenant: str, notification_id: UUID) -> Story | None:
        """See the port."""

        async def work(connection: Connection) -> Story | None:
            wholes = await Aggregates(self.seals).read(connection, [(tenant, notification_id)], opened=True)
            if not wholes:
                return None
            (notification,) = await _decided(connection, wholes)
            (whole,) = wholes.values()
            id_ = str(notification_id)
            receipts = await fetch(connection, _RECEIPTS, tenant=tenant, id=id_)
            (repeats,) = await fetch(connection, _REPEATS, tenant=tenant, id=id_)
            changes = [change_of(row.no, packed) for row in whole.rows for packed in row.changes or ()]
            return Story(
                notification=notification,
                changes=tuple(sorted(changes, key=lambda change: change.at)),
                receipts=tuple((row.delivery_no, receipt_of(row, self.seals)) for row in receipts),
                repeats=repeats.repeats,
            )

        return await self.database.run(work, snapshot=True)

    async def recent(self, tenant: str, limit: int, *, user_id: str | None = None) -> Sequence[Notification]:
        """See the port."""

        async def work(connection: Connection) -> Sequence[Notification]:
            if user_id is None:
                rows = await fetch(connection, _RECENT, tenant=tenant, limit=limit)
            else:
                rows = await fetch(connection, _RECENT_OF_USER, tenant=tenant, user_id=user_id, limit=limit)
            wholes = await Aggregates(self.seals).read(connection, [(tenant, row.id) for row in rows], opened=True)
            return await _decided(connection, wholes)

        return await self.database.run(work, snapshot=True)

    async def dead_letters(self, tenant: str, limit: int) -> Sequence[DeadLetter]:
        """See the port."""

        async def work(connection: Connection) -> Sequence[DeadLetter]:
            return [
                DeadLetter(
                    id=row.id,
                    reason=DeadReason(row.reason),
                    position=Position(topic=row.topic, partition=row.partition, offset=row.offset),
                    at=row.at,
                    detail=row.detail,
                )
                for row in await fetch(connection, _DEAD, tenant=tenant, limit=limit)
            ]

        return await self.database.run(work, snapshot=True)

    async def unsettled(self, horizon: timedelta) -> Unsettled:
        """See the port."""

        async def work(connection: Connection) -> Unsettled:
            (open_,) = await fetch(connection, _UNSETTLED, horizon=horizon.total_seconds())
            (log,) = await fetch(connection, BACKLOG)
            (inbox,) = await fetch(connection, _UNAPPLIED)
            return Unsettled(
                sending=open_.sending,
                due_soon=open_.due_soon,
                unpublished=log.entries,
                unapplied=inbox.unapplied,
            )

        return await self.database.run(work, snapshot=True)

    async def ledger(self, tenant: str) -> Ledger:
        """See the port."""

        async def work(connection: Connection) -> Ledger:
            events = await fetch(connection, _EVENTS, tenant=tenant)
            deliveries = await fetch(connection, _DELIVERIES, tenant=tenant)
            return Ledger(
                events={EventOutcome(row.outcome): row.events for row in events},
                deliveries={Status(row.status): row.deliveries for row in deliveries},
            )

        return await self.database.run(work, snapshot=True)


async def _decided(connection: Connection, wholes: Mapping[NotificationKey, Whole]) -> list[Notification]:
    """The notifications with what the rules said when they were planned."""
    notifications = [whole.notification for whole in wholes.values()]
    requests = [
        {"tenant": one.user.tenant, "identity": one.identity, "user_id": one.user.user_id, "type": one.type}
        for one in notifications
    ]
    decisions = {row.notification_id: row.decisions for row in await fetch(connection, _DECISIONS, requests=requests)}
    return [evolve(one, decisions=decisions_of(decisions.get(one.id, ()))) for one in notifications]
