"""Brokers as the event contracts see them: memory, the embedded broker, Apache Kafka."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar
from uuid import uuid4

from attrs import evolve, field, frozen
from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition

from fn_notifications.adapters.kafka.positions import Reset
from fn_notifications.adapters.kafka.publisher import KafkaPublisher, open_publisher
from fn_notifications.adapters.kafka.records import record_from
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.adapters.kafka.source import KafkaSource, log_reset, open_source
from fn_notifications.adapters.memory.events import MemoryPublisher, MemorySource, MemoryStream
from fn_notifications.application.ports.events import Outgoing, Record

T = TypeVar("T")


class MemorySubject:
    """A `Stream` in memory."""

    topic = "events"
    patience = 1.0

    def __init__(self) -> None:
        self.stream = MemoryStream(lambda: datetime.now(UTC))
        self.stream.create_topic(self.topic, 3)

    def source(self, group: str) -> AbstractAsyncContextManager[MemorySource]:
        return self.stream.source(group, [self.topic], "earliest")

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[MemoryPublisher]:
        yield self.stream.publisher()

    async def write(self, messages: Sequence[Outgoing]) -> None:
        for message in messages:
            self.stream.append(message)

    async def read(self) -> Sequence[Record]:
        return self.stream.records(self.topic)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        self.stream.go_down(after=7)
        yield
        self.stream.come_up()


@frozen(kw_only=True)
class KafkaSubject:
    """A `Stream` on a broker that speaks Kafka, with a topic and groups of its own."""

    bootstrap: str
    go_down: Callable[[], None]
    come_up: Callable[[], None]
    topic: str = field(factory=lambda: f"topic-{uuid4().hex}")
    partitions: int = 3
    patience: float = 30.0
    options: dict[str, Any] = field(factory=dict)

    def settings(self, group: str = "g", **more: Any) -> KafkaSettings:
        """As an operator would, but impatient."""
        impatient: dict[str, Any] = {
            "bootstrap": self.bootstrap,
            "group_id": self.group_id(group),
            "topics": (self.topic,),
            "intake_start": "earliest",
            "keepalive": 0.05,
            "session_timeout": 10.0,
            "topic_refresh": 0.5,
            "publish_timeout": 2.0,
        }
        return KafkaSettings(**impatient | self.options | more)

    def group_id(self, group: str) -> str:
        return f"{self.topic}-{group}"

    def source(
        self, group: str, on_reset: Callable[[Reset], None] = log_reset, **more: Any
    ) -> AbstractAsyncContextManager[KafkaSource]:
        return open_source(self.settings(group, **more), on_reset)

    def publisher(self) -> AbstractAsyncContextManager[KafkaPublisher]:
        return open_publisher(self.settings())

    async def write(self, messages: Sequence[Outgoing]) -> None:
        await asyncio.to_thread(self._write, messages)

    async def read(self) -> Sequence[Record]:
        return await asyncio.to_thread(self._read)

    async def committed(self, group: str = "g") -> list[int]:
        """The group's offset in each partition, -1001 where it has none."""
        return await asyncio.to_thread(self._committed, group)

    @asynccontextmanager
    async def outage(self) -> AsyncIterator[None]:
        await asyncio.to_thread(self.go_down)
        try:
            yield
        finally:
            await asyncio.to_thread(self.come_up)

    def with_options(self, **options: Any) -> "KafkaSubject":
        return evolve(self, options=self.options | options)

    def _write(self, messages: Sequence[Outgoing]) -> None:
        producer = Producer({"bootstrap.servers": self.bootstrap, "log_level": 0, "linger.ms": 0})
        for each in messages:
            producer.produce(each.topic, each.value, each.key, headers=list(each.headers))
        assert producer.flush(self.patience) == 0

    def _read(self) -> list[Record]:
        consumer = self._bystander("reader")
        places = [TopicPartition(self.topic, number, OFFSET_BEGINNING) for number in range(self.partitions)]
        missing = self._asked(lambda: sum(high - low for low, high in map(consumer.get_watermark_offsets, places)))
        consumer.assign(places)
        records: list[Record] = []
        while len(records) < missing:
            (message,) = consumer.consume(1, self.patience)
            assert message.error() is None
            records.append(record_from(message))
        consumer.close()
        return sorted(records, key=lambda record: (record.partition, record.offset))

    def _committed(self, group: str) -> list[int]:
        consumer = self._bystander(self.group_id(group))
        places = [TopicPartition(self.topic, number) for number in range(self.partitions)]
        offsets = self._asked(lambda: [place.offset for place in consumer.committed(places, timeout=10)])
        consumer.close()
        return offsets

    def _asked(self, question: Callable[[], T]) -> T:
        """The answer, also of a broker that has just come back and does not know its partitions yet."""
        until = time.monotonic() + self.patience
        while True:
            try:
                return question()
            except KafkaException:
                if time.monotonic() > until:
                    raise

    def _bystander(self, group: str) -> Consumer:
        return Consumer(
            {
                "bootstrap.servers": self.bootstrap,
                "group.id": group,
                "enable.auto.commit": False,
                "isolation.level": "read_uncommitted",
                "log_level": 0,
            }
        )
