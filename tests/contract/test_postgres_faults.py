"""What PostgreSQL can do to a transaction, and what must be true afterwards."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from urllib.parse import quote

import pytest
from tests.services.postgres import PostgresServer, postgres_server
from tests.services.postgres_proxy import LossyProxy, lossy_proxy
from tests.services.stores import VAULT, migrated, postgres_stores

from fn_notifications.adapters.postgres.beginning import begin
from fn_notifications.adapters.postgres.people import PostgresPeople
from fn_notifications.adapters.postgres.pool import Connection, Database, open_pool
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.adapters.postgres.suppressions import suppress
from fn_notifications.application.errors import Conflict, MissingExtra, Unavailable
from fn_notifications.application.ports.intake import Batch, EventOutcome
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import SMS
from fn_notifications.domain.catalogue import CHANNELS
from fn_notifications.domain.commands import Cancel
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.preferences import Known, Profile, Source
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.testing.contracts.stores import (
    ADA,
    BOTH,
    LEASE,
    PHONE,
    TENANT,
    Stores,
    allowing,
    answer,
    begun,
    claim,
    dead,
    delivery,
    event,
    meet,
    now,
    on_the_wire,
    point,
    proposal,
    receipt,
    stop,
    stored,
    told,
    user,
)

pytestmark = pytest.mark.external

SEALS = Seals(VAULT)


@pytest.fixture
async def world(postgres_url: str) -> AsyncIterator[tuple[Stores, Database]]:
    async with postgres_stores(postgres_url) as world:
        yield world


CLASH = """
CREATE SEQUENCE clashes;
CREATE FUNCTION clash() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF nextval('clashes') IN ({calls}) THEN RAISE EXCEPTION USING ERRCODE = '{state}'; END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER clash BEFORE INSERT OR UPDATE OR DELETE ON {table} EXECUTE FUNCTION clash();
"""

WRITTEN = (
    "user_preferences",
    "contact_points",
    "suppressions",
    "event_identities",
    "requests",
    "dedup_keys",
    "intake",
    "dead_letters",
    "notifications",
    "deliveries",
    "attempts",
    "receipts",
    "due",
    "event_log",
    "event_log_shards",
)


@pytest.mark.parametrize("state", ["40001", "40P01"])
@pytest.mark.parametrize("table", WRITTEN)
async def test_a_transaction_that_clashed_is_run_again_whole(
    world: tuple[Stores, Database], table: str, state: str
) -> None:
    """Wherever it clashes, and however often in a row short of giving up, everything happens once."""
    stores, database = world
    async with database.transaction() as connection:
        await connection.execute(CLASH.format(table=table, state=state, calls="1, 2, 4"))
    await lifetime(stores)
    async with database.transaction() as connection:
        (row,) = await (await connection.execute("SELECT last_value AS calls FROM clashes")).fetchall()
    assert row.calls > 2


async def test_sessions_that_ended_are_replaced(world: tuple[Stores, Database]) -> None:
    """A restart of the server leaves a pool of dead connections: nobody notices."""
    stores, database = world
    async with AsyncExitStack() as all_of_them:
        for _ in range(10):
            connection = await all_of_them.enter_async_context(database.transaction())
    async with database.transaction() as connection:
        await connection.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            "WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    await lifetime(stores)


async def test_a_session_that_ends_within_a_transaction_costs_a_repetition(world: tuple[Stores, Database]) -> None:
    stores, database = world
    once = CLASH.format(table="notifications", state="", calls="1").replace(
        "RAISE EXCEPTION USING ERRCODE = ''", "PERFORM pg_terminate_backend(pg_backend_pid())"
    )
    async with database.transaction() as connection:
        await connection.execute(once)
    await lifetime(stores)


async def lifetime(stores: Stores) -> None:
    """One notification from its event to its receipt, with a dead letter, an opt-out and a repetition beside it."""
    await meet(stores, user(), email=ADA.value, phone=PHONE.value)
    one = event("one", await proposal(stores, user(), "one", BOTH, key="k"))
    report = await stores.intake.store(Batch(tenant=TENANT, events=(one, one), dead=(dead("bad"),)))
    assert report.outcomes == (EventOutcome.PLANNED, EventOutcome.DUPLICATE, EventOutcome.DEAD_LETTERED)
    await stores.people.suppress([stop(PHONE, await now(stores), channel=SMS)])
    assert not await begun(stores, SMS, BOTH)
    (wave,) = await begun(stores, type_=BOTH)
    (state,) = await stores.deliveries.finish([answer(wave, OutcomeKind.ACCEPTED)])
    assert state.version == 3
    await stores.receipts.receive([receipt(wave, ReceiptKind.DELIVERED, "k")])
    assert (await stores.receipts.apply(10, judge)).applied == 1
    (found,) = await stores.history.recent(TENANT, 10)
    assert [each.status for each in found.deliveries] == [Status.DELIVERED, Status.SKIPPED]
    assert len(found.deliveries[0].attempts) == 1
    entries = await stores.eventlog.take("relay", 10)
    assert len(entries) == 3
    await stores.eventlog.published("relay", entries)
    assert await stores.eventlog.backlog() == 0


@pytest.fixture
async def lossy(postgres: PostgresServer, postgres_url: str) -> AsyncIterator[tuple[LossyProxy, Stores, Stores]]:
    """Stores behind a proxy, and the same stores without it."""
    if not postgres.is_ours:
        pytest.skip("the proxy speaks to a Unix socket")
    async with (
        lossy_proxy(postgres_url) as proxy,
        postgres_stores(proxy.url) as (stores, _),
        postgres_stores(postgres_url) as (sound, _),
    ):
        yield proxy, stores, sound
        assert proxy.lost == 1


class TestUnknownCommit:
    """The connection breaks on COMMIT, which was carried out: everybody but `begin` just does it again."""

    async def test_an_event_is_stored_once(self, lossy: tuple[LossyProxy, Stores, Stores]) -> None:
        proxy, stores, _ = lossy
        await meet(stores, user(), email=ADA.value)
        one = event("one", await proposal(stores, user(), "one", key="k"))
        proxy.armed = True
        report = await stores.intake.store(Batch(tenant=TENANT, events=(one,), dead=(dead("bad"),)))
        assert report.outcomes == (EventOutcome.DUPLICATE, EventOutcome.DEAD_LETTERED)
        assert len(await stores.history.recent(TENANT, 10)) == 1
        assert len(await stores.history.dead_letters(TENANT, 10)) == 1
        assert len(await claim(stores)) == 1

    async def test_a_profile_is_stored_once(self, lossy: tuple[LossyProxy, Stores, Stores]) -> None:
        """The one who saved it is told of a conflict: with itself."""
        proxy, stores, _ = lossy
        profile = Profile(user=user(), fields={"language": Known("es", Source.USER, await now(stores))})
        proxy.armed = True
        with pytest.raises(Conflict):
            await stores.people.save([profile])
        loaded = await stores.people.load([user()])
        assert loaded.dossiers[user()].profile.version == 1

    async def test_an_answer_is_written_once(self, lossy: tuple[LossyProxy, Stores, Stores]) -> None:
        proxy, stores, _ = lossy
        one = await on_the_wire(stores)
        proxy.armed = True
        (state,) = await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        assert (state.status, state.version) == (Status.SENT, 3)
        assert len(await stores.eventlog.take("relay", 10)) == 1

    async def test_published_entries_stay_published(self, lossy: tuple[LossyProxy, Stores, Stores]) -> None:
        proxy, stores, _ = lossy
        one = await on_the_wire(stores)
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        entries = await stores.eventlog.take("relay", 10)
        proxy.armed = True
        await stores.eventlog.published("relay", entries)
        assert await stores.eventlog.backlog() == 0

    async def test_what_was_begun_is_not_begun_again(self, lossy: tuple[LossyProxy, Stores, Stores]) -> None:
        """Nobody knows whether the attempt is stored, so no call goes out: the lease runs out, then it is in doubt."""
        proxy, stores, sound = lossy
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        leases = await claim(stores)
        asked = []
        rules = allowing()
        proxy.armed = True
        with pytest.raises(Unavailable):
            await stores.deliveries.begin(leases, lambda *given: asked.append(1) or rules(*given))
        assert len(asked) == 1
        assert (await delivery(sound, one)).status is Status.SENDING
        assert not await stores.deliveries.begin(leases, rules)
        await sound.advance(LEASE + timedelta(seconds=1))
        assert await stores.deliveries.overdue(10) == [one.deliveries[0].key]


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


class TestLimits:
    async def test_a_statement_that_takes_too_long_is_ended(self, postgres_url: str) -> None:
        async with open_pool(postgres_url, size=1, longest=timedelta(milliseconds=50)) as database:
            with pytest.raises(Unavailable):
                async with database.transaction() as connection:
                    await connection.execute("SELECT pg_sleep(60)")
            assert await database.run(_one) == 1

    async def test_nobody_waits_for_ever_for_a_connection(self, postgres_url: str) -> None:
        async with open_pool(postgres_url, size=1, patience=timedelta(seconds=1)) as database:
            async with database.transaction():
                with pytest.raises(Unavailable):
                    await database.run(_one)
            assert await database.run(_one) == 1

    async def test_nobody_there_is_said_at_once(self, tmp_path) -> None:
        url = f"postgresql://postgres@/postgres?host={quote(str(tmp_path))}"
        with pytest.raises(Unavailable):
            async with open_pool(url, size=1, patience=timedelta(seconds=1)):
                pass

    async def test_a_cancelled_transaction_leaves_nothing_behind(self, world: tuple[Stores, Database]) -> None:
        """Neither rows nor locks nor a connection that cannot be used."""
        _, database = world
        held = asyncio.Event()

        async def work(connection: Connection) -> None:
            await connection.execute("UPDATE event_log_shards SET reader = 'cancelled'")
            held.set()
            await connection.execute("SELECT pg_sleep(60)")

        task = asyncio.create_task(database.run(work))
        await held.wait()
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        async with database.transaction() as connection:
            rows = await connection.execute("UPDATE event_log_shards SET reader = 'me' RETURNING (SELECT reader) AS r")
            assert len(await rows.fetchall()) == 16


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server of this module's own, to be killed."""
    try:
        with postgres_server() as server:
            if not server.is_ours:
                pytest.skip("the server that was given is not ours to kill")
            server.use_template(migrated)
            yield server
    except (LookupError, MissingExtra) as missing:
        pytest.skip(str(missing))


