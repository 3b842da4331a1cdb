"""Days of the event log that are over and published, dropped."""

from datetime import datetime
from typing import Final

from psycopg.sql import SQL, Identifier

from fn_notifications.adapters.postgres.partitions import EVENT_LOG, Period, partitions_of, still_there
from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.application.ports.storage import Pruned

_PATIENCE: Final = "SET LOCAL lock_timeout = 500"
"""Milliseconds: who waits for a table keeps everybody behind it waiting."""

_WAITING: Final = """
SELECT EXISTS (
    SELECT FROM event_log_shards s
    CROSS JOIN LATERAL (
        SELECT FROM {} e
        WHERE e.topic IS NOT NULL AND e.shard = s.shard AND (e.after, e.position) > (s.after, s.position)
        LIMIT 1
    ) AS e
) AS waiting
"""

_PASSED: Final = """
DELETE FROM event_log_default WHERE ctid = ANY (ARRAY(
    SELECT e.ctid FROM event_log_default e JOIN event_log_shards s USING (shard)
    WHERE e.at < %(until)s::timestamptz AND (e.topic IS NULL OR (e.after, e.position) <= (s.after, s.position))
    LIMIT %(limit)s))
RETURNING 1
"""

_SINCE: Final = """
UPDATE horizons SET day = extract(epoch FROM %(until)s::timestamptz)::bigint / 86400
WHERE what = 'event_log' AND day < extract(epoch FROM %(until)s::timestamptz)::bigint / 86400
"""


async def prune_log(database: Database, until: datetime, limit: int) -> Pruned:
    """Drop the days before `until`, oldest first, up to one that a relay has not passed; and up to `limit` rows that
    no day has. From when on the log is whole is said in the same transaction.
    """

    async def find(connection: Connection) -> list[Period]:
        return [one for one in await partitions_of(connection, EVENT_LOG) if one.end <= until]

    days = await database.run(find)
    for number, day in enumerate(days):
        if not await _drop(database, day):
            held = {"event_log": len(days) - number}
            return Pruned(amounts={"event_log": number} if number else {}, held=held)

    async def rest(connection: Connection) -> int:
        rows = await fetch(connection, _PASSED, until=until.isoformat(), limit=limit)
        if rows:
            await execute(connection, _SINCE, until=until.isoformat())
        return len(rows)

    rows = await database.run(rest)
    amounts = {"event_log": len(days), "event_log_rows": rows}
    return Pruned(amounts={what: amount for what, amount in amounts.items() if amount})


async def _drop(database: Database, day: Period) -> bool:
    """Whether it is gone. Entries cannot be added to it any more: they are of now."""
    name = f"{EVENT_LOG.table}_{day.suffix}"

    async def work(connection: Connection) -> bool:
        await connection.execute(_PATIENCE)
        if not await still_there(connection, name):
            return True
        (row,) = await (await connection.execute(SQL(_WAITING).format(Identifier(name)))).fetchall()
        if row.waiting:
            return False
        await execute(connection, _SINCE, until=day.end.isoformat())
        await connection.execute(SQL("DROP TABLE {}").format(Identifier(name)))
        return True

    return await database.run(work)
