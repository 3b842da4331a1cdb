"""Events in, for asyncio: a consumer group's member on a thread of its own.

Every call is a job for that thread, so the event loop never waits for the network. Between jobs nothing is polled:
the group rebalances between batches, not inside them. But a batch may be held up, say by a database that is down;
a member that does not poll delays every rebalance and is thrown out after `max.poll.interval.ms`. So after
`keepalive` seconds without a poll the partitions are paused and polling goes on for callbacks only. What is moved
away meanwhile is read again by its new owner, and `done` passes over it here.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from confluent_kafka import Consumer

from fn_notifications.adapters.kafka.faults import configured
from fn_notifications.adapters.kafka.positions import Partition, Reset
from fn_notifications.adapters.kafka.reader import Reader
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.adapters.kafka.thread import JobThread
from fn_notifications.application.errors import Misconfigured, Unavailable
from fn_notifications.application.ports.events import Record
from fn_notifications.application.ports.telemetry import Telemetry

logger = logging.getLogger(__name__)

FAREWELL: Final = 5.0
"""Seconds for the last commit and for leaving the group."""


class KafkaSource:
    """An `EventSource`; made by `open_source`."""

    def __init__(self, reader: Reader, thread: JobThread) -> None:
        self._reader = reader
        self._thread = thread
        self._taking = asyncio.Lock()
        self._received = 0

    @property
    def assigned(self) -> frozenset[Partition]:
        """The (topic, partition) pairs this member reads at present, each from a place it knows."""
        return self._reader.assigned

    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        self._require_open()
        async with self._taking:
            number, records = await self._thread.run(self._reader.take, limit, wait, self._received)
            # No await in between: a caller that was cancelled has not received, and is offered the same again.
            self._received = number
            return records

    async def done(self, records: Sequence[Record]) -> None:
        self._require_open()
        await self._thread.run(self._reader.done, records)

    def _require_open(self) -> None:
        if self._reader.is_closing:
            raise Unavailable("the Kafka source is closed")


def log_reset(reset: Reset) -> None:
    """The default for `on_reset`: an operator wants to know."""
    logger.error(
        "%s [%d] had %s any more: reading went on at %d, %d aged out unread",
        reset.topic,
        reset.partition,
        "no offset at all" if reset.expected is None else f"no offset {reset.expected}",
        reset.resumed,
        reset.aged_out,
    )


def counted(telemetry: Telemetry) -> Callable[[Reset], None]:
    """As `log_reset`, and counted: what aged out unread never comes."""

    def report(reset: Reset) -> None:
        log_reset(reset)
        telemetry.count("intake.resets", topic=reset.topic)
        telemetry.count("intake.aged_out", reset.aged_out, topic=reset.topic)

    return report


@asynccontextmanager
async def open_source(
    settings: KafkaSettings, on_reset: Callable[[Reset], None] = log_reset, *, known: Collection[str] = ()
) -> AsyncIterator[KafkaSource]:
    """A member of the settings' group from now on; joining goes on in the background and survives an outage.

    `on_reset` is called on the source's thread. `known` are the topics something was taken in from before: should the
    group have forgotten its offsets there, they are read from their first record, whatever `intake_start` says.
    Leaving commits what is done and leaves the group. Raises `Misconfigured` without topics, or when librdkafka
    refuses the settings.
    """
    if not settings.topics:
        raise Misconfigured("KAFKA_TOPICS is empty: there is nothing to read")
    with configured("the Kafka consumer"):
        reader = Reader(lambda: Consumer(settings.consumer()), settings, on_reset, known)
    thread = JobThread("kafka-source")
    thread.start()
    polling = asyncio.create_task(_keep_polling(reader, thread, settings.keepalive))
    try:
        yield KafkaSource(reader, thread)
    finally:
        reader.interrupt()
        polling.cancel()
        (ended,) = await asyncio.gather(polling, return_exceptions=True)
        if isinstance(ended, Exception):
            logger.error("polling had ended", exc_info=ended)
        await _leave(reader, thread)


async def _keep_polling(reader: Reader, thread: JobThread, every: float) -> None:
    """Join, then stay a member while the application is busy; never returns. `every` in seconds."""
    await thread.run(reader.join)
    while True:
        await asyncio.sleep(every)
        # What is wrong is for the next `take` to raise.
        with suppress(Unavailable):
            await thread.run(reader.keep_alive)


async def _leave(reader: Reader, thread: JobThread) -> None:
    """Close, but do not wait longer than `FAREWELL`: with the brokers away librdkafka waits a whole session."""
    closing = asyncio.ensure_future(thread.run(reader.close))
    await asyncio.wait([closing], timeout=FAREWELL)
    thread.stop()
    if not closing.done():
        closing.cancel()
        logger.warning("the group was not left in order; what was done last comes again")
