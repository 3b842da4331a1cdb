"""The event log in PostgreSQL: sharded, one reader per shard by lease, in an order that skips nothing."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from attrs import frozen

from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.adapters.postgres.rows import Row, key_of
from fn_notifications.application.errors import Conflict
from fn_notifications.application.outward import Transition
from fn_notifications.application.ports.eventlog import LEASE, Backlog, Entry
from fn_notifications.domain.lifecycle import Status

# A lease is renewed when half of it is over, so that a reader that looks often does not write as often.
_LEASE_SHARDS: Final = """
UPDATE event_log_shards SET reader = %(reader)s, lease_until = (SELECT fn_now()) + make_interval(secs => %(lease)s)
WHERE shard = ANY (ARRAY(
    SELECT shard FROM event_log_shards
    WHERE lease_until <= (SELECT fn_now())
       OR reader = %(reader)s AND lease_until <= (SELECT fn_now()) + make_interval(secs => %(lease)s / 2)
    ORDER BY shard FOR UPDATE SKIP LOCKED))
"""

# What is `after` a transaction that still runs may yet get company before it: it is left for later.
_TAKE: Final = """
WITH page AS (
    SELECT e.*
    FROM event_log_shards s
    CROSS JOIN LATERAL (
        SELECT * FROM event_log e
        WHERE e.topic IS NOT NULL AND e.shard = s.shard AND (e.after, e.position) > (s.after, s.position)
          AND e.after < (SELECT pg_snapshot_xmin(pg_current_snapshot())::text::bigint)
        ORDER BY e.after, e.position LIMIT %(limit)s
    ) AS e
    WHERE s.reader = %(reader)s AND s.lease_until > (SELECT fn_now())
    ORDER BY e.after, e.position LIMIT %(limit)s
), ends AS (
    SELECT DISTINCT ON (shard) shard, after, position FROM page ORDER BY shard, after DESC, position DESC
), taken AS (
    UPDATE event_log_shards s SET taken_after = ends.after, taken_position = ends.position
    FROM ends WHERE s.shard = ends.shard AND s.reader = %(reader)s
)
SELECT id, topic, key, at, data, shard, position, tenant, notification_id, no, version, status, attempts
FROM page ORDER BY after, position
"""

_PUBLISHED: Final = """
UPDATE event_log_shards s SET after = s.taken_after, position = s.taken_position
FROM json_to_recordset(%(ends)s) AS i (shard smallint, position bigint)
WHERE s.shard = i.shard AND s.reader = %(reader)s AND s.lease_until > (SELECT fn_now())
  AND s.taken_position = i.position
RETURNING s.shard
"""

_RENEW: Final = """
UPDATE event_log_shards s SET lease_until = (SELECT fn_now()) + make_interval(secs => %(lease)s)
FROM json_to_recordset(%(shards)s) AS i (shard smallint)
WHERE s.shard = i.shard AND s.reader = %(reader)s AND s.lease_until > (SELECT fn_now())
RETURNING s.shard
"""

_RELEASE: Final = "UPDATE event_log_shards SET lease_until = (SELECT fn_now()) WHERE reader = %(reader)s"

BACKLOG: Final = """
SELECT coalesce(sum(e.entries), 0)::bigint AS entries, min(e.oldest) AS oldest,
       coalesce(fn_now() - min(e.oldest), '0') AS lag
FROM event_log_shards s
CROSS JOIN LATERAL (
    SELECT count(*) AS entries, min(e.at) AS oldest FROM event_log e
    WHERE e.topic IS NOT NULL AND e.shard = s.shard AND (e.after, e.position) > (s.after, s.position)
) AS e
"""


@frozen
class PostgresEventLog:
    """The EventLog port."""

    database: Database
    lease: timedelta = LEASE

    async def take(self, reader: str, limit: int) -> Sequence[Entry]:
        """See the port. Oldest first over all shards held, so that none waits behind a busy one."""

        async def work(connection: Connection) -> Sequence[Entry]:
            await execute(connection, _LEASE_SHARDS, reader=reader, lease=self.lease.total_seconds())
            return [_entry(row) for row in await fetch(connection, _TAKE, reader=reader, limit=limit)]

        return await self.database.run(work)

    async def published(self, reader: str, entries: Sequence[Entry]) -> None:
        """See the port. Idempotent."""
        ends = {entry.shard: entry.position for entry in entries}

        async def work(connection: Connection) -> None:
            rows = [{"shard": shard, "position": position} for shard, position in sorted(ends.items())]
            if len(await fetch(connection, _PUBLISHED, reader=reader, ends=rows)) != len(ends):
                raise Conflict("another reader holds the log")

        if ends:
            await self.database.run(work)

    async def renew(self, reader: str, entries: Sequence[Entry]) -> None:
        """See the port."""
        shards = [{"shard": shard} for shard in sorted({entry.shard for entry in entries})]

        async def work(connection: Connection) -> None:
            lease = self.lease.total_seconds()
            if len(await fetch(connection, _RENEW, reader=reader, lease=lease, shards=shards)) != len(shards):
                raise Conflict("another reader holds the log")

        await self.database.run(work)

    async def release(self, reader: str) -> None:
        """See the port."""

        async def work(connection: Connection) -> None:
            await execute(connection, _RELEASE, reader=reader)

        await self.database.run(work)

    async def backlog(self) -> Backlog:
        """See the port."""

        async def work(connection: Connection) -> Backlog:
            (row,) = await fetch(connection, BACKLOG)
            return Backlog(entries=row.entries, oldest=row.oldest, lag=max(row.lag, timedelta()))

        return await self.database.run(work)


def _entry(row: Row) -> Entry:
    id_, data = row.id, row.data
    if row.notification_id is not None:
        one = Transition(
            key=key_of(row),
            version=row.version,
            status=Status(row.status),
            attempts=row.attempts,
            at=row.at,
            user_id=row.key,
            told=row.data,
        )
        id_, data = one.id, one.data()
    return Entry(id=id_, topic=row.topic, key=row.key, at=row.at, data=data, shard=row.shard, position=row.position)
