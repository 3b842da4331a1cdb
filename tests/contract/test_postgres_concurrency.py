"""What transactions that run at the same moment see of each other."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from tests.services.stores import VAULT

from fn_notifications.adapters.postgres.pool import Database
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.domain.commands import Cancel
from fn_notifications.domain.lifecycle import Status
from fn_notifications.testing.contracts.stores import (
    ADA,
    Stores,
    allowing,
    claim,
    delivery,
    event,
    meet,
    proposal,
    stored,
    told,
    user,
)

pytestmark = pytest.mark.external

SEALS = Seals(VAULT)


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
