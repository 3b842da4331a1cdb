"""Sessions that end, and what is told to whoever waited for a COMMIT (faults 34 and 36)."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from tests.services.postgres import PostgresServer
from tests.services.postgres_proxy import FaultyProxy, Loss, faulty_proxy
from tests.services.stores import postgres_stores

from fn_notifications.adapters.postgres.pool import Database
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.intake import Batch, EventOutcome
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import SMS
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import OutcomeKind
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
    proposal,
    receipt,
    stop,
    told,
    user,
)

pytestmark = pytest.mark.external


async def test_fault_34_sessions_that_ended_are_replaced(world: tuple[Stores, Database]) -> None:
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
    assert (await stores.eventlog.backlog()).entries == 0


@pytest.fixture
async def lossy(postgres: PostgresServer, postgres_url: str) -> AsyncIterator[tuple[FaultyProxy, Stores, Stores]]:
    """Stores behind a proxy, and the same stores without it."""
    async with (
        faulty_proxy(postgres.url) as proxy,
        postgres_stores(proxy.url(postgres_url)) as (stores, _),
        postgres_stores(postgres_url) as (sound, _),
    ):
        yield proxy, stores, sound
        assert proxy.lost == 1


async def test_fault_36_what_was_stored_unknown_to_us_is_found_to_be_stored(
    lossy: tuple[FaultyProxy, Stores, Stores],
) -> None:
    """The event is its own duplicate then; its notification waits once."""
    proxy, stores, _ = lossy
    await meet(stores, user(), email=ADA.value)
    one = event("one", await proposal(stores, user(), "one", key="k"))
    proxy.armed = Loss.ANSWER
    report = await stores.intake.store(Batch(tenant=TENANT, events=(one,), dead=(dead("bad"),)))
    assert report.outcomes == (EventOutcome.DUPLICATE, EventOutcome.DEAD_LETTERED)
    assert len(await stores.history.dead_letters(TENANT, 10)) == 1
    assert len(await claim(stores)) == 1


@pytest.mark.parametrize("loss", Loss)
async def test_fault_36_what_was_begun_unknown_to_us_is_not_begun_again(
    lossy: tuple[FaultyProxy, Stores, Stores], loss: Loss
) -> None:
    """Nobody knows whether the attempt is stored, so no call goes out: in doubt when the lease is over, or just due."""
    proxy, stores, sound = lossy
    await meet(stores, user(), email=ADA.value)
    one = await told(stores, user(), "one")
    leases = await claim(stores)
    asked = []
    rules = allowing()
    proxy.armed = loss
    with pytest.raises(Unavailable):
        await stores.deliveries.begin(leases, lambda *given: asked.append(1) or rules(*given))
    assert len(asked) == 1
    stored = loss is Loss.ANSWER
    assert (await delivery(sound, one)).status is (Status.SENDING if stored else Status.PENDING)
    await sound.advance(LEASE + timedelta(seconds=1))
    assert await stores.deliveries.overdue(10) == ([one.deliveries[0].key] if stored else [])
    assert len(await claim(stores)) == (0 if stored else 1)
