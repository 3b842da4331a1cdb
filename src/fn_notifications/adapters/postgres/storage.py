"""PostgreSQL's own upkeep: rows and partitions whose time is over, and how it fares."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import asdict, frozen

from fn_notifications.adapters.postgres.aggregates import store_time
from fn_notifications.adapters.postgres.history_pruning import prune_history
from fn_notifications.adapters.postgres.log_pruning import prune_log
from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.application.ports.storage import Keeping, Pruned, Vitals
from fn_notifications.application.taken import Taken, folded

# SKIP LOCKED: what somebody else is about is left for the next round, and nobody counts it twice.
_GONE: Final = """
WITH gone AS (
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {table} WHERE {column} < %(until)s::timestamptz
        ORDER BY {column} LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
    RETURNING tenant, {column} AS at
), archived AS (
    INSERT INTO archived AS a (tenant, what, day, amount)
    SELECT tenant, '{what}', extract(epoch FROM at)::bigint / 86400, count(*) FROM gone GROUP BY 1, 3
    ON CONFLICT (tenant, what, day) DO UPDATE SET amount = a.amount + excluded.amount
)
SELECT count(*) AS amount FROM gone
"""

_SETTLED: Final = """
WITH gone AS (
    DELETE FROM quarantine WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM quarantine WHERE held_at < %(until)s::timestamptz AND outcome IS NOT NULL
        ORDER BY held_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
    RETURNING tenant, held_at
), archived AS (
    INSERT INTO archived AS a (tenant, what, day, amount)
    SELECT tenant, 'held', extract(epoch FROM held_at)::bigint / 86400, count(*) FROM gone GROUP BY 1, 3
    ON CONFLICT (tenant, what, day) DO UPDATE SET amount = a.amount + excluded.amount
)
SELECT count(*) AS amount FROM gone
"""

_EVENTS: Final = {
    "identities": _GONE.format(table="event_identities", column="at", what="identities"),
    "dead_letters": _GONE.format(table="dead_letters", column="at", what="dead_letters"),
    "held": _SETTLED,
    "dedup_keys": _GONE.format(table="dedup_keys", column="seen", what="dedup_keys"),
}

_REPORTS: Final = """
WITH gone AS (
    DELETE FROM receipts_default WHERE ctid = ANY (ARRAY(
        SELECT r.ctid FROM receipts_default r
        WHERE r.received_at < %(until)s::timestamptz AND r.look_at IS NULL
          AND NOT EXISTS (SELECT FROM notifications n WHERE n.tenant = r.tenant AND n.id = r.notification_id)
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
    RETURNING tenant, notification_id
), archived AS (
    INSERT INTO archived AS a (tenant, what, day, amount)
    SELECT tenant, 'receipts', fn_day(notification_id), count(*) FROM gone GROUP BY 1, 3
    ON CONFLICT (tenant, what, day) DO UPDATE SET amount = a.amount + excluded.amount
)
SELECT count(*) AS amount FROM gone
"""

_UNFOLDED: Final = """
SELECT * FROM intake WHERE NOT folded AND at < %(until)s::timestamptz
ORDER BY id LIMIT %(limit)s FOR UPDATE SKIP LOCKED
"""

_FOLD: Final = """
WITH gone AS (
    DELETE FROM intake WHERE id IN (SELECT id FROM json_to_recordset(%(old)s) AS i (id bigint))
)
INSERT INTO intake
    (tenant, topic, partition, first_offset, last_offset, at, counts, events, identities, dead_letters, held,
     made, folded)
SELECT tenant, topic, partition, first_offset, last_offset, at, counts, events, identities, dead_letters, held,
       made, true
FROM json_populate_recordset(NULL::intake, %(intake)s)
"""

# Whoever has a snapshot keeps the rows that died since; a prepared transaction does until somebody ends it.
_VITALS: Final = """
SELECT coalesce(greatest(
           (SELECT max(clock_timestamp() - xact_start) FROM pg_stat_activity
            WHERE datname = current_database() AND backend_xmin IS NOT NULL AND pid <> pg_backend_pid()),
           (SELECT max(clock_timestamp() - prepared) FROM pg_prepared_xacts WHERE database = current_database())
       ), '0') AS oldest_transaction,
       coalesce((SELECT n_dead_tup FROM pg_stat_user_tables WHERE relid = 'due'::regclass), 0) AS queue_dead
"""


@frozen
class PostgresStorage:
    """The Storage port."""

    database: Database

    async def prune(self, keeping: Keeping, limit: int) -> Pruned:
        """See the port. Raises `Unavailable` when a partition is too busy to be dropped; the next round tries again."""
        now = await self._now()
        amounts = {what: await self._gone(one, now - keeping.events, limit) for what, one in _EVENTS.items()}
        amounts["receipts"] = await self._gone(_REPORTS, now - keeping.events, limit)
        amounts["intakes"] = await self._fold(_midnight(now - keeping.queue), limit)
        log = await prune_log(self.database, _midnight(now - keeping.log), limit)
        history = await prune_history(self.database, _midnight(now - keeping.history).replace(day=1), limit)
        return Pruned(
            amounts={what: amount for what, amount in {**amounts, **log.amounts, **history.amounts}.items() if amount},
            held={**log.held, **history.held},
        )

    async def vitals(self) -> Vitals:
        """See the port. Of sessions of other roles only what `pg_read_all_stats` shows."""

        async def work(connection: Connection) -> Vitals:
            (row,) = await fetch(connection, _VITALS)
            age = max(row.oldest_transaction, timedelta())
            return Vitals(oldest_transaction=age, queue_dead=row.queue_dead)

        return await self.database.run(work)

    async def _now(self) -> datetime:
        return await self.database.run(store_time)

    async def _gone(self, statement: str, until: datetime, limit: int) -> int:
        async def work(connection: Connection) -> int:
            (row,) = await fetch(connection, statement, until=until.isoformat(), limit=limit)
            return int(row.amount)

        return await self.database.run(work)

    async def _fold(self, until: datetime, limit: int) -> int:
        """Make one intake of the many of a day and partition. Returns how many fewer there are."""

        async def work(connection: Connection) -> int:
            rows = await fetch(connection, _UNFOLDED, until=until.isoformat(), limit=limit)
            days: dict[tuple[str, datetime], list[Any]] = {}
            for row in rows:
                days.setdefault((row.tenant, _midnight(row.at)), []).append(row)
            fewer = [
                {"tenant": tenant, "at": day, **asdict(one)}
                for (tenant, day), of_day in days.items()
                for one in folded(map(_taken, of_day))
            ]
            if rows:
                await execute(connection, _FOLD, old=[{"id": row.id} for row in rows], intake=fewer)
            return len(rows) - len(fewer)

        return await self.database.run(work)


def _taken(row: Any) -> Taken:
    return Taken(
        topic=row.topic,
        partition=row.partition,
        first_offset=row.first_offset,
        last_offset=row.last_offset,
        # Those of before they were counted apart add up by themselves.
        events=sum(row.counts.values()) if row.events is None else row.events,
        counts={EventOutcome(outcome): amount for outcome, amount in row.counts.items()},
        identities=row.identities or 0,
        dead_letters=row.dead_letters or 0,
        held=row.held or 0,
        made=_made(row.made or {}) or None,
    )


def _made(packed: Mapping[str, list[int]]) -> dict[int, tuple[int, int, int]]:
    return {int(day): (made[0], made[1], made[2]) for day, made in packed.items()}


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)
