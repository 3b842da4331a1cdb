"""The stores that contracts run over: in memory with a clock that stands still, and in a real PostgreSQL."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

from attrs import define
from psycopg.sql import SQL, Literal

from fn_notifications.adapters.memory.store import MemoryStore
from fn_notifications.adapters.postgres.migrate import migrate
from fn_notifications.adapters.postgres.pool import Database, open_pool
from fn_notifications.adapters.postgres.store import PostgresStore
from fn_notifications.adapters.vault.aes import AesVault
from fn_notifications.adapters.vault.keys import derive_keys
from fn_notifications.application.ports.vault import Vault
from fn_notifications.testing.contracts.stores import Stores

SECRET = b"a secret of the tests"
VAULT = AesVault(derive_keys(SECRET))

_FN_NOW = SQL("CREATE OR REPLACE FUNCTION fn_now() RETURNS timestamptz LANGUAGE sql AS {}")


@define
class StandingClock:
    """Time that passes only when it is told to."""

    now: datetime = datetime(2026, 6, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now

    async def advance(self, span: timedelta) -> None:
        self.now += span


@define
class PostgresClock:
    """The database's own time, ahead of it by as much as was asked for."""

    database: Database
    ahead: timedelta = timedelta()

    async def advance(self, span: timedelta) -> None:
        self.ahead += span
        body = f"SELECT clock_timestamp() + make_interval(secs => {self.ahead.total_seconds()})"
        async with self.database.transaction() as connection:
            await connection.execute(_FN_NOW.format(Literal(body)))


def memory_stores() -> Stores:
    """The memory adapters over one state."""
    clock = StandingClock()
    return _stores_of(MemoryStore(clock=clock), clock.advance)


@asynccontextmanager
async def postgres_stores(url: str, *, size: int = 10) -> AsyncIterator[tuple[Stores, Database]]:
    """The PostgreSQL adapters over a migrated database."""
    async with open_pool(url, size=size) as database:
        yield stores_over(database), database


def stores_over(database: Database, vault: Vault = VAULT) -> Stores:
    """The PostgreSQL adapters over a database that is migrated and open."""
    return _stores_of(PostgresStore(database=database, vault=vault), PostgresClock(database).advance)


def _stores_of(store: MemoryStore | PostgresStore, advance: Callable[[timedelta], Awaitable[None]]) -> Stores:
    return Stores(
        people=store.people,
        intake=store.intake,
        deliveries=store.deliveries,
        receipts=store.receipts,
        eventlog=store.eventlog,
        history=store.history,
        routes=store.routes,
        storage=store.storage,
        quarantine=store.quarantine,
        dead_letters=store.dead_letters,
        advance=advance,
    )


def migrated(url: str) -> None:
    """Bring a database's schema up to date."""

    async def run() -> None:
        async with open_pool(url, size=1) as database:
            await migrate(database)

    asyncio.run(run())
