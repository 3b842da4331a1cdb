"""Publishing no faster than a group reads: for a broker that forgets what is not read in time."""

import asyncio
from collections.abc import Iterator, Sequence
from typing import Final

from confluent_kafka import Consumer, TopicPartition

from fn_notifications.adapters.kafka.faults import available, configured
from fn_notifications.adapters.kafka.publisher import open_publisher
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.events import Outgoing

ROOM: Final = 3 * 1024 * 1024
"""Bytes that may be unread at once; the embedded broker keeps about 5 MB of a partition."""
_PATIENCE: Final = 60.0
"""Seconds for the group to get a record further."""
_ANSWER: Final = 5.0
_LOOK: Final = 0.1


async def publish_as_read(settings: KafkaSettings, messages: Sequence[Outgoing]) -> None:
    """Publish, in pieces, each once the settings' group has done what is before it. What fits at once is not held up.

    Raises `Unavailable` when the broker does not answer, or nobody reads.
    """
    read = frozenset(settings.topics) & {message.topic for message in messages}
    async with open_publisher(settings) as publisher:
        for number, piece in enumerate(_pieces(messages)):
            if number:
                await _until_read(settings, read)
            await publisher.publish(piece)


def _pieces(messages: Sequence[Outgoing]) -> Iterator[list[Outgoing]]:
    piece: list[Outgoing] = []
    size = 0
    for message in messages:
        size += len(message.value) + len(message.key)
        if piece and size > ROOM:
            yield piece
            piece, size = [], len(message.value) + len(message.key)
        piece.append(message)
    if piece:
        yield piece


async def _until_read(settings: KafkaSettings, topics: frozenset[str]) -> None:
    loop = asyncio.get_running_loop()
    with configured("the Kafka consumer"):
        asking = Consumer({**settings.client(), "group.id": settings.group_id, "enable.auto.commit": False})
    try:
        unread, until = None, loop.time() + _PATIENCE
        while (left := await asyncio.to_thread(_unread, asking, topics)) > 0:
            if unread is None or left < unread:
                unread, until = left, loop.time() + _PATIENCE
            if loop.time() > until:
                raise Unavailable(f"{left} published events are not taken in: is the service running?")
            await asyncio.sleep(_LOOK)
    finally:
        await asyncio.to_thread(asking.close)


def _unread(asking: Consumer, topics: frozenset[str]) -> int:
    """How many records of these topics the group has not done yet."""
    with available("Kafka cannot be asked"):
        found = asking.list_topics(timeout=_ANSWER).topics
        places = [TopicPartition(topic, number) for topic in topics for number in found[topic].partitions]
        unread = 0
        for place in asking.committed(places, timeout=_ANSWER):
            first, end = asking.get_watermark_offsets(place, timeout=_ANSWER)
            unread += end - max(first, place.offset)
        return unread
