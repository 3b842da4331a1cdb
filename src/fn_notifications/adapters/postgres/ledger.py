"""The accounts, in PostgreSQL. Each equation is one statement, so that both its sides are of one moment."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Final

from fn_notifications.adapters.postgres.pool import Connection, Database, fetch
from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.application.ports.ledger import Account, Backlog, Equation, Ledger
from fn_notifications.domain.address import Channel
from fn_notifications.domain.identity import first_of_day
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.reasons import Reason

_LONGEST: Final = timedelta(minutes=10)
"""Of everything that is kept, some statements take minutes; each lets go of its snapshot when it ends."""
_ROOM: Final = "SET LOCAL work_mem = '64MB'"
"""What is counted per delivery is hashed: on disk it takes twice as long."""

_TODAY: Final = "SELECT (extract(epoch FROM fn_now())::bigint / 86400)::integer AS day"

_BATCHES: Final = """
SELECT coalesce(sum(greatest(i.events, c.told)), 0)::bigint AS expected,
       coalesce(sum(least(i.events, c.told)), 0)::bigint AS found
FROM intake i
CROSS JOIN LATERAL (SELECT coalesce(sum(value::bigint), 0) AS told FROM jsonb_each_text(i.counts)) AS c
WHERE i.tenant = %(tenant)s AND i.at >= to_timestamp(%(day)s * 86400.0) AND i.events IS NOT NULL
"""

# Things that a batch counts and that have a time of their own, which is the batch's.
_TIMED: Final = """
WITH since AS (SELECT greatest(%(day)s, day) AS day FROM horizons WHERE what = 'intake')
SELECT coalesce((SELECT sum(i.{column}) FROM intake i
                 WHERE i.tenant = %(tenant)s AND i.at >= to_timestamp(day * 86400.0)), 0)::bigint AS expected,
       (SELECT count(*) FROM {table} e
        WHERE e.tenant = %(tenant)s AND e.{at} >= to_timestamp(day * 86400.0))
       + coalesce((SELECT sum(a.amount) FROM archived a
                   WHERE a.tenant = %(tenant)s AND a.what = '{column}' AND a.day >= since.day), 0)::bigint AS found
FROM since
"""

# Things whose ids say their day. The first query below is the batches' word, whenever they came.
_DATED: Final = """
SELECT coalesce((SELECT sum((m.value ->> {place})::bigint)
                 FROM intake i CROSS JOIN LATERAL jsonb_each(i.made) AS m
                 WHERE i.tenant = %(tenant)s AND m.key::integer >= %(day)s), 0)::bigint AS expected,
       (SELECT count(*) FROM {table} t WHERE t.tenant = %(tenant)s AND t.{id} >= %(first)s::uuid)
       + coalesce((SELECT sum(a.amount) FROM archived a
                   WHERE a.tenant = %(tenant)s AND a.what = '{what}' AND a.day >= %(day)s), 0)::bigint AS found
"""

_REQUESTS: Final = """
WITH since AS (SELECT greatest(%(day)s, day) AS day FROM horizons WHERE what = 'history')
SELECT count(*) AS expected, count(r.tenant) AS found
FROM notifications n
LEFT JOIN requests r
  ON r.tenant = n.tenant AND r.identity = n.identity AND r.user_id = n.user_id AND r.type = n.type
WHERE n.tenant = %(tenant)s AND n.id >= %(first)s::uuid AND fn_day(n.id) >= (SELECT day FROM since)
"""

_REPORTS: Final = """
SELECT coalesce((SELECT sum(s.amount) FROM reported s
                 WHERE s.tenant = %(tenant)s AND s.day >= %(day)s), 0)::bigint AS expected,
       (SELECT count(*) FROM receipts r WHERE r.tenant = %(tenant)s AND r.notification_id >= %(first)s::uuid)
       + coalesce((SELECT sum(a.amount) FROM archived a
                   WHERE a.tenant = %(tenant)s AND a.what = 'receipts' AND a.day >= %(day)s), 0)::bigint AS found
