"""Calls of the stores' methods that can be repeated: each in a copy of one prepared database, whose time stands."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from attrs import define, evolve, field, frozen
from psycopg.sql import SQL, Literal
from tests.faults.store_case import Case, Prepare
from tests.services.contents import Contents, chance, contents, stagger
from tests.services.interposed import Interposed, Interposer, Statements, run_it
from tests.services.postgres import PostgresServer
from tests.services.stores import stores_over

from fn_notifications.adapters.postgres.pool import Database, open_pool
from fn_notifications.testing.contracts.stores import Stores

_FN_NOW = SQL("CREATE OR REPLACE FUNCTION fn_now() RETURNS timestamptz LANGUAGE sql AS {}")


@define
class StoppedClock:
    """A database's time that stands until it is moved, so that two runs of one thing happen at the same moment."""

    database: Database
    now: datetime = field(factory=lambda: datetime.now(UTC))

    async def advance(self, span: timedelta) -> None:
        self.now += span
        async with self.database.transaction() as connection:
            await connection.execute(_FN_NOW.format(Literal(f"SELECT '{self.now.isoformat()}'::timestamptz")))


@frozen(kw_only=True)
class Prepared:
    """A database before a call, and what the call is given."""

    template: str
    given: Any
    before: Contents


@frozen(kw_only=True)
class Calm:
    """A call that nothing came in the way of, and what it came to."""

    case: Case
    server: PostgresServer
    prepared: Prepared
    after: Contents
    chance: Mapping[str, frozenset[str]]
    """Columns whose values are no two times the same."""
    statements: tuple[str, ...]
    told: Any

    @property
    def before(self) -> Contents:
        """What the database holds before the call."""
        return self.prepared.before

    def copy(self) -> AbstractContextManager[str]:
        """A database as it was before the call."""
        return _copy(self.server, self.case, self.prepared)

    async def call(self, stores: Stores) -> Any:
        """The same call."""
        return self.case.tell(await self.case.call(stores, self.prepared.given))

    def came_to(self, found: Contents) -> None:
        """Raises AssertionError when what is found is not what the call came to."""
        assert found.without(self.chance) == self.after.without(self.chance)


@frozen
class Rehearsals:
    """Finds out what calls come to when nothing happens, each once."""

    server: PostgresServer
    worlds: dict[Prepare, Prepared] = field(factory=dict)
    known: dict[str, Calm] = field(factory=dict)

    async def of(self, case: Case) -> Calm:
        """A case, carried out on two copies of its world."""
        if case.name not in self.known:
            self.known[case.name] = await self._rehearse(case, await self._world(case.prepare))
        return self.known[case.name]

    async def _world(self, prepare: Prepare) -> Prepared:
        if prepare not in self.worlds:
            url = self.server.fresh_database()
            async with open_pool(url, size=1) as database:
                clock = StoppedClock(database)
                await clock.advance(timedelta())
                given = await prepare(evolve(stores_over(database), advance=clock.advance))
            self.worlds[prepare] = Prepared(template=url, given=given, before=await contents(url))
        return self.worlds[prepare]

    async def _rehearse(self, case: Case, prepared: Prepared) -> Calm:
        told, after, watched = [], [], [Statements(), Statements()]
        for number, statements in enumerate(watched):
            with _copy(self.server, case, prepared) as url:
                await stagger(url, number)
                async with disturbed(url, statements) as stores:
                    told.append(case.tell(await case.call(stores, prepared.given)))
                after.append(await contents(url))
        assert case.reads == (prepared.before == after[0])
        assert told[0] == told[1]
        assert watched[0].seen == watched[1].seen
        return Calm(
            case=case,
            server=self.server,
            prepared=prepared,
            after=after[0],
            chance=chance(*after),
            statements=tuple(watched[0].seen),
            told=told[0],
        )

    def close(self) -> None:
        """Give back the databases."""
        for world in self.worlds.values():
            self.server.drop(world.template)


@contextmanager
def _copy(server: PostgresServer, case: Case, prepared: Prepared) -> Iterator[str]:
    if case.reads:
        yield prepared.template
        return
    url = server.fresh_database(like=prepared.template)
    yield url
    server.drop(url)


@asynccontextmanager
async def disturbed(url: str, interposer: Interposer = run_it) -> AsyncIterator[Stores]:
    """The stores of a database, with somebody in between."""
    async with open_pool(url, size=1) as database:
        yield stores_over(Interposed(database, interposer))
