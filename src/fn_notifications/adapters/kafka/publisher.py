"""Events out: whole batches, acknowledged by all replicas, in order per key."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from fn_notifications.adapters.kafka.faults import code_of, configured, is_fatal, name_of
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.application.errors import Refused, Unavailable
from fn_notifications.application.ports.events import Outgoing

# Seconds: how long the polling thread waits for a report, and a full queue for room.
POLL: Final = 0.2
BREATH: Final = 0.02
# What says something of a message, whenever and wherever it is published.
REFUSALS: Final = frozenset(
    {KafkaError.MSG_SIZE_TOO_LARGE, KafkaError.RECORD_LIST_TOO_LARGE, KafkaError.INVALID_RECORD}
)


class _Reports:
    """The delivery reports of one batch, counted on the polling thread; the event loop is woken once."""

    def __init__(self, expected: int) -> None:
        self._loop = asyncio.get_running_loop()
        self._lock = threading.Lock()
        self._expected = expected
        self._error: KafkaError | None = None
        self.all_in: asyncio.Future[KafkaError | None] = self._loop.create_future()

    def __call__(self, error: KafkaError | None, _message: Message) -> None:
        self.settle(1, error)

    def settle(self, count: int, error: KafkaError | None = None) -> None:
        """Expect `count` reports fewer; the first error stays."""
        with self._lock:
            self._error = self._error or error
            self._expected -= count
            if self._expected == 0:
                self._loop.call_soon_threadsafe(self.all_in.set_result, self._error)


class KafkaPublisher:
    """An `EventPublisher`; made by `open_publisher`.

    Kafka keeps a partition's order, so what a failed batch leaves behind is its beginning, as long as no message
    is given up alone. Therefore messages never expire by themselves; after `patience` seconds everything that is
    still under way is given up at once. That includes other callers' batches: they share the same outage.
    """

    def __init__(self, connect: Callable[[], Producer], patience: float) -> None:
        self._connect = connect
        self._patience = patience
        self._producer = connect()
        self._running = True

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        until = asyncio.get_running_loop().time() + self._patience
        while messages:
            taken, reports = self._hand_over(messages)
            if taken:
                await self._await(reports, until)
            elif asyncio.get_running_loop().time() < until:
                await asyncio.sleep(BREATH)
            else:
                raise Unavailable("Kafka's send queue is full")
            messages = messages[taken:]

    def poll_reports(self) -> None:
        """What the polling thread does until `stop`."""
        while self._running:
            # A fatal error interrupts polling, once; the reports that follow say what it did to each message.
            with suppress(KafkaException):
                self._producer.poll(POLL)

    def stop(self) -> None:
        """End the polling thread; what cancelled callers left behind gets a last chance."""
        self._running = False
        _give_up(self._producer, POLL)

    def _hand_over(self, messages: Sequence[Outgoing]) -> tuple[int, _Reports]:
        """Queue as many as there is room for, with no await between: nothing is purged from their midst."""
        reports = _Reports(len(messages))
        taken = 0
        try:
            for each in messages:
                self._producer.produce(
                    each.topic, each.value, each.key, headers=list(each.headers), on_delivery=reports
                )
                taken += 1
        except BufferError:
            reports.settle(len(messages) - taken)
        except KafkaException as refused:
            if not taken:
                raise self._failed(refused) from None
            reports.settle(len(messages) - taken)
        return taken, reports

    async def _await(self, reports: _Reports, until: float) -> None:
        # `wait` leaves the future alone when this task is cancelled; the reports still come.
        left = until - asyncio.get_running_loop().time()
        await asyncio.wait([reports.all_in], timeout=max(0.0, left))
        if not reports.all_in.done():
            self._producer.purge()
            await asyncio.wait([reports.all_in])
        error = reports.all_in.result()
        if error is not None:
            raise self._failed(error)

    def _failed(self, error: KafkaError | KafkaException) -> Refused | Unavailable:
        if is_fatal(error):
            broken, self._producer = self._producer, self._connect()
            _give_up(broken, 0)
        if code_of(error) in REFUSALS:
            return Refused(f"Kafka will not take a message of the batch: {name_of(error)}")
        return Unavailable(f"Kafka did not acknowledge the batch: {name_of(error)}")


def _give_up(producer: Producer, grace: float) -> None:
    """Drop what is under way after `grace` seconds; everybody who waits for a report gets it now."""
    for left in (grace, POLL):
        with suppress(KafkaException):
            producer.flush(left)
        producer.purge()


@asynccontextmanager
async def open_publisher(settings: KafkaSettings) -> AsyncIterator[KafkaPublisher]:
    """A publisher with its polling thread. Raises `Misconfigured` when librdkafka refuses the settings."""
    with configured("the Kafka producer"):
        publisher = KafkaPublisher(lambda: Producer(settings.producer()), settings.publish_timeout)
    thread = threading.Thread(target=publisher.poll_reports, name="kafka-publisher", daemon=True)
    thread.start()
    try:
        yield publisher
    finally:
        await asyncio.to_thread(publisher.stop)
        await asyncio.to_thread(thread.join)
