"""PostgreSQL's event log, queue and history under slow, old and reading transactions: faults 31, 38 and 48."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

import psycopg
import pytest
from attrs import evolve
from psycopg.sql import SQL, Identifier
from tests.services.stores import VAULT

from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.postgres.aggregates import _LOCK
from fn_notifications.adapters.postgres.claiming import _CLAIM, Claims
from fn_notifications.adapters.postgres.deliveries import PostgresDeliveries
from fn_notifications.adapters.postgres.pool import Database, fetch
from fn_notifications.adapters.postgres.ranks import Lane
from fn_notifications.adapters.postgres.reach import Reach
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.deliveries import Begun, Gate
from fn_notifications.application.pruning import Watch
from fn_notifications.domain.catalogue import Priority
from fn_notifications.domain.commands import Cancel
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.contracts.storage import KEEPING, LONG, balanced, everything
from fn_notifications.testing.contracts.stores import (
    ADA,
    NEWS,
    TENANT,
    Stores,
    allowing,
    answer,
    claim,
    deciding,
    event,
    meet,
    now,
    proposal,
    stored,
    user,
)

pytestmark = pytest.mark.external

WAVE: Final = 40
WAVES: Final = 15
FEW: Final = 20
"""Pages of 8 kB that a look at a few index entries may touch. What died fills more."""


async def test_fault_31_what_a_slow_transaction_wrote_is_published_too(world: tuple[Stores, Database]) -> None:
    """It took its place in the log first and commits last; who publishes in between does not pass it."""
    stores, database = world
    slow, *quick = await _begun(stores, 4, "n")
    deliveries = stores.deliveries
    assert isinstance(deliveries, PostgresDeliveries)
    published: list[str] = []
    async with database.transaction() as connection:
        await deliveries._finish(connection, [answer(slow, OutcomeKind.ACCEPTED)])
        await deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in quick])
        published += await _publish(stores)
        assert slow.lease.key.event_key not in published
    published += await _publish(stores)
    assert sorted(published) == sorted(one.lease.key.event_key for one in (slow, *quick))


async def test_fault_38_an_old_transaction_raises_one_alarm(world: tuple[Stores, Database]) -> None:
    """While somebody looks at an old picture of the data; and it is said when it is over."""
    stores, database = world
    telemetry = MemoryTelemetry()
    watch = Watch(
        storage=stores.storage,
        log=stores.eventlog,
        history=stores.history,
        telemetry=telemetry,
        tenant=TENANT,
        keeping=KEEPING,
        old=timedelta(milliseconds=100),
    )
    async with database.transaction(snapshot=True) as connection:
        await connection.execute("SELECT FROM due")
        async with asyncio.timeout(30):
            while not telemetry.lines:
                await watch.once()
        await watch.once()
        age = telemetry.level("storage.oldest_transaction")
        assert age is not None
        assert age >= 0.1
    await watch.once()
    assert [(line.level, line.event) for line in telemetry.lines] == [
        ("error", "storage.old_transaction"),
        ("info", "storage.old_transaction.over"),
    ]


async def test_fault_38_claims_go_on_behind_an_old_transaction(
    world: tuple[Stores, Database], postgres_url: str
) -> None:
    """Somebody holds an old picture while wave after wave is sent. Every message is claimed. A look at everything walks
    over what died, for that cannot be cleared away; one from where the lane was reached to does not; and afterwards
    neither does.
    """
    stores, database = world
    await _sent(stores, WAVE, "warm")
    async with database.transaction(snapshot=True) as connection:
        await connection.execute("SET LOCAL idle_in_transaction_session_timeout = 0; SELECT FROM due")
        for number in range(WAVES):
            assert len(await _sent(stores, WAVE, f"wave{number}")) == WAVE
        await _vacuum(postgres_url)
        assert await _pages(database, whole=True) > FEW
        assert await _pages(database, whole=False) <= FEW
    await _vacuum(postgres_url)
    assert await _pages(database, whole=True) <= FEW


async def test_fault_38_a_place_is_found_by_its_key_though_the_queue_looks_empty(
    world: tuple[Stores, Database], postgres_url: str
) -> None:
    """All that statistics see behind an old transaction is that nothing is there; every index looks as good then."""
    stores, database = world
    async with database.transaction(snapshot=True) as connection:
        await connection.execute("SELECT FROM due")
        for number in range(WAVES):
            await _sent(stores, WAVE, f"wave{number}")
        async with database.transaction() as other:
            await other.execute("DELETE FROM due")
        await _vacuum(postgres_url)
        async with database.transaction() as other:
            await other.execute("SET LOCAL enable_seqscan = off")
            lines = await fetch(other, f"EXPLAIN {_LOCK}", keys=[{"tenant": TENANT, "notification_id": "", "no": 1}])
    plan = "".join(line[0] for line in lines)
    assert "due_pkey" in plan
    assert "due_of_user" not in plan


async def test_fault_38_what_comes_back_behind_an_old_transaction_is_found(world: tuple[Stores, Database]) -> None:
    """With a rank that the lane has passed long ago: when everything is looked at again, and all of it at once then."""
    plain, database = world
    hands = [0.0]
    ready = Reach[Lane, int](cheap=0, clock=lambda: hands[0])
    claims = Claims(ready=ready)
    stores = evolve(plain, deliveries=PostgresDeliveries(database, Seals(VAULT), claims))
    assert not await _begun(stores, WAVE, "put off", deciding(_in_an_hour))
    for number in range(4):
        await _sent(stores, WAVE, f"wave{number}")
        hands[0] += 10
    with ready.look():
        hands[0] += 10
    await stores.advance(timedelta(hours=2))
    assert not await claim(stores)
    hands[0] += 1000
    taken = [len(await claim(stores, limit=WAVE // 4)) for _ in range(5)]
    assert taken == [WAVE // 4] * 4 + [0]


async def test_fault_48_who_reads_an_old_month_is_waited_for_a_moment_only(world: tuple[Stores, Database]) -> None:
    """Nobody waits behind the pruner meanwhile, nothing is half dropped, and the next round does it."""
    stores, database = world
    await _sent(stores, 3, "old")
    await _publish(stores)
    await stores.advance(LONG)
    async with database.transaction() as reader:
        await reader.execute("SELECT FROM deliveries")
        with pytest.raises(Unavailable):
            await stores.storage.prune(KEEPING, 100)
        await _sent(stores, 1, "meanwhile")
        await balanced(stores)
        assert len(await stores.history.recent(TENANT, 10)) == 4
    await everything(stores)
    assert len(await stores.history.recent(TENANT, 10)) == 1
    await balanced(stores)


async def test_fault_48_what_no_partition_holds_goes_row_by_row(world: tuple[Stores, Database]) -> None:
    """Events of a year ago, replayed: those that are settled go in small rounds, what is open stays."""
    stores, database = world
    await meet(stores, user(), email=ADA.value)
    at = await now(stores) - timedelta(days=400)
    names = [f"replayed{number}" for number in range(5)]
    ages_ago = evolve(NEWS, ttl=timedelta(days=500))
    await stored(stores, *[event(each, await proposal(stores, user(), each, ages_ago, at=at)) for each in names])
    (one,) = await stores.deliveries.begin(await claim(stores, limit=1), allowing(ages_ago))
    assert await _rows(database, "notifications_default") == 5
    assert not (await stores.storage.prune(KEEPING, 2)).amounts
    await stores.deliveries.change([each.deliveries[0].key for each in await _others(stores, one)], lambda *_: Cancel())
    assert [(await stores.storage.prune(KEEPING, 3)).amounts for _ in range(3)] == [
        {"notifications": 3},
        {"notifications": 1},
        {},
    ]
    assert [each.id for each in await stores.history.recent(TENANT, 10)] == [one.notification.id]
    assert await _rows(database, "deliveries_default") == await _rows(database, "attempts_default") == 1
    await balanced(stores)


async def test_fault_48_a_day_of_the_log_is_kept_until_it_is_published(world: tuple[Stores, Database]) -> None:
    """And dropped as a whole then: it takes no longer, however full it is."""
    stores, database = world
    await _sent(stores, 3, "old")
    before = await _days(database)
    await stores.advance(timedelta(days=4))
    assert (await stores.storage.prune(KEEPING, 1)).held["event_log"] >= 1
    assert await _rows(database, "event_log") > 0
    await _publish(stores)
    pruned = await stores.storage.prune(KEEPING, 1)
    assert "event_log" not in pruned.held
    assert await _rows(database, "event_log") == 0
    assert await _days(database) < before
    await balanced(stores)


async def _others(stores: Stores, one: Begun) -> list[Notification]:
    return [each for each in await stores.history.recent(TENANT, 10) if each.id != one.notification.id]


async def _rows(database: Database, table: str) -> int:
    async with database.transaction() as connection:
        cursor = await connection.execute(SQL("SELECT count(*) AS rows FROM {}").format(Identifier(table)))
        (row,) = await cursor.fetchall()
        return int(row.rows)


async def _days(database: Database) -> int:
    async with database.transaction() as connection:
        (row,) = await fetch(
            connection, "SELECT count(*) AS days FROM pg_inherits WHERE inhparent = 'event_log'::regclass"
        )
        return int(row.days)


async def _pages(database: Database, *, whole: bool) -> int:
    """How many pages a claim touches that finds nothing, looking at everything or from where the lanes got to."""
    async with database.transaction() as connection:
        (turns,) = await fetch(connection, "SELECT max(furthest) AS rank FROM turns")
        lanes = [{"priority": one.rank, "rank": -1 if whole else turns.rank} for one in Priority]
        wanted = [{"channel": "email", "wanted": WAVE, "lanes": lanes}]
        await connection.execute("SET LOCAL enable_seqscan = off")  # nor would a table of more than a few pages be
        explained = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {_CLAIM}"
        (row,) = await fetch(connection, explained, wanted=wanted, lease=60, worker="w")
    plan = row[0][0]["Plan"]
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])


async def _vacuum(url: str) -> None:
    """What autovacuum does in its time, now."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("VACUUM (ANALYZE) due")


async def _begun(stores: Stores, count: int, name: str, gate: Gate | None = None) -> Sequence[Begun]:
    await meet(stores, user(), email=ADA.value)
    await _plan(stores, count, name)
    return await stores.deliveries.begin(await claim(stores), gate or allowing())


def _in_an_hour(delivery: Delivery, at: datetime) -> Decision:
    return Decision.defer(delivery.channel, Reason.QUIET_HOURS, at + timedelta(hours=1))


async def _plan(stores: Stores, count: int, name: str) -> None:
    names = [f"{name}-{number}" for number in range(count)]
    await stored(stores, *[event(each, await proposal(stores, user(), each)) for each in names])


async def _sent(stores: Stores, count: int, name: str) -> Sequence[Begun]:
    wave = await _begun(stores, count, name)
    await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in wave])
    return wave


async def _publish(stores: Stores) -> list[str]:
    """The deliveries whose events a relay gets now, and moves on past."""
    entries = await stores.eventlog.take("relay", 100)
    await stores.eventlog.published("relay", entries)
    return [entry.data["delivery_id"] for entry in entries]
