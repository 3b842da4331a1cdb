"""A broker: the memory stream, with group members that time out, are thrown out while frozen, and come back."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack
from datetime import datetime
from typing import Final

from attrs import define, field

from fn_notifications.adapters.memory.events import MemorySource, MemoryStream
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.events import Outgoing, Record
from fn_notifications.testing.simulation.alarm import News
from fn_notifications.testing.simulation.clocks import true_time
from fn_notifications.testing.simulation.faults import Fault
from fn_notifications.testing.simulation.life import Life
from fn_notifications.testing.simulation.surroundings import Surroundings

GROUP: Final = "fn-notifications"
TOPICS: Final = ("items", "people")
SESSION: Final = 45.0
"""Seconds a member may be silent (`session.timeout.ms`)."""


class _Stream(MemoryStream):
    """Knows in what order things were written."""

    def __init__(self) -> None:
        super().__init__(true_time)
        self.order: list[Record] = []

    def append(self, message: Outgoing, *, timestamp: datetime | None = None) -> Record:
        """See `MemoryStream`."""
        record = super().append(message, timestamp=timestamp)
        self.order.append(record)
        return record


@define(eq=False, repr=False)
class Broker:
    """Topics, and one consumer group."""

    around: Surroundings
    stream: _Stream = field(factory=_Stream, init=False)
    stored: dict[tuple[str, int], int] = field(factory=dict, init=False)
    """By partition, up to where somebody reported everything done."""

    def __attrs_post_init__(self) -> None:
        for topic in TOPICS:
            self.stream.create_topic(topic, 3)

    def write(self, topic: str, key: str, value: bytes) -> Record:
        """Another service publishes."""
        record = self.stream.append(Outgoing(topic=topic, key=key.encode(), value=value))
        self.around.note("publisher", f"{topic}/{record.partition}", record.offset)
        self.around.alarm.ring(News.EVENTS)
        return record

    def unread(self) -> int:
        """How many records nobody has reported done."""
        records = [record for topic in TOPICS for record in self.stream.records(topic)]
        return sum(record.offset >= self.stored.get((record.topic, record.partition), 0) for record in records)

    async def rebalance(self) -> None:
        """Somebody joins and leaves again: everybody's partitions are dealt anew, twice."""
        async with self.stream.source(GROUP, TOPICS, "earliest"):
            await asyncio.sleep(self.around.dice.latency())


@define(eq=False, repr=False)
class Member:
    """One process in the group: an `EventSource`."""

    broker: Broker
    life: Life
    _source: MemorySource | None = field(default=None, init=False)
    _stack: AsyncExitStack = field(factory=AsyncExitStack, init=False)

    async def join(self) -> None:
        """Become a member, if it is none."""
        if self._source is None:
            source = self.broker.stream.source(GROUP, TOPICS, "earliest")
            self._source = await self._stack.enter_async_context(source)

    async def leave(self) -> None:
        """Be one no longer: asked for, or thrown out for silence."""
        self._source = None
        await self._stack.aclose()
        self.broker.around.alarm.ring()

    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        """See `EventSource`. Whoever waits does so at the alarm."""
        del wait
        await self.life.half(self.broker.around, quiet=True)
        await self.join()
        assert self._source
        records = await self._source.take(limit, 0)
        if records:
            self.broker.around.happened(self.life.name, "source.take", len(records))
        await self.life.half(self.broker.around, quiet=not records)
        return records

    async def done(self, records: Sequence[Record]) -> None:
        """See `EventSource`. The broker may not get to know: then it all comes again after a restart."""
        if not records:
            return
        await self.life.half(self.broker.around)
        source = self._source
        if source is None or self.broker.around.dice.strikes(Fault.OFFSET_NOT_STORED):
            return
        await source.done(records)
        self.broker.around.happened(self.life.name, "source.done", len(records))
        for record in records:
            place = record.topic, record.partition
            self.broker.stored[place] = max(self.broker.stored.get(place, 0), record.offset + 1)
        await self.life.half(self.broker.around)


@define(eq=False, repr=False)
class Publisher:
    """One process's `EventPublisher`."""

    broker: Broker
    life: Life

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        """See the port."""
        around = self.broker.around
        await self.life.half(self.broker.around)
        if around.dice.strikes(Fault.PUBLISHED_IN_PART):
            written = around.dice.random.randrange(len(messages))
            await self.broker.stream.publisher().publish(messages[:written])
            raise Unavailable("the broker went away in the middle")
        await self.broker.stream.publisher().publish(messages)
        around.happened(self.life.name, "publisher.publish", len(messages))
        await self.life.half(self.broker.around)
        if around.dice.strikes(Fault.PUBLISH_UNKNOWN):
            raise Unavailable("no acknowledgement came")
