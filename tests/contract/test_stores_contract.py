"""One set of rules for the stores in memory and in PostgreSQL."""

from collections.abc import AsyncIterator

import pytest
from tests.services.stores import memory_stores, postgres_stores

from fn_notifications.testing.contracts.deliveries import DeliveriesContract
from fn_notifications.testing.contracts.doubts import DoubtsContract
from fn_notifications.testing.contracts.eventlog import EventLogContract
from fn_notifications.testing.contracts.fairness import FairnessContract
from fn_notifications.testing.contracts.history import HistoryContract
from fn_notifications.testing.contracts.intake import IntakeContract
from fn_notifications.testing.contracts.people import PeopleContract
from fn_notifications.testing.contracts.quarantine import DeadLettersContract, QuarantineContract
from fn_notifications.testing.contracts.queue import QueueContract
from fn_notifications.testing.contracts.receipts import ReceiptsContract
from fn_notifications.testing.contracts.routes import RoutesContract
from fn_notifications.testing.contracts.storage import StorageContract
from fn_notifications.testing.contracts.stores import Stores

CONTRACTS = (
    PeopleContract,
    IntakeContract,
    QueueContract,
    DeliveriesContract,
    DoubtsContract,
    ReceiptsContract,
    EventLogContract,
    HistoryContract,
    StorageContract,
    RoutesContract,
    FairnessContract,
    QuarantineContract,
    DeadLettersContract,
)


class TestMemoryStores(*CONTRACTS):
    @pytest.fixture
    def stores(self) -> Stores:
        return memory_stores()


@pytest.mark.external
class TestPostgresStores(*CONTRACTS):
    @pytest.fixture
    async def stores(self, postgres_url: str) -> AsyncIterator[Stores]:
        async with postgres_stores(postgres_url) as (stores, _):
            yield stores
