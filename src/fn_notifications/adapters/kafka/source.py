"""Events in, for asyncio: a consumer group's member on a thread of its own.

Every call is a job for that thread, so the event loop never waits for the network. Between jobs nothing is polled:
the group rebalances between batches, not inside them. But a batch may be held up, say by a database that is down;
a member that does not poll delays every rebalance and is thrown out after `max.poll.interval.ms`. So after
`keepalive` seconds without a poll the partitions are paused and polling goes on for callbacks only. What is moved
away meanwhile is read again by its new owner, and `done` passes over it here.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import ParamSpec, TypeVar

from confluent_kafka import Consumer

from fn_notifications.adapters.kafka.faults import configured
from fn_notifications.adapters.kafka.positions import Partition, Reset
from fn_notifications.adapters.kafka.reader import Reader
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.application.errors import Misconfigured, Unavailable
from fn_notifications.application.ports.events import Record

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger(__name__)


class KafkaSource:
    """An `EventSource`; made by `open_source`."""

    def __init__(self, reader: Reader, thread: ThreadPoolExecutor) -> None:
        self._reader = reader
        self._thread = thread
        self._taking = asyncio.Lock()
        self._received = 0

    @property
    def assigned(self) -> frozenset[Partition]:
        """The (topic, partition) pairs this member reads at present."""
        return self._reader.assigned

    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        async with self._taking:
            number, records = await self._run(self._reader.take, limit, wait, self._received)
            # No await in between: a caller that was cancelled has not received, and is offered the same again.
            self._received = number
            return records

    async def done(self, records: Sequence[Record]) -> None:
        await self._run(self._reader.done, records)

    async def keep_polling(self, every: float) -> None:
        """Stay a member while the application is busy; never returns. `every` in seconds."""
        while True:
            await asyncio.sleep(every)
            # A fatal error is the next `take`'s to raise.
            with suppress(Unavailable):
                await self._run(self._reader.keep_alive)

    async def _run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        if self._reader.is_closing:
            raise Unavailable("the Kafka source is closed")
        return await asyncio.get_running_loop().run_in_executor(self._thread, partial(job, *args, **kwargs))


def log_reset(reset: Reset) -> None:
    """The default for `on_reset`: an operator wants to know."""
    logger.warning(
        "%s [%d] had no offset %d any more: reading went on at %d, %d aged out unread",
        reset.topic,
        reset.partition,
        reset.expected,
        reset.resumed,
        reset.aged_out,
    )


@asynccontextmanager
async def open_source(
    settings: KafkaSettings, on_reset: Callable[[Reset], None] = log_reset
) -> AsyncIterator[KafkaSource]:
    """A member of the settings' group from now on; joining goes on in the background and survives an outage.

    `on_reset` is called on the source's thread. Leaving commits what is done and leaves the group. Raises
    `Misconfigured` without topics, or when librdkafka refuses the settings.
    """
    if not settings.topics:
        raise Misconfigured("KAFKA_TOPICS is empty: there is nothing to read")
    with configured("the Kafka consumer"):
        reader = Reader(lambda: Consumer(settings.consumer()), settings, on_reset)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="kafka-source") as thread:
        source = KafkaSource(reader, thread)
        thread.submit(reader.join)
        polling = loop.create_task(source.keep_polling(settings.keepalive))
        try:
            yield source
        finally:
            reader.interrupt()
            polling.cancel()
            with suppress(asyncio.CancelledError):
                await polling
            await loop.run_in_executor(thread, reader.close)
