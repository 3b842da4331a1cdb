"""The ledger of a real database: balanced while everything is written, and off as soon as a row is gone."""

import asyncio

import pytest
from attrs import evolve
from psycopg.sql import SQL, Identifier

from fn_notifications.adapters.postgres.pool import Database, fetch
from fn_notifications.application.ports.intake import Batch, Hold
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import EMAIL
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.testing.contracts.storage import KEEPING, LONG, everything
from fn_notifications.testing.contracts.stores import (
    ADA,
    TENANT,
    Stores,
    answer,
    begun,
    claim,
    dead,
    event,
    meet,
    now,
    proposal,
    receipt,
    stop,
    told,
    user,
)

pytestmark = pytest.mark.external

ACCOUNTED = {
    "intake": {"identities", "notifications", "deliveries"},
    "event_identities": {"identities"},
    "dead_letters": {"dead_letters"},
    "quarantine": {"held"},
    "requests WHERE notification_id IS NOT NULL": {"requests"},
    "requests WHERE duplicate_of IS NOT NULL": {"repeats"},
    "notifications": {"notifications"},
    "deliveries": {"deliveries"},
    "attempts WHERE evidence = 6": {"attempts", "proofs"},
    "attempts WHERE evidence = 2": {"attempts"},
    "receipts": {"reports"},
    "due": {"wake_ups"},
    "event_log WHERE notification_id IS NOT NULL": {"transitions"},
    "archived WHERE what = 'deliveries'": {"deliveries"},
    "reported": {"reports"},
}
"""A table, and what at least is off when a row of it is gone."""

UNACCOUNTED = {
    "contact_points": "people's, as they stand",
    "user_preferences": "people's, as they stand",
    "suppressions": "people's, as they stand",
    "dedup_keys": "forgotten by themselves",
    "received": "forgotten by themselves",
    "volumes": "counts, as they stand",
    "turns": "counts, as they stand",
    "reporters": "settings that the service makes for itself",
    "routes": "settings that the service makes for itself",
    "route_stops": "settings that the service makes for itself",
    "holds": "an operator's",
    "event_log_shards": "a fixed number, made with the schema",
    "horizons": "a fixed number, made with the schema",
    "schema_migrations": "the schema's own",
}


async def test_every_table_is_accounted_for_or_says_why_not(world: tuple[Stores, Database]) -> None:
    """A new one has to be decided about."""
    _, database = world
    async with database.transaction() as connection:
        rows = await fetch(
            connection,
            "SELECT relname FROM pg_class c WHERE relkind IN ('r', 'p') AND NOT relispartition"
            " AND relnamespace = 'public'::regnamespace",
        )
    accounted = {table.partition(" ")[0] for table in ACCOUNTED}
    assert {row.relname for row in rows} == accounted | UNACCOUNTED.keys()


async def test_a_row_that_is_gone_from_any_table_unbalances_it(world: tuple[Stores, Database]) -> None:
    """One of each in turn; put back, it balances again. Also in the window that is measured again and again."""
    stores, database = world
    await _busy(stores)
    assert await _off(stores) == {}
    for table, equations in ACCOUNTED.items():
        kept = await _remove(database, table)
        off = await _off(stores)
        assert equations <= off.keys(), table
        assert all(difference != 0 for difference in off.values())
        if "archived" not in table:
            recent = (await stores.history.ledger(TENANT, 2)).imbalances
            assert equations <= {one.equation for one in recent}, table
        await _put_back(database, table, kept)
        assert await _off(stores) == {}, table


async def test_a_row_too_many_unbalances_it(world: tuple[Stores, Database]) -> None:
    """A place in the queue that nothing belongs to, a change that was logged twice: more is as wrong as less."""
    stores, database = world
    await _busy(stores)
    async with database.transaction() as connection:
        await connection.execute(
            "INSERT INTO due (tenant, notification_id, no, user_id, channel, priority, rank, due_at, expires_at,"
            " status, ready, awaits_contact) SELECT tenant, notification_id, 9, user_id, channel, priority, rank,"
            " due_at, expires_at, status, ready, awaits_contact FROM due LIMIT 1"
        )
        await connection.execute(
            "INSERT INTO event_log (shard, tenant, notification_id, no, version, status, attempts, at)"
            " SELECT shard, tenant, notification_id, no, version, status, attempts, at FROM event_log"
            " WHERE notification_id IS NOT NULL LIMIT 1"
        )
    assert await _off(stores) == {"wake_ups": 1, "transitions": 1}


