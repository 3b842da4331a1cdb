"""What PostgreSQL can do to a transaction, and what must be true afterwards."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from datetime import timedelta
from urllib.parse import quote

import pytest
from tests.services.postgres import Flavour, PostgresServer, postgres_server
from tests.services.postgres_proxy import LossyProxy, lossy_proxy
from tests.services.required import required
from tests.services.stores import VAULT, migrated, postgres_stores

from fn_notifications.adapters.postgres.pool import Connection, Database, open_pool
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.adapters.postgres.store import PostgresStore
from fn_notifications.adapters.vault.aes import AesVault
from fn_notifications.adapters.vault.keys import derive_keys
from fn_notifications.application.errors import Conflict, MissingExtra, Unavailable
from fn_notifications.application.ports.intake import Batch, EventOutcome
from fn_notifications.application.ports.receipts import Applied
from fn_notifications.application.ports.vault import VaultError
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import EMAIL, SMS
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.preferences import Known, Profile, Source
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
    proposal,
    receipt,
    stop,
    stored,
    told,
    user,
)

pytestmark = pytest.mark.external

SEALS = Seals(VAULT)


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


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server of this module's own, on a Unix socket, to be killed: whatever server was given is not ours to."""
    flavour: Flavour | None = "embedded" if "TEST_DATABASE_URL" in os.environ else None
    with required(LookupError, MissingExtra), postgres_server(flavour) as server:
        server.use_template(migrated)
        yield server


@pytest.fixture
async def lossy(mortal: PostgresServer) -> AsyncIterator[tuple[LossyProxy, Stores, Stores]]:
    """Stores behind a proxy, and the same stores without it."""
    url = mortal.fresh_database()
    async with (
        lossy_proxy(url) as proxy,
        postgres_stores(proxy.url) as (stores, _),
        postgres_stores(url) as (sound, _),
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


class TestUnreadable:
    """Sealed bytes that do not open."""

    async def test_one_bad_row_stops_nobody_else(self, world: tuple[Stores, Database]) -> None:
        """It is passed over, keeps its lease, and comes back with the next."""
        stores, database = world
        for name in ("ada", "bea", "cy"):
            await meet(stores, user(name), email=f"{name}@example.com")
            await told(stores, user(name), name)
        async with database.transaction() as connection:
            await connection.execute("UPDATE notifications SET sealed = 'spoilt' WHERE user_id = 'ada'")
            await connection.execute("UPDATE contact_points SET address = 'spoilt' WHERE user_id = 'bea'")
        assert [one.notification.user.user_id for one in await begun(stores)] == ["cy"]
        assert not await claim(stores)
        await stores.advance(LEASE)
        assert len(await claim(stores)) == 2

    async def test_the_wrong_key_begins_nothing_and_says_so(
        self, world: tuple[Stores, Database], postgres_url: str
    ) -> None:
        stores, database = world
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        other = PostgresStore(database=database, vault=AesVault(derive_keys(b"another secret")))
        with pytest.raises(VaultError):
            await other.deliveries.begin(await claim(stores), allowing())
        assert (await delivery(stores, one)).status is Status.PENDING

    async def test_a_bad_report_keeps_nobody_waiting(self, world: tuple[Stores, Database]) -> None:
        stores, database = world
        one = await on_the_wire(stores)
        good, bad = (
            receipt(one, kind, kind, channel=EMAIL, address=ADA)
            for kind in (ReceiptKind.DELIVERED, ReceiptKind.COMPLAINED)
        )
        await stores.receipts.receive([bad])
        async with database.transaction() as connection:
            await connection.execute("UPDATE receipts SET address = 'spoilt'")
        await stores.receipts.receive([good])
        assert await stores.receipts.apply(10, judge) == Applied(applied=1, waiting=1)


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


async def _one(connection: Connection) -> int:
    (row,) = await (await connection.execute("SELECT 1 AS one")).fetchall()
    return row.one
