"""Where reading begins when the group has no valid offset of its own."""

import logging
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final, TypeAlias

from attrs import field, frozen
from confluent_kafka import OFFSET_BEGINNING, OFFSET_END, Consumer, KafkaError, KafkaException, TopicPartition

from fn_notifications.adapters.kafka.settings import Start

Partition: TypeAlias = tuple[str, int]

logger = logging.getLogger(__name__)

# Seconds one question to the cluster may take.
PATIENCE: Final = 5.0


@frozen(kw_only=True)
class Reset:
    """The place to read on from is gone: it aged out, the topic was made anew, or the group forgot its offsets.

    Reading went on at the oldest record there is, so nothing that still exists is skipped; what was stored before
    comes again.
    """

    topic: str
    partition: int
    expected: int | None
    """The next offset; None when the group has none any more in a topic that was read before."""
    resumed: int

    @property
    def aged_out(self) -> int:
        """How many offsets were gone before they were read, as far as is known; 0 when reading went back instead."""
        return 0 if self.expected is None else max(0, self.resumed - self.expected)


@frozen
class Beginnings:
    """Where a partition without a committed offset begins.

    At `start` when the whole topic is new to the group; at its first record when the topic or the partition came
    into being later: then everything in it was written for us. Which case it is must be known before the group is
    joined, or a member could mistake the first offsets of another one for an old group's.
    """

    start: Start
    fresh: Mapping[str, int] = field(factory=dict)
    """Topic -> how many of its partitions, counted from 0, begin at `start`."""
    forgotten: frozenset[str] = frozenset()
    """Topics that were read before, though the group has no offset in them: they begin at their first record."""

    @classmethod
    def survey(cls, consumer: Consumer, topics: Iterable[str], start: Start, known: Collection[str]) -> "Beginnings":
        """Ask the cluster; raises `KafkaException`. `known` are the topics something was taken in from before."""
        fresh = {topic: _fresh(consumer, topic) for topic in topics}
        return cls(
            start,
            {topic: count for topic, count in fresh.items() if topic not in known},
            frozenset(topic for topic, count in fresh.items() if count and topic in known),
        )

    def locate(
        self, consumer: Consumer, lost: Mapping[Partition, int | None]
    ) -> tuple[list[TopicPartition], list[Reset]]:
        """Where to read partitions with the offset they expected, None for none; raises `KafkaException`.

        A committed offset holds unless it is the one that was not found; the others are committed before this
        returns. So a crash right after the start skips nothing, and asking twice gives the same answer. With the
        places come those of them that an operator has to hear of.
        """
        committed = _committed(consumer, lost)
        known = [each for each in committed if each.offset >= 0 and lost[each.topic, each.partition] is None]
        unknown = lost.keys() - {(each.topic, each.partition) for each in known}
        if not unknown:
            return known, []
        firsts = _offsets(consumer, unknown, OFFSET_BEGINNING)
        # Before the times: a record written between the two questions lies behind this end, not before it.
        ends = _offsets(consumer, unknown, OFFSET_END)
        starts = self._starts(consumer, unknown, firsts, ends)
        found = [
            TopicPartition(*each, starts[each] if lost[each] is None and self._is_fresh(each) else firsts[each])
            for each in unknown
        ]
        # A synchronous commit would block as long as the broker is away; asked for afterwards, it is there or not.
        consumer.commit(offsets=found, asynchronous=True)
        if set(_marks(found)) != set(_marks(_committed(consumer, unknown))):
            raise KafkaException(KafkaError(KafkaError._NO_OFFSET))  # noqa: SLF001 - a public name there
        for each in found:
            logger.info("%s [%d] is read from offset %d on", each.topic, each.partition, each.offset)
        return known + found, list(self._resets(found, lost))

    def _resets(self, found: Iterable[TopicPartition], lost: Mapping[Partition, int | None]) -> Iterator[Reset]:
        for each in found:
            expected = lost[each.topic, each.partition]
            if expected is not None or each.topic in self.forgotten:
                yield Reset(topic=each.topic, partition=each.partition, expected=expected, resumed=each.offset)

    def _is_fresh(self, partition: Partition) -> bool:
        topic, number = partition
        return number < self.fresh.get(topic, 0)

    def _starts(
        self,
        consumer: Consumer,
        partitions: Iterable[Partition],
        firsts: dict[Partition, int],
        ends: dict[Partition, int],
    ) -> dict[Partition, int]:
        match self.start:
            case "earliest":
                return firsts
            case "now":
                return ends
            case datetime() as moment:
                found = _offsets(consumer, partitions, round(moment.timestamp() * 1000))
                return {each: offset if offset >= 0 else ends[each] for each, offset in found.items()}


def _fresh(consumer: Consumer, topic: str) -> int:
    """How many partitions the topic has, 0 when the group has read some of it before or it does not exist."""
    metadata = consumer.list_topics(topic, timeout=PATIENCE).topics[topic]
    code = None if metadata.error is None else metadata.error.code()
    if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
        logger.warning("topic %s does not exist yet", topic)
        return 0
    if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        # Forbidden is not absent: once allowed, its history is as old as any other's. The others need not wait.
        return sys.maxsize
    _require(metadata.error)
    committed = _committed(consumer, [(topic, number) for number in metadata.partitions])
    return 0 if any(each.offset >= 0 for each in committed) else len(committed)


def _committed(consumer: Consumer, partitions: Iterable[Partition]) -> list[TopicPartition]:
    """The group's offsets, negative where it has none."""
    answers = consumer.committed([TopicPartition(*each) for each in partitions], timeout=PATIENCE)
    for each in answers:
        _require(each.error)
    return answers


def _offsets(consumer: Consumer, partitions: Iterable[Partition], moment: int) -> dict[Partition, int]:
    """The first offset not older than `moment` (ms, or one of librdkafka's marks), -1 where there is none."""
    questions = [TopicPartition(*each, moment) for each in partitions]
    answers = consumer.offsets_for_times(questions, timeout=PATIENCE)
    for each in answers:
        _require(each.error)
    return {(each.topic, each.partition): each.offset for each in answers}


def _marks(places: Iterable[TopicPartition]) -> Iterator[tuple[str, int, int]]:
    return ((each.topic, each.partition, each.offset) for each in places)


def _require(error: KafkaError | None) -> None:
    if error is not None:
        raise KafkaException(error)
