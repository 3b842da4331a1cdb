"""PostgreSQL dies, is full, takes nobody in, or falls silent while everything goes on: nothing is lost or twice."""

import asyncio
import os
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager, suppress
from datetime import timedelta
from types import MappingProxyType
from typing import Any, TypeVar
from urllib.parse import urlsplit

import psycopg
import pytest
from tests.services.interposed import Interposed, Run, fail_with
from tests.services.load import Load, events_for
from tests.services.postgres import Flavour, PostgresServer, postgres_server
from tests.services.postgres_proxy import FaultyProxy, faulty_proxy
from tests.services.required import required
from tests.services.stores import migrated, postgres_stores, stores_over

from fn_notifications.adapters.postgres.pool import Connection, Database, open_pool
from fn_notifications.application.errors import MissingExtra, Unavailable
from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.domain.lifecycle import Status
from fn_notifications.testing.contracts.stores import TENANT, Stores, stored, story

pytestmark = pytest.mark.external

T = TypeVar("T")

EVENTS = 80


@pytest.fixture(scope="module")
def mortal() -> Iterator[PostgresServer]:
    """A server of this module's own, to be killed: whatever server was given is not ours to."""
    with own_server() as server:
        yield server


@contextmanager
def own_server(settings: Mapping[str, str] = MappingProxyType({})) -> Iterator[PostgresServer]:
    """A migrated one, wherever the others are."""
    flavour: Flavour | None = "embedded" if "TEST_DATABASE_URL" in os.environ else None
    with required(LookupError, MissingExtra), postgres_server(flavour, settings=settings) as server:
        server.use_template(migrated)
        yield server


async def sent_once(load: Load, stores: Stores) -> None:
    """What was acknowledged is there, all of it was sent, and every message with one call."""
    found = await stores.history.recent(TENANT, 10 * EVENTS)
    assert {one.identity for one in found} == load.acknowledged == {one.identity for one in load.events}
    assert {one.status for one in found} == {Status.SENT}
    assert set(load.calls) == {each.key.event_key for one in found for each in one.deliveries}
    assert set(load.calls.values()) == {1}
    for one in found:
        attempts = (await story(stores, one)).notification.deliveries[0].attempts
        assert sum(attempt.provider_id is not None for attempt in attempts) == 1


async def loaded(stores: Stores, disturbed: Stores, disturb: Callable[[Load], Awaitable[None]]) -> Load:
    """Everything at once over `disturbed`, and then the judgement over `stores`."""
    load = Load(stores=disturbed, events=await events_for(stores, EVENTS))
    await load.run(disturb)
    await sent_once(load, stores)
    return load


