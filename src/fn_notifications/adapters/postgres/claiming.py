"""Leasing what is due: what slept until now is woken, then the first of each lane are taken."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import field, frozen

from fn_notifications.adapters.postgres.pool import Connection, fetch
from fn_notifications.adapters.postgres.ranks import Lane
from fn_notifications.adapters.postgres.reach import Reach, since
from fn_notifications.adapters.postgres.rows import key_of
from fn_notifications.application.ports.deliveries import Lease
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import Priority

_PROMOTED: Final = 1000
"""How many rows whose time has come one claim makes ready, before it takes from those that are."""
_ASLEEP: Final = "pending"

# The row locks of the inner SELECT hold until the end of the transaction, so no row moves before it is updated; SKIP
# LOCKED keeps claims from ever waiting, for each other or for anybody.
_PROMOTE: Final = """
WITH t AS MATERIALIZED (
    SELECT fn_now() AS now
), page AS MATERIALIZED (
    SELECT ctid AS place, coalesce(lease_until, due_at) AS at FROM due
    WHERE NOT ready AND status = 'pending' AND coalesce(lease_until, due_at) <= (SELECT now FROM t)
      AND coalesce(lease_until, due_at) >= %(since)s::timestamptz
    ORDER BY coalesce(lease_until, due_at) LIMIT %(limit)s FOR UPDATE SKIP LOCKED
), woken AS (
    UPDATE due SET ready = true, lease_until = NULL, worker = NULL, held = false
    WHERE ctid = ANY (ARRAY(SELECT place FROM page))
)
SELECT CASE WHEN count(*) < %(limit)s THEN (SELECT now FROM t) ELSE max(at) END AS until, (
    SELECT coalesce(json_agg(f), '[]')
    FROM (SELECT channel, priority, max(furthest) AS rank FROM turns GROUP BY channel, priority) AS f
) AS lanes
FROM page
"""

# Lane after lane in the order they come in, each only as far as the limit of all leaves something to take.
_CLAIM: Final = """
WITH taken AS (
    UPDATE due SET ready = false, lease_until = (SELECT fn_now()) + make_interval(secs => %(lease)s),
                   token = nextval('lease_token'), worker = %(worker)s
    WHERE ctid = ANY (ARRAY(
        SELECT q.ctid
        FROM json_to_recordset(%(wanted)s) AS i (channel text, wanted integer, lanes json)
        CROSS JOIN LATERAL (
            SELECT q.ctid
            FROM json_to_recordset(i.lanes) AS l (priority smallint, rank bigint)
            CROSS JOIN LATERAL (
                SELECT q.ctid FROM due q
                WHERE q.ready AND q.channel = i.channel AND q.priority = l.priority AND q.rank >= l.rank
                ORDER BY q.rank, q.due_at LIMIT i.wanted FOR UPDATE SKIP LOCKED
            ) AS q LIMIT i.wanted
        ) AS q))
    RETURNING tenant, notification_id, no, channel, token, lease_until, priority, rank, due_at
)
SELECT tenant, notification_id, no, channel, token, lease_until, priority, rank
FROM taken ORDER BY priority, rank, due_at
"""


@frozen
class Claims:
    """The claims of one process. A lane that was taken empty is reached to the highest rank that it ever had."""

    asleep: Reach[str, datetime] = field(factory=Reach)
    ready: Reach[Lane, int] = field(factory=Reach)

    async def take(
        self, connection: Connection, wanted: Mapping[Channel, int], *, worker: str, lease: timedelta
    ) -> Sequence[Lease]:
        """Lease up to so many of each channel, in the caller's transaction."""
        with self.asleep.look() as marks:
            (page,) = await fetch(connection, _PROMOTE, limit=_PROMOTED, since=since(marks, _ASLEEP))
        self.asleep.reached(_ASLEEP, page.until)
        furthest = {(one["channel"], one["priority"]): one["rank"] for one in page.lanes}
        with self.ready.look() as ranks:
            channels = [_channel(channel, limit, ranks) for channel, limit in wanted.items()]
            rows = await fetch(connection, _CLAIM, wanted=channels, lease=lease.total_seconds(), worker=worker)
        taken = Counter(row.channel for row in rows)
        reached = {lane: rank for lane, rank in furthest.items() if taken[lane[0]] < wanted.get(lane[0], 0)}
        for lane, rank in ({(row.channel, row.priority): row.rank for row in rows} | reached).items():
            self.ready.reached(lane, rank)
        return [
            Lease(key=key_of(row), channel=Channel(row.channel), token=row.token, until=row.lease_until) for row in rows
        ]


def _channel(channel: Channel, limit: int, ranks: Mapping[Lane, int]) -> dict[str, Any]:
    lanes = [{"priority": one.rank, "rank": ranks.get((channel, one.rank), -1)} for one in Priority]
    return {"channel": channel, "wanted": limit, "lanes": lanes}
