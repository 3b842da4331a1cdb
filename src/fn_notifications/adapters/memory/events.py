"""A broker in memory: topics, partitions, consumer groups. Gone with the process; for one event loop."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Final, Literal, TypeAlias
from zlib import crc32

from attrs import define, field

from fn_notifications.application.errors import Refused, Unavailable
from fn_notifications.application.ports.events import Outgoing, Record

Partition: TypeAlias = tuple[str, int]
Start: TypeAlias = Literal["now", "earliest"] | datetime

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of a message that is still taken."""


class MemoryStream:
    """What the sources and publishers of one process share."""

    def __init__(self, clock: Callable[[], datetime], partitions: int = 3) -> None:
        self._clock = clock
        self._partitions = partitions
        self._topics: dict[str, list[list[Record]]] = {}
        self._groups: dict[str, _Group] = {}
        self._news = asyncio.Event()
        self._room: int | None = None

    def create_topic(self, name: str, partitions: int) -> None:
        """Create a topic; one that is there stays as it is. Other topics come into being when written to."""
        if name not in self._topics:
            self._topics[name] = [[] for _ in range(partitions)]
            self._rebalance()

    def append(self, message: Outgoing, *, timestamp: datetime | None = None) -> Record:
        """Write one message at once, as another service would."""
        self.create_topic(message.topic, self._partitions)
        partitions = self._topics[message.topic]
        number = crc32(message.key) % len(partitions)
        record = Record(
            topic=message.topic,
            partition=number,
            offset=len(partitions[number]),
            timestamp=timestamp or self._clock(),
            value=message.value,
            key=message.key,
            headers=message.headers,
        )
        partitions[number].append(record)
        self._announce()
        return record

    def records(self, topic: str) -> list[Record]:
        """Everything in a topic, partition by partition."""
        return [record for partition in self._topics.get(topic, []) for record in partition]

    def go_down(self, after: int = 0) -> None:
        """Take `after` more messages, then neither give nor take any until `come_up`."""
        self._room = after

    def come_up(self) -> None:
        """Work again."""
        self._room = None
        self._announce()

    def publisher(self) -> "MemoryPublisher":
        """An `EventPublisher` that writes here."""
        return MemoryPublisher(self)

    @asynccontextmanager
    async def source(self, group: str, topics: Iterable[str], start: Start = "now") -> AsyncIterator["MemorySource"]:
        """An `EventSource`: one member of a group. A topic that is new to the group is read from `start`."""
        state = self._groups.setdefault(group, _Group())
        member = MemorySource(self, state.committed, frozenset(topics))
        for topic in member.topics - {topic for topic, _ in state.committed}:
            for number, records in enumerate(self._topics.get(topic, [])):
                state.committed[topic, number] = _begin(records, start)
        state.members.append(member)
        self._rebalance()
        try:
            yield member
        finally:
            state.members.remove(member)
            member.assign([])
            self._rebalance()

    def accept(self, message: Outgoing) -> None:
        """Write one message of a publisher's. Raises `Unavailable` while down, `Refused` when it is too large."""
        if self._room == 0:
            raise Unavailable("the stream is down")
        if len(message.value) > LARGEST:
            raise Refused("the message is too large")
        if self._room is not None:
            self._room -= 1
        self.append(message)

    def read(self, partition: Partition, offset: int, limit: int) -> list[Record]:
        """At most `limit` records from an offset on; none while down."""
        topic, number = partition
        return [] if self._room == 0 else self._topics[topic][number][offset : offset + limit]

    async def news(self, until: float) -> None:
        """Return after a change, at the latest at `until` on the loop's clock."""
        try:
            async with asyncio.timeout_at(until):
                await self._news.wait()
        except TimeoutError:
            return

    def _announce(self) -> None:
        self._news.set()
        self._news = asyncio.Event()

    def _rebalance(self) -> None:
        sizes = {topic: len(partitions) for topic, partitions in self._topics.items()}
        for group in self._groups.values():
            group.deal(sizes)
        self._announce()


class MemorySource:
    """An `EventSource`; made by `MemoryStream.source`."""

    def __init__(self, stream: MemoryStream, committed: dict[Partition, int], topics: frozenset[str]) -> None:
        self.topics = topics
        self._stream = stream
        self._committed = committed
        self._next: dict[Partition, int] = {}

    def assign(self, partitions: Iterable[Partition]) -> None:
        """Read these from now on, from what is committed."""
        self._next = {each: self._committed.setdefault(each, 0) for each in partitions}

    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        until = asyncio.get_running_loop().time() + wait
        await asyncio.sleep(0)
        while not (records := self._read(limit)) and asyncio.get_running_loop().time() < until:
            await self._stream.news(until)
        return records

    async def done(self, records: Sequence[Record]) -> None:
        await asyncio.sleep(0)
        for record in records:
            partition = record.topic, record.partition
            # Not read in this assignment: the partition was elsewhere meanwhile, and this is not ours to say.
            if self._committed.get(partition, 0) <= record.offset < self._next.get(partition, 0):
                self._committed[partition] = record.offset + 1

    def _read(self, limit: int) -> list[Record]:
        records: list[Record] = []
        for partition, offset in self._next.items():
            found = self._stream.read(partition, offset, limit - len(records))
            self._next[partition] += len(found)
            records += found
        return records


class MemoryPublisher:
    """An `EventPublisher`; made by `MemoryStream.publisher`."""

    def __init__(self, stream: MemoryStream) -> None:
        self._stream = stream

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        await asyncio.sleep(0)
        for message in messages:
            self._stream.accept(message)


@define
class _Group:
    """A consumer group: what it has done, and who is in it."""

    committed: dict[Partition, int] = field(factory=dict)
    members: list[MemorySource] = field(factory=list)

    def deal(self, sizes: Mapping[str, int]) -> None:
        """Give out the partitions anew. All are read again from what is committed, as with Kafka's eager protocol."""
        shares: list[list[Partition]] = [[] for _ in self.members]
        for topic, size in sizes.items():
            takers = [share for member, share in zip(self.members, shares, strict=True) if topic in member.topics]
            for number in range(size if takers else 0):
                takers[number % len(takers)].append((topic, number))
        for member, share in zip(self.members, shares, strict=True):
            member.assign(share)


def _begin(records: Sequence[Record], start: Start) -> int:
    match start:
        case "earliest":
            return 0
        case "now":
            return len(records)
        case datetime() as moment:
            younger = (record.offset for record in records if record.timestamp >= moment)
            return next(younger, len(records))
