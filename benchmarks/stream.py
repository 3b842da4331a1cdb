"""Kafka as the measurements use it: events published, results counted."""

import asyncio
import time
from collections.abc import Iterable

from confluent_kafka import Consumer, KafkaException, Producer, TopicPartition

_PATIENCE = 30


def publish(bootstrap: str, topic: str, events: Iterable[bytes]) -> None:
    """Publish, acknowledged, spread over the topic's partitions."""
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "linger.ms": 5})
    for event in events:
        producer.produce(topic, event)
        producer.poll(0)
    assert producer.flush(_PATIENCE) == 0


class Published:
    """How many messages a topic has got since this was made."""

    def __init__(self, bootstrap: str, topic: str) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "bench-counting"})
        partitions = self._consumer.list_topics(topic, timeout=_PATIENCE).topics[topic].partitions
        self._partitions = [TopicPartition(topic, number) for number in partitions]
        self._before = self._first_ends()

    def count(self) -> int:
        """Since then."""
        return self._ends() - self._before

    async def reach(self, goal: int, *, within: float = 120.0) -> None:
        """Return once there are so many."""
        async with asyncio.timeout(within):
            while self.count() < goal:  # noqa: ASYNC110 - another process publishes them
                await asyncio.sleep(0.02)

    def close(self) -> None:
        """Leave."""
        self._consumer.close()

    def _first_ends(self) -> int:
        """A partition that was made a moment ago may have no leader yet."""
        patience = time.monotonic() + _PATIENCE
        while True:
            try:
                return self._ends()
            except KafkaException:
                if time.monotonic() > patience:
                    raise
                time.sleep(0.1)

    def _ends(self) -> int:
        return sum(self._consumer.get_watermark_offsets(each, timeout=_PATIENCE)[1] for each in self._partitions)
