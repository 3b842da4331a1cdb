"""Rows that do not open, and how long anybody waits."""

import asyncio
from datetime import timedelta
from urllib.parse import quote

import pytest

from fn_notifications.adapters.postgres.pool import Connection, Database, open_pool
from fn_notifications.adapters.postgres.store import PostgresStore
from fn_notifications.adapters.vault.aes import AesVault
from fn_notifications.adapters.vault.keys import derive_keys
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.receipts import Applied
from fn_notifications.application.ports.vault import VaultError
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import EMAIL
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.testing.contracts.stores import (
    ADA,
    LEASE,
    Stores,
    allowing,
    begun,
    claim,
    delivery,
    meet,
    on_the_wire,
    receipt,
    told,
    user,
)

pytestmark = pytest.mark.external


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


async def _one(connection: Connection) -> int:
    (row,) = await (await connection.execute("SELECT 1 AS one")).fetchall()
    return row.one
