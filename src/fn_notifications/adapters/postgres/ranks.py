"""Ranks of new rows in the queue, by the rule of `fairness`. What it costs does not depend on how many rows wait."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from attrs import define, field

from fn_notifications.adapters.postgres.pool import Connection, execute, fetch
from fn_notifications.adapters.postgres.queue import new_place
from fn_notifications.adapters.postgres.reach import Reach
from fn_notifications.domain.address import Channel
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.fairness import next_turn
from fn_notifications.domain.notification import Notification

_PEOPLE: Final = """
SELECT i.user_id, i.channel, i.priority, q.highest, coalesce(p.reachable, false) AS reachable
FROM json_to_recordset(%(people)s) AS i (tenant text, user_id text, channel text, priority smallint)
LEFT JOIN LATERAL (
    SELECT q.rank AS highest FROM due q
    WHERE q.user_id = i.user_id AND q.channel = i.channel AND q.tenant = i.tenant AND q.priority = i.priority
      AND q.status NOT IN ('sent', 'delivered')
    ORDER BY q.rank DESC LIMIT 1
) AS q ON true
LEFT JOIN LATERAL (
    SELECT p.lookup IS NOT NULL AS reachable FROM contact_points p
    WHERE p.tenant = i.tenant AND p.user_id = i.user_id AND p.channel = i.channel LIMIT 1
) AS p ON true
"""

# In order of the keys. Nothing is written: a version of the row for every batch would be walked over by all later ones.
_LOCK: Final = """
INSERT INTO turns AS t (channel, priority, tenant, type, last, furthest)
SELECT channel, priority, tenant, type, -1, -1 FROM json_populate_recordset(NULL::turns, %(turns)s)
ON CONFLICT (channel, priority, tenant, type) DO UPDATE SET last = t.last WHERE false
"""

# Where a lane has got to: the first that may be claimed. Where nothing may, the first of those that may be so next,
# if everything is looked at; where nothing waits at all, behind everything there ever was, so that what comes back
# later is not overtaken for long.
_TURNS: Final = """
WITH floors AS MATERIALIZED (
    SELECT l.channel, l.priority, coalesce(
        (SELECT q.rank FROM due q
         WHERE q.ready AND q.channel = l.channel AND q.priority = l.priority AND q.rank >= coalesce(l.rank, -1)
         ORDER BY q.rank LIMIT 1),
        CASE WHEN l.rank IS NULL THEN (SELECT min(q.rank) FROM (
             SELECT channel, priority, rank FROM due
             WHERE NOT ready AND status = 'pending' ORDER BY coalesce(lease_until, due_at) LIMIT 100
        ) AS q WHERE q.channel = l.channel AND q.priority = l.priority) END,
        (SELECT max(t.furthest) FROM turns t WHERE t.channel = l.channel AND t.priority = l.priority),
        0) AS floor
    FROM json_to_recordset(%(lanes)s) AS l (channel text, priority smallint, rank bigint)
)
SELECT i.channel, i.priority, i.type, t.last, f.floor
FROM json_populate_recordset(NULL::turns, %(turns)s) AS i
CROSS JOIN LATERAL (
    SELECT t.last FROM turns t
    WHERE t.channel = i.channel AND t.priority = i.priority AND t.tenant = i.tenant AND t.type = i.type LIMIT 1
) AS t
JOIN floors f ON f.channel = i.channel AND f.priority = i.priority
"""

Queued = tuple[Notification, Delivery]
Lane = tuple[str, int]
"""Channel and priority."""


@define
class Ranks:
    """The ranks of one batch. Made by `take_turns`; its types' turns stay locked until the transaction ends."""

    tenant: str
    floors: dict[Lane, int] = field(factory=dict)
    last: dict[tuple[Lane, str], int] = field(factory=dict)
    furthest: dict[tuple[Lane, str], int] = field(factory=dict)
    highest: dict[tuple[Lane, str], int | None] = field(factory=dict)
    """Of each person's messages in a lane."""
    reachable: set[tuple[str, Channel]] = field(factory=set)

    def place(self, notification: Notification, delivery: Delivery, now: datetime) -> dict[str, Any]:
        """The row of the next delivery of the batch."""
        user = notification.user.user_id
        lane = (delivery.channel, notification.priority.rank)
        flow = (lane, notification.type)
        turn = next_turn(self.floors[lane], self.last[flow], self.highest[lane, user])
        self.last[flow], self.highest[lane, user] = turn.last, turn.rank
        self.furthest[flow] = max(turn.rank, self.furthest.get(flow, -1))
        reachable = (user, delivery.channel) in self.reachable
        return new_place(notification, delivery, now, rank=turn.rank, reachable=reachable).row()

    def turns(self) -> list[dict[str, Any]]:
        """How far the types have got then."""
        return [
            {**_turn(self.tenant, flow), "last": self.last[flow], "furthest": furthest}
            for flow, furthest in self.furthest.items()
        ]


async def take_turns(connection: Connection, tenant: str, queued: Sequence[Queued], reach: Reach[Lane, int]) -> Ranks:
    """Lock the turns of these deliveries' types, in order of their keys, and see where their people and lanes stand."""
    ranks = Ranks(tenant)
    if not queued:
        return ranks
    asked = {(each.channel, one.priority.rank, one.user.user_id, one.type) for one, each in queued}
    people = sorted({(user, channel, priority) for channel, priority, user, _ in asked})
    flows = sorted({((channel, priority), type_) for channel, priority, _, type_ in asked})
    persons = [{"tenant": tenant, "user_id": user, "channel": lane, "priority": rank} for user, lane, rank in people]
    for row in await fetch(connection, _PEOPLE, people=persons):
        ranks.highest[(row.channel, row.priority), row.user_id] = row.highest
        if row.reachable:
            ranks.reachable.add((row.user_id, row.channel))
    turns = [_turn(tenant, flow) for flow in flows]
    await execute(connection, _LOCK, turns=turns)
    with reach.look() as marks:
        lanes = [_lane(lane, marks.get(lane)) for lane in sorted({lane for lane, _ in flows})]
        rows = await fetch(connection, _TURNS, turns=turns, lanes=lanes)
    for row in rows:
        lane = (row.channel, row.priority)
        # Claims do not look further back than this then, so newcomers do not stand there.
        ranks.floors[lane] = max(row.floor, reach.resting.get(lane, row.floor))
        ranks.last[(row.channel, row.priority), row.type] = row.last
    for lane, floor in ranks.floors.items():
        reach.reached(lane, floor)
    return ranks


def _lane(lane: Lane, mark: int | None) -> dict[str, Any]:
    channel, priority = lane
    return {"channel": channel, "priority": priority, "rank": mark}


def _turn(tenant: str, flow: tuple[Lane, str]) -> dict[str, Any]:
    (channel, priority), type_ = flow
    return {"channel": channel, "priority": priority, "tenant": tenant, "type": type_}