async def test_what_was_stored_survives_the_death_of_the_server(mortal: PostgresServer) -> None:
    """Kill -9 under load: what was said to be stored is there, what failed failed as `Unavailable`, and it goes on."""
    async with postgres_stores(mortal.fresh_database()) as (stores, _):
        await meet(stores, user(), email=ADA.value)
        events = [event(f"n{n}", await proposal(stores, user(), f"n{n}")) for n in range(200)]
        acknowledged: set[bytes] = set()
        enough = asyncio.Event()

        async def write(mine: list) -> None:
            while mine:
                try:
                    await stored(stores, mine[0])
                except Unavailable:
                    continue
                acknowledged.add(mine.pop(0).identity)
                if len(acknowledged) > 50:
                    enough.set()

        writers = [asyncio.create_task(write(events[start::8])) for start in range(8)]
        await enough.wait()
        await asyncio.to_thread(mortal.kill)
        await asyncio.to_thread(mortal.start)
        await asyncio.gather(*writers)
        found = await stores.history.recent(TENANT, 1000)
        assert len(found) == len(acknowledged) == 200
        assert {one.identity for one in found} == acknowledged


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


async def _one(connection: Connection) -> int:
    (row,) = await (await connection.execute("SELECT 1 AS one")).fetchall()
    return row.one