"""

_PROOFS: Final = """
SELECT count(*) AS expected, count(a.no) AS found
FROM deliveries d
LEFT JOIN (
    SELECT DISTINCT notification_id, delivery_no AS no FROM attempts
    WHERE tenant = %(tenant)s AND notification_id >= %(first)s::uuid AND evidence >= 4
) AS a ON a.notification_id = d.notification_id AND a.no = d.no
WHERE d.tenant = %(tenant)s AND d.notification_id >= %(first)s::uuid AND d.status IN ('sent', 'delivered')
"""

_LOGGED: Final = """
WITH logged AS (
    SELECT l.notification_id, l.no, count(*) AS changes, max(l.attempts) AS attempts
    FROM event_log l
    WHERE l.tenant = %(tenant)s AND l.notification_id >= %(first)s::uuid
    GROUP BY l.notification_id, l.no
), tried AS (
    SELECT a.notification_id, a.delivery_no AS no, count(*) AS attempts
    FROM attempts a
    WHERE a.tenant = %(tenant)s AND a.notification_id >= %(first)s::uuid
    GROUP BY a.notification_id, a.delivery_no
), stored AS (
    SELECT d.notification_id, d.no, d.version
    FROM deliveries d
    WHERE d.tenant = %(tenant)s AND d.notification_id >= %(first)s::uuid
), sides AS (
    SELECT coalesce(s.version, 0) AS version, coalesce(l.changes, 0) AS changes,
           coalesce(l.attempts, 0) AS told, coalesce(t.attempts, 0) AS attempts
    FROM stored s
    FULL JOIN logged l USING (notification_id, no)
    FULL JOIN tried t USING (notification_id, no)
)
SELECT coalesce(sum(greatest(version, changes)), 0)::bigint AS changes_expected,
       coalesce(sum(least(version, changes)), 0)::bigint AS changes_found,
       coalesce(sum(greatest(told, attempts)), 0)::bigint AS attempts_expected,
       coalesce(sum(least(told, attempts)), 0)::bigint AS attempts_found
