"""Real PostgreSQL, real Kafka, simulated providers; the service as a process of its own."""

from contextlib import asynccontextmanager

import pytest
from tests.services.deployment import Deployment
from tests.services.kafka import MissingKafkaError, apache_kafka
from tests.services.postgres import postgres_server
from tests.services.required import required

from fn_notifications.application.errors import MissingExtra
from fn_notifications.simulator.server import Simulator


@pytest.fixture(scope="session")
def kafka_address():
    with required(MissingKafkaError), apache_kafka() as kafka:
        yield kafka.bootstrap


@pytest.fixture(scope="session")
def postgres():
    with required(LookupError, MissingExtra), postgres_server() as server:
        yield server


@pytest.fixture
def deploy(postgres, kafka_address, tmp_path, request):
    """A deployment factory: a fresh database, topics of its own, a simulator."""

    @asynccontextmanager
    async def make(**more):
        database = postgres.fresh_database()
        async with Simulator() as simulator:
            deployment = Deployment(
                database=database,
                kafka=kafka_address,
                simulator=simulator,
                directory=tmp_path,
                topics=(f"events-{tmp_path.name}",),
                more=more,
            )
            simulator.sendgrid_webhook_url = f"{deployment.url}/api/webhooks/sendgrid"
            await deployment.prepare()
            try:
                yield deployment
            finally:
                await deployment.stop()
                postgres.drop(database)

    return make
