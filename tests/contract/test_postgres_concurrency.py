"""What transactions that run at the same moment see of each other."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from tests.services.stores import VAULT

from fn_notifications.adapters.postgres.beginning import begin
from fn_notifications.adapters.postgres.people import PostgresPeople
from fn_notifications.adapters.postgres.pool import Connection, Database
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.adapters.postgres.suppressions import suppress
from fn_notifications.domain.catalogue import CHANNELS
from fn_notifications.domain.commands import Cancel
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.preferences import Known, Profile, Source
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.contracts.stores import (
    ADA,
    Stores,
    allowing,
    answer,
    claim,
    delivery,
    event,
    meet,
    now,
    on_the_wire,
    point,
    proposal,
    stop,
    stored,
    told,
    user,
)

pytestmark = pytest.mark.external

SEALS = Seals(VAULT)


async def test_a_slow_transaction_is_not_skipped(world: tuple[Stores, Database]) -> None:
    """What commits late still comes, and before what is later for the same person."""
    stores, database = world
    one = await on_the_wire(stores)
    slow = "INSERT INTO event_log (shard, id, topic, key, at, data) VALUES (3, 'slow', 't', 'k', fn_now(), '{}')"
    async with database.transaction() as connection:
        await connection.execute(slow)
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        assert await stores.eventlog.take("relay", 10) == []
        assert await stores.eventlog.backlog() == 1
    entries = await stores.eventlog.take("relay", 10)
    assert sorted(entry.id == "slow" for entry in entries) == [False, True]


async def test_order_survives_a_transaction_that_waited(world: tuple[Stores, Database]) -> None:
    """One that began first but wrote last, because it waited for a lock, comes last: also to who reads in between.

    By transaction numbers alone it would come first, for a third one that still runs would hide only the other.
    """
    stores, database = world
    entry = "INSERT INTO event_log (shard, id, topic, key, at, data) VALUES (3, %s, 't', 'k', fn_now(), '{}')"
    read: list[str] = []

    async def relay() -> None:
        entries = await stores.eventlog.take("relay", 10)
        await stores.eventlog.published("relay", entries)
        read.extend(one.id for one in entries)

    async with AsyncExitStack() as hiding:
        async with database.transaction() as waited:
            await waited.execute("SELECT pg_current_xact_id()")
            running = await hiding.enter_async_context(database.transaction())
            await running.execute("SELECT pg_current_xact_id()")
            async with database.transaction() as connection:
                await connection.execute(entry, ("written first",))
            await waited.execute(entry, ("written last",))
        await relay()
    await relay()
    assert read == ["written first", "written last"]


async def test_who_waits_for_a_contact_point_that_is_just_being_stored_is_woken(
    world: tuple[Stores, Database],
) -> None:
    """Planned before the address was known, stored at the same moment as the address: one of the two sees the other."""
    stores, _ = world
    for number in range(20):
        who = user(f"user{number}")
        waiting = event(f"n{number}", await proposal(stores, who, f"n{number}"))
        await asyncio.gather(stored(stores, waiting), meet(stores, who, email=f"user{number}@example.com"))
        assert len(await claim(stores)) == 1, number


class TestConsent:
    """What is suppressed, what is sent and who has which address never miss each other, whoever commits first."""

    async def test_a_call_waits_for_an_opt_out_on_its_way(self, world: tuple[Stores, Database]) -> None:
        """And is skipped then."""
        stores, database = world
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        leases = await claim(stores)
        async with database.transaction() as connection:
            await suppress(connection, SEALS, [stop(ADA, await now(stores))])
            wave = asyncio.create_task(stores.deliveries.begin(leases, allowing()))
            await blocked(database)
        assert await wave == []
        assert (await delivery(stores, one)).reason is Reason.SUPPRESSED

    async def test_an_opt_out_waits_for_a_call_on_its_way(self, world: tuple[Stores, Database]) -> None:
        """It was allowed before; nothing is committed in between."""
        stores, database = world
        await meet(stores, user(), email=ADA.value)
        await told(stores, user(), "one")
        leases = await claim(stores)
        async with database.transaction() as connection:
            (one,) = await begin(connection, SEALS, leases, allowing())
            word = asyncio.create_task(stores.people.suppress([stop(ADA, await now(stores))]))
            await blocked(database)
        assert await word == 1
        assert one.delivery.attempts[0].epoch < (await point(stores, user())).epoch

    async def test_an_address_that_is_being_suppressed_is_taken_on_suppressed(
        self, world: tuple[Stores, Database]
    ) -> None:
        stores, database = world
        async with database.transaction() as connection:
            await suppress(connection, SEALS, [stop(ADA, await now(stores))])
            taking = asyncio.create_task(meet(stores, user(), email=ADA.value))
            await blocked(database)
        await taking
        assert (await point(stores, user())).suppression

    async def test_an_address_that_is_being_taken_on_is_suppressed(self, world: tuple[Stores, Database]) -> None:
        stores, database = world
        at = await now(stores)
        profile = Profile(user=user(), fields={"email": Known(ADA.value, Source.USER, at)})
        async with database.transaction() as connection:
            await PostgresPeople(database, SEALS, CHANNELS).store(connection, [profile])
            word = asyncio.create_task(stores.people.suppress([stop(ADA, at)]))
            await blocked(database)
        assert await word == 1
        assert (await point(stores, user())).suppression


async def blocked(database: Database) -> None:
    """Return once somebody waits for a lock that another transaction holds."""
    query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while True:
            async with database.transaction() as connection:
                if await (await connection.execute(query)).fetchall():
                    return


async def test_a_real_deadlock_is_resolved(world: tuple[Stores, Database]) -> None:
    """Two that lock in opposite order both get through."""
    stores, database = world
    for name in ("ada", "bea"):
        await meet(stores, user(name), language="en")
    both = asyncio.Barrier(2)
    met = []

    async def visit(*names: str) -> None:
        async def work(connection: Connection) -> None:
            for name in names:
                row = "UPDATE user_preferences SET version = version + 1 WHERE user_id = %s"
                await connection.execute(row, (name,))
                if len(met) < 2:
                    met.append(name)
                    await both.wait()

        await database.run(work)

    await asyncio.gather(visit("ada", "bea"), visit("bea", "ada"))
    loaded = await stores.people.load([user("ada"), user("bea")])
    assert [one.profile.version for one in loaded.dossiers.values()] == [3, 3]


async def test_cancelling_and_beginning_at_once_end_in_one_state(world: tuple[Stores, Database]) -> None:
    """Over real connections: begun and then kept, or cancelled and not begun."""
    stores, _ = world
    await meet(stores, user(), email=ADA.value)
    for number in range(20):
        one = await told(stores, user(), f"n{number}")
        leases = await claim(stores)
        key = one.deliveries[0].key
        wave, _ = await asyncio.gather(
            stores.deliveries.begin(leases, allowing()), stores.deliveries.change([key], lambda *_: Cancel())
        )
        status = (await delivery(stores, one)).status
        assert status is (Status.SENDING if wave else Status.CANCELLED)