FROM sides
"""

_WAKE_UPS: Final = """
WITH awake AS (
    SELECT d.notification_id, d.no, d.status FROM deliveries d
    WHERE d.tenant = %(tenant)s AND d.notification_id >= %(first)s::uuid
      AND (d.due_at IS NOT NULL OR d.status = 'sending' OR d.status = 'delivered' AND (d.notification_id, d.no) IN (
          SELECT a.notification_id, a.delivery_no FROM attempts a
          WHERE a.tenant = %(tenant)s AND a.notification_id >= %(first)s::uuid AND a.evidence = 0))
), queued AS (
    SELECT q.notification_id, q.no, q.status FROM due q
    WHERE q.tenant = %(tenant)s AND q.notification_id >= %(first)s::uuid
)
SELECT count(*) AS expected, count(*) FILTER (WHERE a.status = q.status) AS found
FROM awake a FULL JOIN queued q USING (notification_id, no)
"""

_EVENTS: Final = """
SELECT c.key AS what, sum(c.value::bigint)::bigint AS amount
FROM intake i CROSS JOIN LATERAL jsonb_each_text(i.counts) AS c
WHERE i.tenant = %(tenant)s AND i.at >= to_timestamp(%(day)s * 86400.0) GROUP BY c.key
"""

_STATES: Final = """
SELECT status AS what, count(*) AS amount FROM deliveries
WHERE tenant = %(tenant)s AND notification_id >= %(first)s::uuid GROUP BY status
"""

_ARCHIVED: Final = """
SELECT what, sum(amount)::bigint AS amount FROM archived WHERE tenant = %(tenant)s AND day >= %(day)s GROUP BY what
"""

# Of a day after the oldest of the log all rows are in it; of what history keeps no longer some still are.
_LOG_SINCE: Final = """
SELECT max(CASE what WHEN 'event_log' THEN day + 1 ELSE day END) AS day FROM horizons
WHERE what IN ('event_log', 'history')
"""

# Since when: the changes after the last one that is no turning down, as in `turned_down_since`.
_BACKLOG: Final = """
SELECT n.type, w.channel, w.reason, count(*) AS deliveries, min(w.since) AS since
FROM (
    SELECT q.tenant, q.notification_id, q.channel, d.down AS reason,
           CASE WHEN d.down IS NULL THEN q.due_at ELSE coalesce(c.since, q.due_at) END AS since
    FROM due q
    CROSS JOIN LATERAL (
        SELECT CASE WHEN d.reason IN ('held', 'lane_waits') THEN d.reason END AS down, d.changes FROM deliveries d
        WHERE d.tenant = q.tenant AND d.notification_id = q.notification_id AND d.no = q.no LIMIT 1
    ) AS d
    LEFT JOIN LATERAL (
        SELECT min(at) FILTER (WHERE no > coalesce(last, 0)) AS since
        FROM (
            SELECT (c.value ->> 0)::timestamptz AS at, c.no,
                   max(c.no) FILTER (WHERE coalesce(c.value ->> 2, '') NOT IN ('held', 'lane_waits')) OVER () AS last
            FROM jsonb_array_elements(d.changes) WITH ORDINALITY AS c (value, no)
            WHERE jsonb_typeof(c.value -> 1) = 'string' AND c.value ->> 1 <> 'late'
        ) AS c
    ) AS c ON d.down IS NOT NULL
    WHERE q.tenant = %(tenant)s AND q.status = 'pending' AND (d.down IS NOT NULL OR q.due_at <= (SELECT fn_now()))
) AS w
JOIN notifications n ON n.tenant = w.tenant AND n.id = w.notification_id
GROUP BY n.type, w.channel, w.reason
"""

_SIMPLE: Final = {
    Equation.EVENTS: _BATCHES,
    Equation.IDENTITIES: _TIMED.format(column="identities", table="event_identities", at="at"),
    Equation.DEAD_LETTERS: _TIMED.format(column="dead_letters", table="dead_letters", at="at"),
    Equation.HELD: _TIMED.format(column="held", table="quarantine", at="held_at"),
    Equation.NOTIFICATIONS: _DATED.format(place=0, table="notifications", id="id", what="notifications"),
    Equation.DELIVERIES: _DATED.format(place=1, table="deliveries", id="notification_id", what="deliveries"),
    Equation.REPEATS: _DATED.format(place=2, table="requests", id="duplicate_of", what="repeats"),
    Equation.REQUESTS: _REQUESTS,
    Equation.REPORTS: _REPORTS,
    Equation.PROOFS: _PROOFS,
    Equation.WAKE_UPS: _WAKE_UPS,
}


async def read_ledger(database: Database, tenant: str, days: int | None) -> Ledger:
    """The accounts, of the last `days` or of all that is kept."""
    day = 0
    if days is not None:
        (today,) = await _rows(database, _TODAY, {})
        day = today.day - days + 1
    window = {"tenant": tenant, "day": day, "first": str(first_of_day(day))}
    accounts = []
    for equation, statement in _SIMPLE.items():
        (row,) = await _rows(database, statement, window)
        accounts.append(Account(equation=equation, expected=row.expected, found=row.found))
    (oldest,) = await _rows(database, _LOG_SINCE, {})
    (row,) = await _rows(database, _LOGGED, {**window, "first": str(first_of_day(max(day, oldest.day)))})
    accounts += [
        Account(equation=Equation.TRANSITIONS, expected=row.changes_expected, found=row.changes_found),
        Account(equation=Equation.ATTEMPTS, expected=row.attempts_expected, found=row.attempts_found),
    ]
    counts = {
        name: {row.what: row.amount for row in await _rows(database, statement, window)}
        for name, statement in (("events", _EVENTS), ("states", _STATES), ("archived", _ARCHIVED))
    }
    return Ledger(
        events={EventOutcome(what): amount for what, amount in counts["events"].items()},
        deliveries={Status(what): amount for what, amount in counts["states"].items()},
        archived=counts["archived"],
        accounts=tuple(accounts),
    )


async def read_backlog(database: Database, tenant: str) -> Sequence[Backlog]:
    """What waits for its way out."""
    return [
        Backlog(
            type=row.type,
            channel=Channel(row.channel),
            reason=row.reason and Reason(row.reason),
            deliveries=row.deliveries,
            since=row.since,
        )
        for row in await _rows(database, _BACKLOG, {"tenant": tenant})
    ]


async def _rows(database: Database, statement: str, values: dict[str, Any]) -> list[Any]:
    named = {name: value for name, value in values.items() if f"%({name})s" in statement}

    async def work(connection: Connection) -> list[Any]:
        await connection.execute(_ROOM)
        return await fetch(connection, statement, **named)

    return await database.run(work, longest=_LONGEST)
