"""Looking back, in PostgreSQL. Each answer shows one moment."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from attrs import evolve, frozen

from fn_notifications.adapters.postgres.aggregates import Aggregates, NotificationKey, Whole
from fn_notifications.adapters.postgres.eventlog import BACKLOG
from fn_notifications.adapters.postgres.ledger import read_backlog, read_ledger
from fn_notifications.adapters.postgres.pool import Connection, Database, fetch
from fn_notifications.adapters.postgres.receipts import receipt_of
from fn_notifications.adapters.postgres.rows import changes_of, decisions_of, key_of, overruled_of
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.application.ports.history import DeadLetter, Doubtful, Story, Unsettled
from fn_notifications.application.ports.intake import DeadReason, Position
from fn_notifications.application.ports.ledger import Backlog, Ledger
from fn_notifications.domain.address import Channel
from fn_notifications.domain.delivery import DeliveryKey
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

_AROUND: Final = """
SELECT (SELECT fn_now()) AS now,
       (SELECT count(*) FROM requests WHERE tenant = %(tenant)s AND duplicate_of = %(id)s) AS repeats
"""

_QUEUE: Final = "SELECT no, due_at FROM due WHERE tenant = %(tenant)s AND notification_id = %(id)s"

_RECENT: Final = "SELECT id FROM notifications WHERE tenant = %(tenant)s ORDER BY id DESC LIMIT %(limit)s"

_RECENT_OF_USER: Final = """
SELECT id FROM notifications WHERE tenant = %(tenant)s AND user_id = %(user_id)s ORDER BY id DESC LIMIT %(limit)s
"""

_DEAD: Final = """
SELECT id, reason, detail, topic, partition, "offset", at, replayed_at
FROM dead_letters WHERE tenant = %(tenant)s ORDER BY id DESC LIMIT %(limit)s
"""

_UNSETTLED: Final = """
SELECT count(*) FILTER (WHERE status = 'sending') AS sending,
       count(*) FILTER (WHERE status IN ('pending', 'in_doubt') AND soon AND NOT waits) AS due_soon
FROM (
    SELECT status, due_at <= (SELECT fn_now()) + make_interval(secs => %(horizon)s) AS soon,
           status = 'pending' AND channel IN (
               SELECT w.channel FROM json_to_recordset(%(waiting)s) AS w (channel text)) AS waits
    FROM due
) AS q
"""

_DOUBTFUL: Final = """
SELECT tenant, notification_id, no FROM due
WHERE NOT ready AND status = 'in_doubt' AND tenant = %(tenant)s AND (due_at = expires_at OR NOT %(held)s)
  AND (notification_id, no) > (%(after)s::uuid, %(no)s::smallint)
ORDER BY notification_id, no LIMIT %(limit)s
"""

_DOUBTS: Final = """
SELECT channel, count(*) AS deliveries FROM due
WHERE NOT ready AND status = 'in_doubt' AND tenant = %(tenant)s GROUP BY channel
"""

_UNAPPLIED: Final = "SELECT count(*) AS unapplied FROM receipts WHERE look_at IS NOT NULL"

_TAKEN_FROM: Final = """
SELECT t.topic
FROM json_to_recordset(%(topics)s) AS t (topic text)
CROSS JOIN LATERAL (SELECT 1 FROM intake i WHERE i.tenant = %(tenant)s AND i.topic = t.topic LIMIT 1) AS i
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
            (around,) = await fetch(connection, _AROUND, tenant=tenant, id=id_)
            queue = await fetch(connection, _QUEUE, tenant=tenant, id=id_)
            changes = [change for row in whole.rows for change in changes_of(row)]
            overruled = [one for row in whole.rows for one in overruled_of(row)]
            return Story(
                notification=notification,
                read_at=around.now,
                queue={row.no: row.due_at for row in queue},
                changes=tuple(sorted(changes, key=lambda change: change.at)),
                overruled=tuple(sorted(overruled, key=lambda one: one.until)),
                receipts=tuple((row.delivery_no, receipt_of(row, self.seals)) for row in receipts),
                repeats=around.repeats,
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

    async def doubtful(
        self, tenant: str, limit: int, *, held: bool, after: DeliveryKey | None = None
    ) -> Sequence[Doubtful]:
        """See the port."""
        last, no = (after.notification_id, after.no) if after else (UUID(int=0), 0)

        async def work(connection: Connection) -> Sequence[Doubtful]:
            rows = await fetch(connection, _DOUBTFUL, tenant=tenant, limit=limit, held=held, after=str(last), no=no)
            keys = [key_of(row) for row in rows]
            ids = [(tenant, key.notification_id) for key in keys]
            wholes = await Aggregates(self.seals).read(connection, ids, opened=False)
            return [
                Doubtful(type=notification.type, delivery=notification.deliveries[key.no - 1])
                for key in keys
                for notification in [wholes[tenant, key.notification_id].notification]
            ]

        return await self.database.run(work, snapshot=True)

    async def doubts(self, tenant: str) -> Mapping[Channel, int]:
        """See the port."""

        async def work(connection: Connection) -> Mapping[Channel, int]:
            return {Channel(row.channel): row.deliveries for row in await fetch(connection, _DOUBTS, tenant=tenant)}

        return await self.database.run(work)

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
                    replayed_at=row.replayed_at,
                )
                for row in await fetch(connection, _DEAD, tenant=tenant, limit=limit)
            ]

        return await self.database.run(work, snapshot=True)

    async def unsettled(self, horizon: timedelta, waiting: Collection[Channel] = ()) -> Unsettled:
        """See the port."""

        async def work(connection: Connection) -> Unsettled:
            channels = [{"channel": channel} for channel in waiting]
            (open_,) = await fetch(connection, _UNSETTLED, horizon=horizon.total_seconds(), waiting=channels)
            (log,) = await fetch(connection, BACKLOG)
            (inbox,) = await fetch(connection, _UNAPPLIED)
            return Unsettled(
                sending=open_.sending,
                due_soon=open_.due_soon,
                unpublished=log.entries,
                unapplied=inbox.unapplied,
            )

        return await self.database.run(work, snapshot=True)

    async def backlog(self, tenant: str) -> Sequence[Backlog]:
        """See the port."""
        return await read_backlog(self.database, tenant)

    async def ledger(self, tenant: str, days: int | None = None) -> Ledger:
        """See the port."""
        return await read_ledger(self.database, tenant, days)

    async def taken_from(self, tenant: str, topics: Collection[str]) -> frozenset[str]:
        """See the port."""

        async def work(connection: Connection) -> frozenset[str]:
            asked = [{"topic": topic} for topic in topics]
            return frozenset(row.topic for row in await fetch(connection, _TAKEN_FROM, tenant=tenant, topics=asked))

        return await self.database.run(work)


async def _decided(connection: Connection, wholes: Mapping[NotificationKey, Whole]) -> list[Notification]:
    """The notifications with what the rules said when they were planned."""
    notifications = [whole.notification for whole in wholes.values()]
    requests = [
        {"tenant": one.user.tenant, "identity": one.identity, "user_id": one.user.user_id, "type": one.type}
        for one in notifications
    ]
    decisions = {row.notification_id: row.decisions for row in await fetch(connection, _DECISIONS, requests=requests)}
    return [evolve(one, decisions=decisions_of(decisions.get(one.id, ()))) for one in notifications]
