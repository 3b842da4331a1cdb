"""Everybody at the same rows at once (fault 37)."""

import asyncio

import pytest
from tests.campaigns.locks import campaign
from tests.services.stores import VAULT

from fn_notifications.adapters.postgres.pool import Connection, Database
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.testing.contracts.stores import (
    Stores,
    meet,
    user,
)

pytestmark = pytest.mark.external

SEALS = Seals(VAULT)


async def test_fault_37_a_real_deadlock_is_resolved(world: tuple[Stores, Database]) -> None:
    """Two that lock in opposite order both get through."""
    stores, database = world
    for name in ("ada", "bea"):
        await meet(stores, user(name), language="en")
    both = asyncio.Barrier(2)
    met = []

    async def visit(*names: str) -> None:
        async def work(connection: Connection) -> None:
            for name in names:
                row = "UPDATE user_preferences SET version = version + 1 WHERE user_id = %s"
                await connection.execute(row, (name,))
                if len(met) < 2:
                    met.append(name)
                    await both.wait()

        await database.run(work)

    await asyncio.gather(visit("ada", "bea"), visit("bea", "ada"))
    loaded = await stores.people.load([user("ada"), user("bea")])
    assert [one.profile.version for one in loaded.dossiers.values()] == [3, 3]


async def test_fault_37_nobody_waits_in_a_circle(postgres_url: str) -> None:
    """All take their locks in one order: a share of the campaign that `tests/campaigns/locks.py` runs."""
    locks = await campaign(postgres_url, 400, seed=37)
    assert locks.done["begun"]
    assert not locks.errors