async def test_fault_34_killed_under_load(mortal: PostgresServer) -> None:
    """Kill -9, three times: whoever was not answered is told so, and all of it ends once the server is back."""

    async def kill(load: Load) -> None:
        for quarter in (1, 2, 3):
            await load.reached(quarter * EVENTS // 4)
            await asyncio.to_thread(mortal.kill)
            await asyncio.to_thread(mortal.start)

    async def watch(_: Connection, statement: str, run: Run) -> Any:
        try:
            return await run(statement)
        except psycopg.OperationalError:
            broken.append(statement)
            raise

    broken: list[str] = []
    async with postgres_stores(mortal.fresh_database()) as (stores, database):
        await loaded(stores, stores_over(Interposed(database, watch)), kill)
    assert broken


async def test_fault_34_disk_full_under_load(world: tuple[Stores, Database]) -> None:
    """Now and then there is no room, at whatever statement it happens to be."""
    stores, database = world
    chance = random.Random(34)

    async def now_and_then(connection: Connection, statement: str, run: Run) -> Any:
        if statement != "BEGIN" and chance.random() < 0.02:
            return await fail_with(connection, "53100")
        return await run(statement)

    async def nothing_else(_: Load) -> None:
        """The disk is enough."""

    load = await loaded(stores, stores_over(Interposed(database, now_and_then)), nothing_else)
    assert load.failures


MOST = 8


@pytest.fixture(scope="module")
def small() -> Iterator[PostgresServer]:
    """A server that takes few in."""
    limits = {"max_connections": str(MOST), "superuser_reserved_connections": "0", "max_wal_senders": "0"}
    with own_server(limits) as server:
        yield server


class TestFewConnections:
    """`max_connections` of a server that others use, too."""

    async def test_fault_34_a_pool_makes_do_with_what_it_gets(self, small: PostgresServer) -> None:
        """It asks for more than there are: what it does not get it waits for, and nothing fails."""

        async def nothing_else(_: Load) -> None:
            """There are too few as it is."""

        async with postgres_stores(small.fresh_database(), size=4 * MOST) as (stores, _):
            load = await loaded(stores, stores, nothing_else)
        assert not load.failures

    async def test_fault_34_nothing_is_said_to_be_stored_while_nobody_gets_in(self, small: PostgresServer) -> None:
        """Strangers take every connection, ours were cut: told so in time, and well again when they leave."""
        url = small.fresh_database()
        async with open_pool(url, size=2, patience=timedelta(seconds=1)) as database:
            stores = stores_over(database)
            (one,) = await events_for(stores, 1)
            async with AsyncExitStack() as strangers:
                await crowd(strangers, small.url, url)
                with pytest.raises(Unavailable):
                    await stored(stores, one)
            async with asyncio.timeout(30):
                while (report := await _unless_unavailable(stored(stores, one))) is None:
                    pass
            assert report.outcomes == (EventOutcome.PLANNED,)


async def crowd(strangers: AsyncExitStack, url: str, cut: str) -> None:
    """Cut the sessions of a database, and take every connection the server has."""
    first = await strangers.enter_async_context(await psycopg.AsyncConnection.connect(url, autocommit=True))
    await first.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", (_name(cut),))
    with suppress(psycopg.OperationalError):
        while True:
            await strangers.enter_async_context(await psycopg.AsyncConnection.connect(url, autocommit=True))


async def _unless_unavailable(work: Awaitable[T]) -> T | None:
    try:
        return await work
    except Unavailable:
        return None


def _name(url: str) -> str:
    return urlsplit(url).path[1:]


class TestSilence:
    """A peer that neither answers nor goes away. Minutes are shortened to seconds."""

    SIZE = 12
    LIMITS = MappingProxyType({"longest": timedelta(seconds=0.5), "grace": timedelta(seconds=0.5)})

    @pytest.fixture
    async def proxy(self, postgres: PostgresServer) -> AsyncIterator[FaultyProxy]:
        async with faulty_proxy(postgres.url) as proxy:
            yield proxy

    async def test_fault_35_connections_that_fell_silent_are_replaced(
        self, proxy: FaultyProxy, postgres_url: str
    ) -> None:
        """All of a pool at once, and the first to notice spares the others the wait: not one after the other."""
        async with open_pool(proxy.url(postgres_url), size=self.SIZE, **self.LIMITS) as database:
            stores = stores_over(database)
            first, *others = await events_for(stores, self.SIZE)
            async with AsyncExitStack() as all_of_them:
                for _ in range(self.SIZE):
                    await all_of_them.enter_async_context(database.transaction())
            proxy.fall_silent()
            async with asyncio.timeout(self.SIZE / 2):
                assert (await stored(stores, first)).outcomes == (EventOutcome.PLANNED,)
                reports = await asyncio.gather(*(stored(stores, one) for one in others))
            assert {report.outcomes for report in reports} == {(EventOutcome.PLANNED,)}

    async def test_fault_35_a_commit_into_silence_is_of_unknown_fate(
        self, proxy: FaultyProxy, postgres_url: str
    ) -> None:
        """Looked up, and done again if it was not."""

        async def hush(_: Connection, statement: str, run: Run) -> Any:
            if statement == "COMMIT" and not commits:
                commits.append(statement)
                proxy.fall_silent()
            return await run(statement)

        commits: list[str] = []
        async with (
            postgres_stores(postgres_url) as (sound, _),
            open_pool(proxy.url(postgres_url), **self.LIMITS) as database,
        ):
            (one,) = await events_for(sound, 1)
            async with asyncio.timeout(30):
                report = await stored(stores_over(Interposed(database, hush)), one)
            assert report.outcomes == (EventOutcome.PLANNED,)
            assert len(await sound.history.recent(TENANT, 10)) == 1

    async def test_fault_35_nothing_is_said_to_be_stored_that_no_standby_has(self, mortal: PostgresServer) -> None:
        """The synchronous standby is gone: PostgreSQL itself waits for ever then, with the COMMIT carried out here.

        The caller is told in time that nobody knows, and finds it done when there is a standby again.
        """
        async with open_pool(mortal.fresh_database(), **self.LIMITS) as database:
            stores = stores_over(database)
            (one,) = await events_for(stores, 1)
            async with standby_missing(mortal.url):
                async with asyncio.timeout(30):
                    with pytest.raises(Unavailable):
                        await stored(stores, one)
            assert (await stored(stores, one)).outcomes == (EventOutcome.DUPLICATE,)
            assert len(await stores.history.recent(TENANT, 10)) == 1


@asynccontextmanager
async def standby_missing(url: str) -> AsyncIterator[None]:
    """A synchronous standby that never comes, for as long as the block lasts."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:

        async def reload(statement: str, shown: str) -> None:
            await connection.execute(statement)
            await connection.execute("SELECT pg_reload_conf()")
            async with asyncio.timeout(10):
                while True:
                    row = await (await connection.execute("SHOW synchronous_standby_names")).fetchone()
                    if row == (shown,):
                        return

        await reload("ALTER SYSTEM SET synchronous_standby_names = 'nobody'", "nobody")
        try:
            yield
        finally:
            await reload("ALTER SYSTEM RESET synchronous_standby_names", "")
