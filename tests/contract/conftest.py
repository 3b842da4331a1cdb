"""What contracts run against: services that are started once for the whole run."""

from collections.abc import AsyncIterator, Iterator

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.services.kafka import ApacheKafka, MissingKafkaError, apache_kafka
from tests.services.postgres import PostgresServer, postgres_server
from tests.services.required import required
from tests.services.stores import migrated, postgres_stores
from tests.services.streams import KafkaSubject

from fn_notifications.adapters.kafka.embedded import EmbeddedBroker
from fn_notifications.adapters.postgres.pool import Database
from fn_notifications.application.errors import MissingExtra
from fn_notifications.testing.contracts.stores import Stores


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def embedded_stream(embedded_broker: EmbeddedBroker) -> KafkaSubject:
    subject = KafkaSubject(
        bootstrap=embedded_broker.bootstrap, go_down=embedded_broker.go_down, come_up=embedded_broker.come_up
    )
    embedded_broker.create_topic(subject.topic, subject.partitions)
    # The embedded broker's rebalances last as long as a session.
    return subject.with_options(session_timeout=3.0)


@pytest.fixture(scope="session")
def kafka() -> Iterator[ApacheKafka]:
    with required(MissingKafkaError), apache_kafka() as broker:
        yield broker


@pytest.fixture
def kafka_stream(kafka: ApacheKafka) -> KafkaSubject:
    subject = KafkaSubject(bootstrap=kafka.bootstrap, go_down=kafka.kill, come_up=kafka.start)
    topic = NewTopic(subject.topic, num_partitions=subject.partitions)
    client = AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})
    client.create_topics([topic])[subject.topic].result()
    return subject


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server whose fresh databases are migrated."""
    with required(LookupError, MissingExtra), postgres_server() as server:
        server.use_template(migrated)
        yield server


@pytest.fixture
def postgres_url(postgres: PostgresServer) -> Iterator[str]:
    """A migrated database of the test's own."""
    url = postgres.fresh_database()
    yield url
    postgres.drop(url)


@pytest.fixture
async def world(postgres_url: str) -> AsyncIterator[tuple[Stores, Database]]:
    """The stores of that database, and the database itself."""
    async with postgres_stores(postgres_url) as world:
        yield world
