"""Sources and publishers keep to their contracts: in memory, on the embedded broker, on Apache Kafka."""

import pytest
from tests.services.streams import KafkaSubject, MemorySubject

from fn_notifications.testing.contracts.events import EventPublisherContract, EventSourceContract

PROTOCOLS = ("classic", "cooperative", "consumer")


class TestMemorySource(EventSourceContract):
    @pytest.fixture
    def stream(self) -> MemorySubject:
        return MemorySubject()


class TestMemoryPublisher(EventPublisherContract):
    @pytest.fixture
    def stream(self) -> MemorySubject:
        return MemorySubject()


class TestEmbeddedSource(EventSourceContract):
    @pytest.fixture(params=PROTOCOLS)
    def stream(self, request: pytest.FixtureRequest, embedded_stream: KafkaSubject) -> KafkaSubject:
        return embedded_stream.with_options(group_protocol=request.param)


class TestEmbeddedPublisher(EventPublisherContract):
    @pytest.fixture
    def stream(self, embedded_stream: KafkaSubject) -> KafkaSubject:
        return embedded_stream


@pytest.mark.external
class TestKafkaSource(EventSourceContract):
    @pytest.fixture(params=PROTOCOLS)
    def stream(self, request: pytest.FixtureRequest, kafka_stream: KafkaSubject) -> KafkaSubject:
        return kafka_stream.with_options(group_protocol=request.param)


@pytest.mark.external
class TestKafkaPublisher(EventPublisherContract):
    @pytest.fixture
    def stream(self, kafka_stream: KafkaSubject) -> KafkaSubject:
        return kafka_stream
