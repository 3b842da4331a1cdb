"""Opt-outs, calls and addresses taken on at the same moment: whoever comes second waits, and sees (faults 21, 22)."""

import asyncio

import pytest
from tests.services.stores import VAULT

from fn_notifications.adapters.postgres.beginning import begin
from fn_notifications.adapters.postgres.people import PostgresPeople
from fn_notifications.adapters.postgres.pool import Database
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.adapters.postgres.suppressions import suppress
from fn_notifications.domain.catalogue import CHANNELS
from fn_notifications.domain.preferences import Known, Profile, Source
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.contracts.stores import (
    ADA,
    Stores,
    allowing,
    claim,
    delivery,
    meet,
    now,
    point,
    stop,
    told,
    user,
)

pytestmark = pytest.mark.external

SEALS = Seals(VAULT)


class TestConsent:
    """What is suppressed, what is sent and who has which address never miss each other, whoever commits first."""

    async def test_fault_22_a_call_waits_for_an_opt_out_on_its_way(self, world: tuple[Stores, Database]) -> None:
        """And is skipped then."""
        stores, database = world
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        leases = await claim(stores)
        async with database.transaction() as connection:
            await suppress(connection, SEALS, [stop(ADA, await now(stores))])
            wave = asyncio.create_task(stores.deliveries.begin(leases, allowing()))
            await blocked(database)
        assert await wave == []
        assert (await delivery(stores, one)).reason is Reason.SUPPRESSED

    async def test_fault_22_an_opt_out_waits_for_a_call_on_its_way(self, world: tuple[Stores, Database]) -> None:
        """It was allowed before; nothing is committed in between."""
        stores, database = world
        await meet(stores, user(), email=ADA.value)
        await told(stores, user(), "one")
        leases = await claim(stores)
        async with database.transaction() as connection:
            (one,) = await begin(connection, SEALS, leases, allowing())
            word = asyncio.create_task(stores.people.suppress([stop(ADA, await now(stores))]))
            await blocked(database)
        assert await word == 1
        assert one.delivery.attempts[0].epoch < (await point(stores, user())).epoch

    async def test_fault_21_an_address_that_is_being_suppressed_is_taken_on_suppressed(
        self, world: tuple[Stores, Database]
    ) -> None:
        stores, database = world
        async with database.transaction() as connection:
            await suppress(connection, SEALS, [stop(ADA, await now(stores))])
            taking = asyncio.create_task(meet(stores, user(), email=ADA.value))
            await blocked(database)
        await taking
        assert (await point(stores, user())).suppression

    async def test_fault_21_an_address_just_being_taken_on_is_suppressed(self, world: tuple[Stores, Database]) -> None:
        stores, database = world
        at = await now(stores)
        profile = Profile(user=user(), fields={"email": Known(ADA.value, Source.USER, at)})
        async with database.transaction() as connection:
            await PostgresPeople(database, SEALS, CHANNELS).store(connection, [profile])
            word = asyncio.create_task(stores.people.suppress([stop(ADA, at)]))
            await blocked(database)
        assert await word == 1
        assert (await point(stores, user())).suppression


async def blocked(database: Database) -> None:
    """Return once somebody waits for a lock that another transaction holds."""
    query = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while True:
            async with database.transaction() as connection:
                if await (await connection.execute(query)).fetchall():
                    return
