"""A broker under test, as the contracts of `EventSource` and `EventPublisher` see it."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Final, Protocol

from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.events import EventPublisher, EventSource, Outgoing, Record

WAIT: Final = 0.05
"""Seconds a single `take` of these rules waits."""

TOO_LARGE: Final = 17 * 1024 * 1024
"""Bytes no broker takes in one message."""

NASTY: Final = (
    b"",
    b"\x00",
    bytes(range(256)),
    '{"name": "José ✓ \U0001f600"}'.encode(),
    b'{"cut off": "\xf0\x9f',
    b"\r\n" * 3,
    b"x" * 100_000,
)
"""Values a broker must hand on as they are."""


class Stream(Protocol):
    """A topic of at least two partitions, empty at first, and ways around the ports under test."""

    @property
    def topic(self) -> str:
        """Its name."""
        ...

    @property
    def patience(self) -> float:
        """Seconds after which a rule stops waiting for a record and fails."""
        ...

    def source(self, group: str) -> AbstractAsyncContextManager[EventSource]:
        """A member of a group that reads from the beginning at first. Leaving and coming back is a restart."""
        ...

    def publisher(self) -> AbstractAsyncContextManager[EventPublisher]:
        """A publisher that raises within `patience` seconds when the broker is out."""
        ...

    async def write(self, messages: Sequence[Outgoing]) -> None:
        """Write by other means than the publisher."""
        ...

    async def read(self) -> Sequence[Record]:
        """Read everything in the topic by other means than the source, each partition in order."""
        ...

    def outage(self) -> AbstractAsyncContextManager[None]:
        """Inside, the broker takes and gives nothing. What was acknowledged before is there afterwards."""
        ...


Place = tuple[int, int]


def place(record: Record) -> Place:
    """Where in its topic a record lies."""
    return record.partition, record.offset


def numbered(topic: str, numbers: Iterable[int], keys: int = 8) -> list[Outgoing]:
    """Messages that tell their number, spread over some keys."""
    return [Outgoing(topic=topic, key=b"key-%d" % (n % keys), value=b"%d" % n) for n in numbers]


def numbers_by_key(records: Iterable[Record]) -> dict[bytes | None, list[int]]:
    """The numbers of numbered records, in the order they lie in, each where it stands first."""
    found: defaultdict[bytes | None, dict[int, None]] = defaultdict(dict)
    for record in records:
        found[record.key][int(record.value)] = None
    return {key: list(numbers) for key, numbers in found.items()}


async def gather(source: EventSource, count: int, stream: Stream, *, done: bool = False) -> list[Record]:
    """Take until `count` different records were seen. Fails when they do not come in time."""
    return await _gather(source, stream, lambda seen: len(seen) >= count, done=done)


async def gather_these(source: EventSource, expected: set[Place], stream: Stream) -> list[Record]:
    """Take until each of these was seen, among others. Fails when they do not come in time."""
    return await _gather(source, stream, expected.issubset, done=False)


async def _gather(
    source: EventSource, stream: Stream, enough: Callable[[set[Place]], bool], *, done: bool
) -> list[Record]:
    records: list[Record] = []
    seen: set[Place] = set()
    loop = asyncio.get_running_loop()
    until = loop.time() + stream.patience
    while not enough(seen):
        assert loop.time() < until, f"more records were expected than the {len(seen)} that came"
        taken = await source.take(100, WAIT)
        records += taken
        seen.update(place(record) for record in taken)
        if done:
            await source.done(taken)
    return records


async def publish_again(publisher: EventPublisher, batch: Sequence[Outgoing], stream: Stream) -> None:
    """Publish again while the broker is coming back."""
    async with asyncio.timeout(stream.patience):
        while True:
            try:
                return await publisher.publish(batch)
            except Unavailable:
                continue
