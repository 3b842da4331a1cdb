"""What transactions that run at the same moment see of each other."""

import asyncio
from contextlib import AsyncExitStack

import pytest
from tests.services.stores import VAULT

from fn_notifications.adapters.postgres.aggregates import Aggregates
from fn_notifications.adapters.postgres.changes import unchanged, write
from fn_notifications.adapters.postgres.pool import Database
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.domain.commands import Begin, Cancel
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.events import Resent
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.contracts.stores import (
    ADA,
    TENANT,
    Stores,
    allowing,
    answer,
    claim,
    delivery,
    event,
    meet,
    on_the_wire,
    proposal,
    stored,
    told,
    user,
)

pytestmark = pytest.mark.external

SEALS = Seals(VAULT)
WAITING = "SELECT FROM pg_stat_activity WHERE pg_backend_pid() = ANY (pg_blocking_pids(pid))"


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


async def test_what_comes_back_while_another_waits_for_it_keeps_one_place(world: tuple[Stores, Database]) -> None:
    """The other does not see the new place yet when it gets its lock, and has one for it all the same."""
    stores, database = world
    one = await on_the_wire(stores)
    (failed,) = await stores.deliveries.finish([answer(one, OutcomeKind.REFUSED)])
    later = one.delivery.expires_at
    decision = Decision.defer(failed.channel, Reason.HELD, later)
    defer = Begin(gate=decision, attempt_id="", route="", epoch=0)
    async with asyncio.timeout(10), database.transaction() as connection:
        aggregates = Aggregates(SEALS)
        (locked,) = (await aggregates.lock(connection, [failed.key])).values()
        (whole,) = (await aggregates.read(connection, [(TENANT, failed.key.notification_id)], opened=False)).values()
        other = asyncio.create_task(stores.deliveries.change([failed.key], lambda *_: defer))
        while not (await (await connection.execute(WAITING)).fetchall()):
            assert not other.done()
        again = Resent(at=locked.at, reason=Reason.OPERATOR)
        await write(connection, [unchanged(whole, failed.key, locked.place).then((again,))], locked.at)
    (waits,) = await other
    assert (waits.status, waits.due_at) == (Status.PENDING, later)
    assert not await claim(stores)
