"""A member of a consumer group, for one thread: librdkafka's Python client allows no second one."""

import logging
import threading
import time
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Final

from confluent_kafka import Consumer, KafkaError, KafkaException, Message, TopicPartition

from fn_notifications.adapters.kafka.faults import code_of, is_fatal, name_of
from fn_notifications.adapters.kafka.positions import Beginnings, Partition, Reset
from fn_notifications.adapters.kafka.progress import Progress
from fn_notifications.adapters.kafka.records import record_from
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.events import Record

logger = logging.getLogger(__name__)

# A waiting `take` looks up this often, in seconds: for a close, for a failed look-up to try again.
SLICE: Final = 0.25
# What a partition reports that has no valid offset to read from.
LOST: Final = frozenset({KafkaError._AUTO_OFFSET_RESET, KafkaError._LOG_TRUNCATION})  # noqa: SLF001 - public names there
# What storing an offset answers for a partition that is not ours any more.
GONE: Final = frozenset({KafkaError._STATE, KafkaError._UNKNOWN_PARTITION})  # noqa: SLF001 - as above


class Reader:
    """Reads, remembers what was read, stores what is done.

    Where to read on is never left to librdkafka (`auto.offset.reset=error`): a partition without a valid offset
    reports so and is given a place, which is committed before its first record is read. So a crash right after the
    start skips nothing, and no reset goes unseen.
    """

    def __init__(
        self,
        connect: Callable[[], Consumer],
        settings: KafkaSettings,
        on_reset: Callable[[Reset], None],
        known: Collection[str] = (),
    ) -> None:
        self._connect = connect
        self._consumer = connect()
        self._settings = settings
        self._on_reset = on_reset
        self._known = known
        self._closing = threading.Event()
        self._beginnings: Beginnings | None = None
        self._progress = Progress()
        self._lost: Mapping[Partition, int | None] = {}
        self._moved: dict[Partition, int | None] = {}
        self._offered: list[Record] = []
        self._spare: list[Record] = []
        self._number = 0
        self._polled = time.monotonic()
        self._is_paused = False
        self._warned: set[tuple[str, str]] = set()
        self._assigned: frozenset[Partition] = frozenset()
        self._is_eager = settings.group_protocol == "classic"

    @property
    def assigned(self) -> frozenset[Partition]:
        """What this member reads, from a place it knows. For any thread."""
        return self._assigned - self._lost.keys()

    def take(self, limit: int, wait: float, received: int) -> tuple[int, list[Record]]:
        """The next records with the batch's number; `received` is the number of the last batch that arrived.

        An older number says that somebody gave up waiting: those records are offered again.
        """
        if received != self._number:
            self._spare = self._offered + self._spare
        self._offered = []
        deadline = time.monotonic() + wait
        with self._healing("Kafka cannot be read"):
            self._resume()
            while not self._spare and not self.is_closing:
                left = max(0.0, deadline - time.monotonic())
                self._settle()
                self._read(1, min(left, SLICE))
                if not left:
                    break
            if 0 < len(self._spare) < limit:
                self._read(limit - len(self._spare), 0)
        self._offered, self._spare = self._spare[:limit], self._spare[limit:]
        self._number += 1
        return self._number, self._offered

    def done(self, records: Sequence[Record]) -> None:
        """Store the offsets after these, where they were read in the present assignment."""
        offsets = self._progress.offsets_after(records)
        if not offsets:
            return
        try:
            self._consumer.store_offsets(offsets=[TopicPartition(*each, offset) for each, offset in offsets.items()])
        except KafkaException as error:
            if code_of(error) not in GONE:
                raise Unavailable(f"Kafka cannot store offsets: {name_of(error)}") from None
        self._progress.stored(offsets)

    def keep_alive(self) -> None:
        """Serve callbacks with everything paused, when nothing was polled for `keepalive` seconds."""
        if time.monotonic() - self._polled < self._settings.keepalive or self.is_closing:
            return
        with self._healing("Kafka cannot be polled"):
            self._settle()
            while True:
                # Again each time: serving a callback may have brought partitions that are not paused yet.
                self._consumer.pause(self._consumer.assignment())
                self._is_paused = True
                message = self._consumer.poll(0)
                if message is None:
                    break
                self._accept(message)
            self._polled = time.monotonic()

    def join(self) -> None:
        """Become a member, after asking what is new to the group. Tried again by whatever comes next."""
        if self._beginnings is not None:
            return
        topics = self._settings.topics
        try:
            beginnings = Beginnings.survey(self._consumer, topics, self._settings.intake_start, self._known)
            self._consumer.subscribe(
                list(topics), on_assign=self._on_assign, on_revoke=self._on_revoke, on_lost=self._on_revoke
            )
        except KafkaException as error:
            self._warn("the group cannot be joined yet", error)
        else:
            self._beginnings = beginnings

    @property
    def is_closing(self) -> bool:
        """Whether `interrupt` was called. For any thread."""
        return self._closing.is_set()

    def interrupt(self) -> None:
        """End a waiting `take` soon, for `close` to follow. For any thread."""
        self._closing.set()

    def close(self) -> None:
        """Commit what is stored and leave the group."""
        try:
            self._consumer.close()
        except KafkaException as error:
            logger.warning("the group could not be left in order: %s", name_of(error))

    @contextmanager
    def _healing(self, what: str) -> Iterator[None]:
        """Raise `Unavailable` for whatever a client raises; one that is of no more use is replaced."""
        try:
            yield
        except KafkaException as error:
            if is_fatal(error):
                with suppress(KafkaException):
                    self._consumer.close()
                self._on_revoke(self._consumer, [TopicPartition(*each) for each in self._assigned])
                self._consumer, self._beginnings, self._is_paused = self._connect(), None, False
            raise Unavailable(f"{what}: {name_of(error)}") from None

    def _read(self, limit: int, timeout: float) -> None:
        for message in self._consumer.consume(limit, timeout):
            self._accept(message)
        self._polled = time.monotonic()

    def _accept(self, message: Message) -> None:
        error = message.error()
        if error is None:
            record = record_from(message)
            self._spare.append(record)
            self._progress.read(record)
            if self._moved:
                self._moved.pop((record.topic, record.partition), None)
        elif error.code() in LOST:
            partition = message.topic() or "", message.partition() or 0
            # What one assignment lost, an older one may have reported already: such a report is about the past.
            is_news = partition not in self._moved or self._moved[partition] != message.offset()
            if partition in self._assigned and is_news:
                self._lost = {**self._lost, partition: message.offset()}
        elif is_fatal(error):
            raise KafkaException(error)
        else:
            self._warn("a Kafka broker said", error, message.topic() or "")

    def _settle(self) -> None:
        """Join if that failed so far, and move lost partitions to a place: no seek reaches them, only an assignment."""
        self.join()
        lost = self._lost
        if not lost:
            return
        self._forget(lost.keys())
        # First out: a partition that leaves commits what is stored, which must not come after its new place.
        others = self._unassign(lost.keys())
        places = self._locate(lost)
        self._assign(others + (places or [TopicPartition(*each) for each in lost]))
        if places:
            self._lost = {}
            self._moved |= lost

    def _assign(self, places: list[TopicPartition]) -> None:
        if self._is_eager:
            self._consumer.assign(places)
        else:
            self._consumer.incremental_assign(places)

    def _unassign(self, partitions: Collection[Partition]) -> list[TopicPartition]:
        """Read these no more. Returns what else the next assignment must hold: the eager protocol knows whole ones."""
        everything = self._consumer.assignment()
        if self._is_eager:
            others = [each for each in everything if (each.topic, each.partition) not in partitions]
            others = self._consumer.position(others)
            self._consumer.assign(others)
            return others
        self._consumer.incremental_unassign([each for each in everything if (each.topic, each.partition) in partitions])
        return []

    def _locate(self, lost: Mapping[Partition, int | None]) -> list[TopicPartition]:
        """Places for lost partitions; nothing when the cluster does not say."""
        if self._beginnings is None:
            return []
        try:
            places, resets = self._beginnings.locate(self._consumer, lost)
        except KafkaException as error:
            self._warn("a place to read from cannot be found yet", error)
            return []
        for reset in resets:
            self._on_reset(reset)
        return places

    def _resume(self) -> None:
        if self._is_paused:
            self._consumer.resume(self._consumer.assignment())
            self._is_paused = False

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        self._warned.clear()
        new: dict[Partition, int | None] = {(each.topic, each.partition): None for each in partitions}
        # A consumer that is being closed waits for this callback, and its questions would get no answer.
        places = [] if self.is_closing else self._locate(new)
        if not places:
            # Assigned as they are, and moved once there is an answer.
            self._lost = {**self._lost, **new}
            places = partitions
        self._assign(places)
        # A partition that was lost while paused comes back paused.
        consumer.resume(places)
        self._assigned |= new.keys()

    def _on_revoke(self, _consumer: Consumer, partitions: list[TopicPartition]) -> None:
        gone = {(each.topic, each.partition) for each in partitions}
        self._assigned -= gone
        self._moved = {each: expected for each, expected in self._moved.items() if each not in gone}
        self._lost = {each: expected for each, expected in self._lost.items() if each not in gone}
        self._forget(gone)

    def _forget(self, partitions: Collection[Partition]) -> None:
        """What was read there and is not done comes again from the broker, so it must not come from here."""
        self._offered = [each for each in self._offered if (each.topic, each.partition) not in partitions]
        self._spare = [each for each in self._spare if (each.topic, each.partition) not in partitions]
        self._progress.forget(partitions)

    def _warn(self, what: str, error: KafkaException | KafkaError, topic: str = "") -> None:
        """Once for each kind of trouble; again after the next assignment."""
        trouble = name_of(error), topic
        if trouble not in self._warned:
            self._warned.add(trouble)
            logger.warning("%s: %s %s", what, *trouble)
