"""Real PostgreSQL, real Kafka, simulated providers; the service as a process of its own."""

import os
from contextlib import asynccontextmanager

import pytest
from tests.services.deployment import Deployment
from tests.services.kafka import MissingKafkaError, apache_kafka
from tests.services.postgres import postgres_server

from fn_notifications.simulator.server import Simulator


@pytest.fixture(scope="session")
def kafka_address():
    try:
        with apache_kafka() as kafka:
            yield kafka.bootstrap
    except MissingKafkaError as missing:
        if os.environ.get("CI") == "true":
            raise
        pytest.skip(f"no Apache Kafka: {missing}")


@pytest.fixture(scope="session")
def postgres():
    with postgres_server() as server:
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
