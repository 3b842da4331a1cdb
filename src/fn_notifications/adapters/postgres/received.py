"""How much each person was told of a type within the hour: one row each, locked by whoever is about to add to it.

A row that is locked and written, and not a count over stored notifications: two intakes at the same moment would each
count without the other's, and an index for it would be written for every notification of all time.
"""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

from fn_notifications.adapters.postgres.pool import Connection, execute, fetch
from fn_notifications.application.sieve import Flow
from fn_notifications.domain.preferences import UserRef
from fn_notifications.domain.quarantine import within_hour

_ADD: Final = """
INSERT INTO received AS r (tenant, user_id, type, recent, seen)
SELECT tenant, user_id, type, recent, seen FROM json_populate_recordset(NULL::received, %(flows)s)
ON CONFLICT (tenant, user_id, type) DO UPDATE SET
    recent = ARRAY(SELECT at FROM unnest(r.recent) AS at WHERE at > excluded.seen - interval '1 hour')
             || excluded.recent,
    seen = excluded.seen
RETURNING r.tenant, r.user_id, r.type, r.recent
"""

_CORRECT: Final = """
INSERT INTO received (tenant, user_id, type, recent, seen)
SELECT tenant, user_id, type, recent, seen FROM json_populate_recordset(NULL::received, %(flows)s)
ON CONFLICT (tenant, user_id, type) DO UPDATE SET recent = excluded.recent
"""

Received = Mapping[Flow, tuple[datetime, ...]]
"""When each person was last told something of a type."""


async def add_received(connection: Connection, asked: Mapping[Flow, int], now: datetime) -> Received:
    """Lock these, in their order, and return what they held before. What is asked for is added to them at once, as if
    all of it were told: that is nearly always so, and then nothing is left to write.
    """
    if not asked:
        return {}
    rows = [_row(flow, [now] * asked[flow], now) for flow in sorted(asked, key=_order)]
    held = {
        (UserRef(tenant=row.tenant, user_id=row.user_id), row.type): row.recent
        for row in await fetch(connection, _ADD, flows=rows)
    }
    return {flow: tuple(recent[: -asked[flow]]) for flow, recent in held.items()}


async def correct_received(
    connection: Connection, asked: Mapping[Flow, int], before: Received, told: Received, now: datetime
) -> None:
    """Take back what was added and not told after all. These are locked."""
    wrong = {}
    for flow, amount in asked.items():
        times = told[flow] if flow in told else within_hour(before[flow], now)
        if len(times) != len(before[flow]) + amount:
            wrong[flow] = times
    if wrong:
        rows = [_row(flow, list(wrong[flow]), now) for flow in sorted(wrong, key=_order)]
        await execute(connection, _CORRECT, flows=rows)


def _row(flow: Flow, recent: list[datetime], now: datetime) -> dict[str, Any]:
    user, type_ = flow
    return {"tenant": user.tenant, "user_id": user.user_id, "type": type_, "recent": recent, "seen": now}


def _order(flow: Flow) -> tuple[str, str, str]:
    user, type_ = flow
    return user.tenant, user.user_id, type_
