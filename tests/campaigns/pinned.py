"""Somebody's old transaction keeps what died from being cleared away: what does that cost the queue?

`python -m tests.campaigns.pinned --dead 3000000` prints one JSON line: milliseconds for 100 deliveries from intake to
answer, before, behind an old transaction with so many dead rows in the queue, and after it. It fails when less than
70 % of the throughput is left, or comes back.
"""

import argparse
import asyncio
import json
import sys
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any, Final, TypeVar

import psycopg
from attrs import define, field
from tests.services.postgres import postgres_server
from tests.services.stores import migrated, postgres_stores

from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.deliveries import Lease
from fn_notifications.domain.address import EMAIL
from fn_notifications.domain.catalogue import Priority
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.testing.contracts.fairness import queued
from fn_notifications.testing.contracts.stores import Stores, allowing, answer, meet, user

T = TypeVar("T")

_WAVE: Final = 100
_LEAST: Final = 0.7
_SETTLING: Final = 8.0
"""Seconds until marks that were made behind the old transaction are read from."""
_LEASE: Final = timedelta(seconds=120)

# The life of a row in the queue: taken in, leased, called, settled.
_LIVES: Final = (
    """
    INSERT INTO due (notification_id, rank, due_at, expires_at, no, priority, ready, awaits_contact, tenant, user_id,
                     channel, status)
    SELECT gen_random_uuid(), t.last + n, fn_now() - interval '1 hour', 'infinity', 1, %(priority)s, true, false,
           'default', 'gone-' || n, 'email', 'pending'
    FROM generate_series(1, %(dead)s) AS n, (SELECT coalesce(max(furthest), 0) AS last FROM turns) AS t
    """,
    "UPDATE due SET ready = false, lease_until = due_at + rank * interval '1 ms' WHERE user_id LIKE 'gone-%%'",
    "UPDATE due SET status = 'sending' WHERE user_id LIKE 'gone-%%'",
    "DELETE FROM due WHERE user_id LIKE 'gone-%%'",
    "UPDATE turns SET last = last + %(dead)s, furthest = furthest + %(dead)s",
)


@define
class Waves:
    """Waves of deliveries, and how long they took."""

    stores: Stores
    spent: defaultdict[str, float] = field(factory=lambda: defaultdict(float))
    timeouts: int = 0
    _number: int = 0

    async def run(self, span: float) -> dict[str, float]:
        """Send wave after wave for so many seconds. Returns the milliseconds of one, by what they were spent on."""
        self.spent.clear()
        waves, end = 0, time.monotonic() + span
        while time.monotonic() < end:
            await self._wave()
            waves += 1
        return {what: round(spent * 1000 / waves, 1) for what, spent in self.spent.items()}

    async def _wave(self) -> None:
        deliveries, self._number = self.stores.deliveries, self._number + 1
        people = [user(f"p{number}") for number in range(_WAVE)]
        await self._timed("store", lambda: queued(self.stores, people, f"wave{self._number}"))
        leases: list[Lease] = []
        while len(leases) < _WAVE:
            leases += await self._timed("claim", lambda: deliveries.claim({EMAIL: _WAVE}, worker="w", lease=_LEASE))
        begun = await self._timed("begin", lambda: deliveries.begin(leases, allowing()))
        answers = [answer(one, OutcomeKind.ACCEPTED) for one in begun]
        await self._timed("finish", lambda: deliveries.finish(answers))
        await self._timed("overdue", lambda: deliveries.overdue(_WAVE))

    async def _timed(self, what: str, do: Callable[[], Awaitable[T]]) -> T:
        """A look at everything may take longer than a statement may: the service tries again then, and so does this."""
        began = time.monotonic()
        try:
            while True:
                try:
                    return await do()
                except Unavailable:
                    self.timeouts += 1
        finally:
            self.spent[what] += time.monotonic() - began


async def campaign(url: str, dead: int, span: float) -> tuple[dict[str, dict[str, float]], int]:
    """What a wave costs before, behind an old transaction, and after it, on a migrated database; and how many
    statements took too long.
    """
    async with postgres_stores(url) as (stores, _), await psycopg.AsyncConnection.connect(url) as old:
        waves = Waves(stores)
        for number in range(_WAVE):
            await meet(stores, user(f"p{number}"), email=f"p{number}@example.com")
        await waves.run(_SETTLING)
        told = {"before": await waves.run(span)}
        await old.set_isolation_level(psycopg.IsolationLevel.REPEATABLE_READ)
        await old.execute("SELECT FROM due")
        async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
            for statement in _LIVES:
                await connection.execute(statement, {"dead": dead, "priority": Priority.NORMAL.rank})
            await waves.run(_SETTLING)
            told["behind"] = await waves.run(span)
            await old.rollback()
            await connection.execute("VACUUM due")
        await waves.run(_SETTLING)
        return told | {"after": await waves.run(span)}, waves.timeouts


def main() -> int:
    """Run the campaign on a server of its own. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dead", type=int, default=3_000_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    given = parser.parse_args()
    with postgres_server() as server:
        server.use_template(migrated)
        told, timeouts = asyncio.run(campaign(server.fresh_database(), given.dead, given.seconds))
    costs = {when: sum(spent.values()) for when, spent in told.items()}
    left = {when: round(costs["before"] / cost, 2) for when, cost in costs.items()}
    report: dict[str, Any] = {"dead": given.dead, "milliseconds": told, "throughput": left, "timeouts": timeouts}
    print(json.dumps(report))  # noqa: T201 - a command prints
    return int(min(left.values()) < _LEAST)


if __name__ == "__main__":
    sys.exit(main())
