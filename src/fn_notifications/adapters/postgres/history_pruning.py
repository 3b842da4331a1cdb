"""Months of history whose time is over, thrown away and counted as archived."""

from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from psycopg.sql import SQL, Composable, Identifier, Literal

from fn_notifications.adapters.postgres.partitions import HISTORY, Period, partitions_of, still_there
from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.application.ports.storage import Pruned
from fn_notifications.domain.identity import first_id_at

# Writers of that one month wait while it is counted, and nobody else; for dropping it everybody does, for moments.
_PATIENCE: Final = "SET LOCAL lock_timeout = 500"
_LONGEST: Final = timedelta(minutes=10)
_HOLD: Final = SQL("LOCK TABLE {notifications}, {deliveries}, {attempts}, {receipts} IN SHARE MODE")
_OPEN: Final = SQL("""
SELECT EXISTS (SELECT FROM due WHERE notification_id >= {low} AND notification_id < {high})
    OR EXISTS (SELECT FROM {deliveries} WHERE due_at IS NOT NULL OR status IN ('pending', 'sending', 'in_doubt'))
    OR EXISTS (SELECT FROM {receipts} WHERE look_at IS NOT NULL) AS open
""")
_COUNT: Final = SQL("""
INSERT INTO archived AS a (tenant, what, day, amount)
SELECT tenant, 'notifications', fn_day(id), count(*) FROM {notifications} GROUP BY 1, 3
UNION ALL
SELECT tenant, 'deliveries', fn_day(notification_id), count(*) FROM {deliveries} GROUP BY 1, 3
UNION ALL
SELECT tenant, 'receipts', fn_day(notification_id), count(*) FROM {receipts} GROUP BY 1, 3
ON CONFLICT (tenant, what, day) DO UPDATE SET amount = a.amount + excluded.amount
""")
_AMOUNT: Final = SQL("SELECT count(*) AS amount FROM {notifications}")
_DROP: Final = SQL("DROP TABLE {notifications}, {deliveries}, {attempts}, {receipts}")

_CLOSE: Final = """
UPDATE horizons SET day = extract(epoch FROM %(until)s::timestamptz)::bigint / 86400
WHERE what = 'history' AND day < extract(epoch FROM %(until)s::timestamptz)::bigint / 86400
"""

_REQUESTS: Final = SQL("""
WITH page AS (
    SELECT n.tenant, n.id, n.identity, n.user_id, n.type FROM {notifications} n
    WHERE (n.tenant, n.id) > ({tenant}, {id}) ORDER BY n.tenant, n.id LIMIT {limit}
), gone AS (
    DELETE FROM requests WHERE ctid = ANY (ARRAY(
        SELECT r.ctid FROM page p CROSS JOIN LATERAL (
            SELECT r.ctid FROM requests r
            WHERE r.tenant = p.tenant AND r.identity = p.identity AND r.user_id = p.user_id AND r.type = p.type
              AND r.notification_id = p.id LIMIT 1
        ) AS r))
)
SELECT tenant, id FROM page ORDER BY tenant DESC, id DESC LIMIT 1
""")

_REPEATS: Final = """
WITH gone AS (
    DELETE FROM requests WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM requests WHERE duplicate_of < %(bound)s::uuid
        ORDER BY duplicate_of LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
    RETURNING tenant, duplicate_of
), archived AS (
    INSERT INTO archived AS a (tenant, what, day, amount)
    SELECT tenant, 'repeats', fn_day(duplicate_of), count(*) FROM gone GROUP BY 1, 3
    ON CONFLICT (tenant, what, day) DO UPDATE SET amount = a.amount + excluded.amount
)
SELECT count(*) AS amount FROM gone
"""

