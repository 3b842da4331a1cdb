"""What is done often is prepared where the session is the server's own, and outlives what a prepared one dies of."""

import pytest
from tests.services.postgres_proxy import faulty_proxy

from fn_notifications.adapters.postgres.pool import Connection, Database, fetch, open_pool

pytestmark = pytest.mark.external

_PREPARED = "SELECT count(*) AS prepared FROM pg_prepared_statements WHERE statement LIKE '%%of the test%%'"
_ALL = "SELECT * FROM things /* of the test */"


async def test_what_is_done_often_is_prepared(postgres_url: str) -> None:
    async with open_pool(postgres_url, size=1) as database:
        await made(database)
        assert await prepared(database, often=True) == 1


async def test_what_is_done_now_and_then_is_not(postgres_url: str) -> None:
    async with open_pool(postgres_url, size=1) as database:
        await made(database)
        assert await prepared(database, often=False) == 0


async def test_behind_a_pooler_nothing_is_prepared(postgres_url: str) -> None:
    """There the same name may stand for another client's statement."""
    async with faulty_proxy(postgres_url) as proxy:
        proxy.pooling = True
        async with open_pool(proxy.url(postgres_url), size=1) as database:
            await made(database)
            assert await prepared(database, often=True) == 0


async def test_a_column_that_comes_is_no_trouble(postgres_url: str) -> None:
    """A newer version migrates while an older one runs: every connection has its statement prepared by then."""
    async with open_pool(postgres_url, size=3) as database:
        await made(database)
        for _ in range(10):
            assert await read(database, often=True) == ("a",)
        async with database.transaction() as connection:
            await connection.execute("ALTER TABLE things ADD COLUMN more text DEFAULT 'b'")
        for _ in range(10):
            assert await read(database, often=True) == ("a", "b")


async def made(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute("CREATE TABLE things AS SELECT 'a' AS name")


async def read(database: Database, *, often: bool) -> tuple[str, ...]:
    async def work(connection: Connection) -> tuple[str, ...]:
        (row,) = await fetch(connection, _ALL)
        return tuple(row)

    return await database.run(work, often=often)


async def prepared(database: Database, *, often: bool) -> int:
    """How many statements the one session has prepared, after the same was done a few times."""
    for _ in range(5):
        await read(database, often=often)
    async with database.transaction() as connection:
        (row,) = await fetch(connection, _PREPARED)
        return int(row.prepared)
