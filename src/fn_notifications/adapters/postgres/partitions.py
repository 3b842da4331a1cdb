"""Partitions made ahead of time: history by month of the notification's id, the event log by day."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import frozen
from psycopg.sql import SQL, Composable, Identifier, Literal

from fn_notifications.adapters.postgres.pool import Connection, Database, fetch
from fn_notifications.domain.identity import first_id_at

_BEHIND: Final = 1
_AHEAD: Final = 3
"""Periods before and after the present one. What falls outside lies in the default partition."""

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('fn-notifications partitions', 0))"
# Not by `to_regclass`: it reads a cache that, after waiting for an advisory lock, may not have heard yet.
_EXISTS: Final = """
SELECT EXISTS (SELECT FROM pg_class WHERE relname = %s AND pg_table_is_visible(oid)) AS made
"""

# A default partition is locked while a new one is taken out of it: not at the price of everybody waiting behind us.
_PATIENCE: Final = SQL("SET LOCAL lock_timeout = 2000")
_CREATE: Final = SQL(
    "CREATE TABLE {partition} (LIKE {table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS INCLUDING INDEXES) "
    "WITH ({options})"
)
_LOCK_DEFAULT: Final = SQL("LOCK TABLE {default} IN ACCESS EXCLUSIVE MODE")
_MOVE: Final = SQL(
    "WITH moved AS (DELETE FROM {default} WHERE {column} >= {low} AND {column} < {high} RETURNING *) "
    "INSERT INTO {partition} SELECT * FROM moved"
)
_ATTACH: Final = SQL("ALTER TABLE {table} ATTACH PARTITION {partition} FOR VALUES FROM ({low}) TO ({high})")


@frozen(kw_only=True)
class Period:
    """A span of time, from `start` up to `end`, that one partition holds."""

    start: datetime
    end: datetime
    suffix: str


@frozen(kw_only=True)
class Partitioned:
    """A table and how it is cut."""

    table: str
    column: str
    daily: bool = False
    fillfactor: int = 100
    """Leaves room for updates in place, where rows have them. An attempt takes twice as much when it is answered."""

    def periods(self, now: datetime) -> Iterator[Period]:
        """The periods that should have a partition at `now`."""
        for offset in range(-_BEHIND, _AHEAD + 1):
            yield _day(now, offset) if self.daily else _month(now, offset)

    def bound(self, moment: datetime) -> Literal:
        """A moment as a value of the column."""
        return Literal(moment if self.daily else first_id_at(moment))


TABLES: Final = (
    Partitioned(table="notifications", column="id"),
    Partitioned(table="deliveries", column="notification_id", fillfactor=60),
    Partitioned(table="attempts", column="notification_id", fillfactor=50),
    Partitioned(table="receipts", column="notification_id", fillfactor=80),
    Partitioned(table="event_log", column="at", daily=True),
)


HISTORY: Final = tuple(cut for cut in TABLES if not cut.daily)
"""Those that a month of is thrown away together."""
EVENT_LOG: Final = next(cut for cut in TABLES if cut.daily)

_LISTED: Final = """
SELECT c.relname AS name FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = %(table)s::regclass AND c.relname ~ '_[0-9]+$' ORDER BY c.relname
"""


async def partitions_of(connection: Connection, cut: Partitioned) -> list[Period]:
    """The periods that a table has a partition for, oldest first."""
    rows = await fetch(connection, _LISTED, table=cut.table)
    return [_period(row.name.removeprefix(f"{cut.table}_"), daily=cut.daily) for row in rows]


async def still_there(connection: Connection, name: str) -> bool:
    """Whether a partition exists; until the transaction ends nobody makes or drops any."""
    await connection.execute(_LOCK)
    (row,) = await (await connection.execute(_EXISTS, (name,))).fetchall()
    return bool(row.made)


async def ensure_partitions(database: Database, now: datetime) -> None:
    """Make the partitions that are missing, from the period before `now` to three ahead. Idempotent.

    Each in a transaction of its own; rows that lie in the default partition meanwhile move over. Raises
    `Unavailable` when a table is too busy to be locked for it: the default partition goes on taking its rows, and
    the next call tries again.
    """
    for cut in TABLES:
        for period in cut.periods(now):
            await _ensure(database, cut, period)


async def _ensure(database: Database, cut: Partitioned, period: Period) -> None:
    name = f"{cut.table}_{period.suffix}"

    async def work(connection: Connection) -> None:
        if not await still_there(connection, name):
            await _make(connection, cut, period, name)

    await database.run(work)


async def _make(connection: Connection, cut: Partitioned, period: Period, name: str) -> None:
    parts: dict[str, Composable] = {
        "table": Identifier(cut.table),
        "partition": Identifier(name),
        "default": Identifier(f"{cut.table}_default"),
        "column": Identifier(cut.column),
        "low": cut.bound(period.start),
        "high": cut.bound(period.end),
        "options": SQL("fillfactor = {}").format(Literal(cut.fillfactor)),
    }
    for statement in (_PATIENCE, _CREATE, _LOCK_DEFAULT, _MOVE, _ATTACH):
        await connection.execute(statement.format(**parts))


def _day(now: datetime, offset: int) -> Period:
    start = now.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=offset)
    return Period(start=start, end=start + timedelta(days=1), suffix=f"{start:%Y%m%d}")


def _month(now: datetime, offset: int) -> Period:
    start, end = _first_of_month(now, offset), _first_of_month(now, offset + 1)
    return Period(start=start, end=end, suffix=f"{start:%Y%m}")


def _period(suffix: str, *, daily: bool) -> Period:
    start = datetime.strptime(suffix, "%Y%m%d" if daily else "%Y%m").replace(tzinfo=UTC)
    return _day(start, 0) if daily else _month(start, 0)


def _first_of_month(now: datetime, offset: int) -> datetime:
    year, month = divmod(now.year * 12 + now.month - 1 + offset, 12)
    return now.replace(year=year, month=month + 1, day=1, hour=0, minute=0, second=0, microsecond=0)