# Of before there were partitions, or far from now: row by row. Whatever is open stays, with all that belongs to it.
_STRAYS: Final = """
WITH page AS (
    SELECT n.ctid, n.tenant, n.id, n.identity, n.user_id, n.type FROM notifications_default n
    WHERE n.id < %(bound)s::uuid
      AND NOT EXISTS (SELECT FROM due q WHERE q.tenant = n.tenant AND q.notification_id = n.id)
      AND NOT EXISTS (SELECT FROM receipts_default r
                      WHERE r.tenant = n.tenant AND r.notification_id = n.id AND r.look_at IS NOT NULL)
    ORDER BY n.id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), delivered AS (
    DELETE FROM deliveries_default d USING page p WHERE d.tenant = p.tenant AND d.notification_id = p.id
    RETURNING d.tenant, d.notification_id
), tried AS (
    DELETE FROM attempts_default a USING page p WHERE a.tenant = p.tenant AND a.notification_id = p.id
), reported AS (
    DELETE FROM receipts_default r USING page p WHERE r.tenant = p.tenant AND r.notification_id = p.id
    RETURNING r.tenant, r.notification_id
), asked AS (
    DELETE FROM requests r USING page p
    WHERE r.tenant = p.tenant AND r.identity = p.identity AND r.user_id = p.user_id AND r.type = p.type
      AND r.notification_id = p.id
), gone AS (
    DELETE FROM notifications_default n USING page p WHERE n.ctid = p.ctid RETURNING n.tenant, n.id
), archived AS (
    INSERT INTO archived AS a (tenant, what, day, amount)
    SELECT tenant, 'notifications', fn_day(id), count(*) FROM gone GROUP BY 1, 3
    UNION ALL
    SELECT tenant, 'deliveries', fn_day(notification_id), count(*) FROM delivered GROUP BY 1, 3
    UNION ALL
    SELECT tenant, 'receipts', fn_day(notification_id), count(*) FROM reported GROUP BY 1, 3
    ON CONFLICT (tenant, what, day) DO UPDATE SET amount = a.amount + excluded.amount
)
SELECT count(*) AS amount FROM gone
"""


async def prune_history(database: Database, until: datetime, limit: int) -> Pruned:
    """Drop the months before `until`, the first of one, that have nothing open; and up to `limit` strays.

    Requests go first, in pages. A month is counted and dropped in one transaction, all its tables together.
    """

    async def find(connection: Connection) -> list[Period]:
        return [one for one in await partitions_of(connection, HISTORY[0]) if one.end <= until]

    months = await database.run(find)
    free = [month for month in months if not await _is_open(database, month)]
    await _close(database, until)
    gone = 0
    for month in free:
        await _forget_requests(database, month, limit)
        gone += await _drop(database, month)

    async def rows(statement: str) -> int:
        async def work(connection: Connection) -> int:
            (row,) = await fetch(connection, statement, bound=str(first_id_at(until)), limit=limit)
            return int(row.amount)

        return await database.run(work)

    amounts = {"repeats": await rows(_REPEATS), "notifications": gone + await rows(_STRAYS)}
    held = {"notifications": len(months) - len(free)}
    return Pruned(
        amounts={what: amount for what, amount in amounts.items() if amount},
        held={what: amount for what, amount in held.items() if amount},
    )


async def _close(database: Database, until: datetime) -> None:
    """Of what is older the ledger asks for its archived numbers only, not for what belongs to it."""

    async def work(connection: Connection) -> None:
        await execute(connection, _CLOSE, until=until.isoformat())

    await database.run(work)


async def _is_open(database: Database, month: Period) -> bool:
    async def work(connection: Connection) -> bool:
        if not await _is_there(connection, month):
            return True
        (row,) = await (await connection.execute(_OPEN.format(**_parts(month)))).fetchall()
        return bool(row.open)

    return await database.run(work)


async def _forget_requests(database: Database, month: Period, limit: int) -> None:
    place = "", first_id_at(month.start)

    async def page(connection: Connection) -> list[tuple[str, UUID]]:
        if not await _is_there(connection, month):
            return []
        statement = _REQUESTS.format(
            **_parts(month), tenant=Literal(place[0]), id=Literal(place[1]), limit=Literal(limit)
        )
        return [(row.tenant, row.id) for row in await (await connection.execute(statement)).fetchall()]

    while last := await database.run(page):
        (place,) = last


async def _drop(database: Database, month: Period) -> int:
    """How many notifications went; 0 when something in it has opened again."""
    parts = _parts(month)

    async def work(connection: Connection) -> int:
        await connection.execute(_PATIENCE)
        if not await _is_there(connection, month):
            return 0
        await connection.execute(_HOLD.format(**parts))
        (row,) = await (await connection.execute(_OPEN.format(**parts))).fetchall()
        if row.open:
            return 0
        (row,) = await (await connection.execute(_AMOUNT.format(**parts))).fetchall()
        await connection.execute(_COUNT.format(**parts))
        await connection.execute(_DROP.format(**parts))
        return int(row.amount)

    return await database.run(work, longest=_LONGEST)


async def _is_there(connection: Connection, month: Period) -> bool:
    """Whether somebody else has not dropped it meanwhile."""
    return await still_there(connection, f"{HISTORY[0].table}_{month.suffix}")


def _parts(month: Period) -> dict[str, Composable]:
    names: dict[str, Composable] = {cut.table: Identifier(f"{cut.table}_{month.suffix}") for cut in HISTORY}
    return {**names, "low": Literal(first_id_at(month.start)), "high": Literal(first_id_at(month.end))}