async def test_it_balances_at_every_moment(world: tuple[Stores, Database]) -> None:
    """Read again and again while events come in, go out, are reported, pruned and folded: never off."""
    stores, _ = world
    await meet(stores, user(), email=ADA.value)
    done = asyncio.Event()

    async def write() -> None:
        for number in range(30):
            key = "k" if number % 3 == 0 else None
            one = await proposal(stores, user(), f"n{number}", key=key)
            letters = (dead(f"bad{number}", number),) if number % 5 == 0 else ()
            await stores.intake.store(Batch(tenant=TENANT, events=(event(f"n{number}", one),), dead=letters))
            wave = await begun(stores)
            kind = OutcomeKind.UNSENT if number % 4 == 0 else OutcomeKind.ACCEPTED
            await stores.deliveries.finish([answer(each, kind) for each in wave])
            await stores.receipts.receive([receipt(each, ReceiptKind.DELIVERED, f"r{number}") for each in wave])
            await stores.receipts.apply(10, judge)
            await stores.storage.prune(KEEPING, 10)
        done.set()

    async def read() -> int:
        rounds = 0
        while not done.is_set():
            assert await _off(stores) == {}
            rounds += 1
        return rounds

    _, rounds = await asyncio.gather(write(), read())
    assert rounds > 3


async def _busy(stores: Stores) -> None:
    """A world that has something in every table, old and archived as well as new."""
    await meet(stores, user(), email=ADA.value)
    await told(stores, user(), "old")
    (wave,) = await begun(stores)
    await stores.deliveries.finish([answer(wave, OutcomeKind.ACCEPTED)])
    await stores.advance(LONG)
    await everything(stores)
    one = await told(stores, user(), "one", key="k")
    (wave,) = await begun(stores)
    await stores.deliveries.finish([answer(wave, OutcomeKind.ACCEPTED)])
    await stores.receipts.receive([receipt(wave, ReceiptKind.DELIVERED, "k1")])
    await stores.receipts.apply(10, judge)
    again = event("again", await proposal(stores, user(), "again", key="k"))
    hold = Hold(user=user(), type="news", event_at=await now(stores), reason=Reason.REPLAYED)
    held = evolve(event("held"), holds=(hold,))
    await stores.intake.store(Batch(tenant=TENANT, events=(again, held, event("ignored")), dead=(dead("bad"),)))
    await told(stores, user(), "two")
    (wave,) = await begun(stores)
    await stores.deliveries.finish([answer(wave, OutcomeKind.UNSENT)])
    await told(stores, user(), "three")
    await claim(stores, EMAIL)
    await stores.people.suppress([stop(ADA, await now(stores), channel=EMAIL)])
    assert one.id != wave.notification.id


async def _off(stores: Stores) -> dict[str, int]:
    return {str(one.equation): abs(one.off) for one in (await stores.history.ledger(TENANT)).imbalances}


async def _remove(database: Database, table: str) -> list[str]:
    """Take one row, the newest, out. Returns it, as text."""
    name, _, condition = table.partition(" WHERE ")
    where = SQL(condition or "true")  # type: ignore[arg-type]
    async with database.transaction() as connection:
        statement = SQL(
            "WITH gone AS (DELETE FROM {table} WHERE (tableoid, ctid) IN"
            " (SELECT tableoid, ctid FROM {table} WHERE {where} ORDER BY ctid DESC LIMIT 1) RETURNING *)"
            " SELECT gone::text AS row FROM gone"
        )
        cursor = await connection.execute(statement.format(table=Identifier(name), where=where))
        rows = [row.row for row in await cursor.fetchall()]
    assert len(rows) == 1, table
    return rows


async def _put_back(database: Database, table: str, rows: list[str]) -> None:
    name = Identifier(table.partition(" ")[0])
    overriding = SQL("OVERRIDING SYSTEM VALUE" if table.startswith(("intake", "dead_letters", "quarantine")) else "")
    async with database.transaction() as connection:
        for row in rows:
            statement = SQL("INSERT INTO {table} {overriding} SELECT (%s::{table}).*")
            await connection.execute(statement.format(table=name, overriding=overriding), (row,))
