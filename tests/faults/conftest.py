"""What faults are brought about in: the services that contracts run against, and worlds over them."""

from collections.abc import AsyncIterator

import pytest
from tests.contract.conftest import (  # noqa: F401 - fixtures are found by name
    embedded_broker,
    embedded_stream,
    kafka,
    kafka_stream,
    postgres,
    postgres_url,
    world,
)
from tests.faults.acts import act, broker, server  # noqa: F401 - likewise
from tests.services.doubts import World, world_over
from tests.services.stores import memory_stores, postgres_stores

from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.testing.contracts.stores import Stores


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.external)])
def database(request: pytest.FixtureRequest) -> str | None:
    """Of the test's own; None where memory will do."""
    return None if request.param == "memory" else str(request.getfixturevalue("postgres_url"))


@pytest.fixture
async def stores(database: str | None) -> AsyncIterator[Stores]:
    """Both kinds, one after the other."""
    if database is None:
        yield memory_stores()
    else:
        async with postgres_stores(database) as (stores, _):
            yield stores


@pytest.fixture
async def doubtful(stores: Stores) -> World:
    """A world whose provider account has reported before."""
    made = await world_over(stores, telemetry=MemoryTelemetry())
    await made.reports()
    return made
