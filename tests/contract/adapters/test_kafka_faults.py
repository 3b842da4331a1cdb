"""What librdkafka and its brokers do wrong, on the embedded broker, which does it on command."""

import asyncio
import ctypes
from collections.abc import Iterator
from unittest.mock import Mock

import pytest
from confluent_kafka import (
    TIMESTAMP_CREATE_TIME,
    TIMESTAMP_NOT_AVAILABLE,
    KafkaError,
    Message,
    Producer,
    TopicPartition,
)
from tests.services.streams import KafkaSubject

from fn_notifications.adapters.kafka import source as source_module
from fn_notifications.adapters.kafka.embedded import HEARTBEAT, PRODUCE, EmbeddedBroker
from fn_notifications.adapters.kafka.publisher import open_publisher
from fn_notifications.adapters.kafka.reader import Reader
from fn_notifications.adapters.kafka.records import EPOCH, record_from
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.adapters.kafka.source import KafkaSource, open_source
from fn_notifications.application.errors import Misconfigured, Refused, Unavailable
from fn_notifications.application.ports.events import Outgoing
from fn_notifications.testing.streams import gather, numbered, numbers_by_key, publish_again
from fn_notifications.testing.waiting import eventually


@pytest.fixture
def broker() -> Iterator[EmbeddedBroker]:
    """One of our own: what is done to it is nobody else's business."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture
def stream(broker: EmbeddedBroker) -> KafkaSubject:
    subject = KafkaSubject(bootstrap=broker.bootstrap, go_down=broker.go_down, come_up=broker.come_up)
    broker.create_topic(subject.topic, subject.partitions)
    return subject.with_options(session_timeout=3.0)


async def test_a_passing_error_is_nobodys_business(broker: EmbeddedBroker, stream: KafkaSubject) -> None:
    """A leader that moved is found again; the batch is acknowledged, once and in order."""
    async with stream.publisher() as publisher:
        broker.fail_requests(PRODUCE, *[KafkaError.NOT_LEADER_FOR_PARTITION] * 3)
        await publisher.publish(numbered(stream.topic, range(40)))
    by_key = numbers_by_key(await stream.read())
    assert by_key == {b"key-%d" % key: list(range(key, 40, 8)) for key in range(8)}


async def test_a_producer_that_broke_for_good_is_replaced(broker: EmbeddedBroker, stream: KafkaSubject) -> None:
    async with stream.publisher() as publisher:
        await publisher.publish(numbered(stream.topic, range(8)))
        broker.fail_requests(PRODUCE, KafkaError.OUT_OF_ORDER_SEQUENCE_NUMBER)
        with pytest.raises(Unavailable, match="OUT_OF_ORDER_SEQUENCE_NUMBER"):
            await publisher.publish(numbered(stream.topic, range(8, 16), keys=1))
        await publish_again(publisher, numbered(stream.topic, range(8, 16)), stream)
    assert {int(record.value) for record in await stream.read()} == set(range(16))


async def test_a_consumer_that_broke_for_good_is_replaced(broker: EmbeddedBroker, stream: KafkaSubject) -> None:
    """`take` says so once; the next one belongs to a new consumer, which resumes behind what was done."""
    await stream.write(numbered(stream.topic, range(10)))
    extra = {"group.instance.id": "pod-0"}
    async with stream.source("g", extra=extra) as source:
        await gather(source, 10, stream, done=True)
        async with asyncio.timeout(30):
            while sum(await stream.committed()) < 10:
                continue
        broker.fail_requests(HEARTBEAT, KafkaError.FENCED_INSTANCE_ID)
        with pytest.raises(Unavailable, match="_FATAL"):
            await _take_until_it_fails(source)
        await stream.write(numbered(stream.topic, range(10, 20)))
        records = await gather(source, 10, stream)
    assert {int(record.value) for record in records} == set(range(10, 20))


async def test_all_callers_learn_of_an_outage(stream: KafkaSubject) -> None:
    """The batch that waits longest gives everything up; published again, nothing is out of order or there twice."""
    batches = [numbered(stream.topic, range(start, start + 40)) for start in (0, 40, 80)]
    async with stream.publisher() as publisher:
        async with stream.outage():
            answers = await asyncio.gather(*map(publisher.publish, batches), return_exceptions=True)
            assert [type(answer) for answer in answers] == [Unavailable] * 3
        for batch in batches:
            await publish_again(publisher, batch, stream)
    records = await stream.read()
    assert len(records) == 120
    assert numbers_by_key(records) == {b"key-%d" % key: list(range(key, 120, 8)) for key in range(8)}


async def test_a_full_queue_is_waited_for(stream: KafkaSubject) -> None:
    """A batch larger than the queue goes in pieces, and one that finds no room at all waits for some."""
    async with stream.with_options(extra={"queue.buffering.max.messages": "7"}).publisher() as publisher:
        await asyncio.gather(
            publisher.publish(numbered(stream.topic, range(100))),
            publisher.publish([Outgoing(topic=stream.topic, key=b"other", value=b"%d" % n) for n in range(100)]),
        )
    by_key = numbers_by_key(await stream.read())
    assert by_key == {b"key-%d" % key: list(range(key, 100, 8)) for key in range(8)} | {b"other": list(range(100))}


async def test_a_queue_that_stays_full_is_unavailable(stream: KafkaSubject) -> None:
    cramped = stream.with_options(extra={"queue.buffering.max.messages": "7"}, publish_timeout=0.3)
    async with cramped.publisher() as publisher, stream.outage():
        first = asyncio.ensure_future(publisher.publish(numbered(stream.topic, range(7))))
        second = asyncio.ensure_future(publisher.publish(numbered(stream.topic, range(7))))
        answers = await asyncio.gather(first, second, return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable] * 2


async def test_a_message_that_is_too_large_is_refused_after_what_came_before(stream: KafkaSubject) -> None:
    """What stands before it is written; what follows is not, so nothing overtakes."""
    huge = Outgoing(topic=stream.topic, key=b"key-0", value=bytes(20_000_000))
    batch = [*numbered(stream.topic, range(8)), huge, *numbered(stream.topic, range(8, 16))]
    async with stream.publisher() as publisher:
        with pytest.raises(Refused, match="MSG_SIZE_TOO_LARGE"):
            await publisher.publish(batch)
    assert {int(record.value) for record in await stream.read()} == set(range(8))


async def test_leaving_does_not_wait_for_brokers_that_are_away(
    stream: KafkaSubject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(source_module, "FAREWELL", 0.05)
    await stream.write(numbered(stream.topic, range(10)))
    async with stream.outage():
        await asyncio.to_thread(stream.come_up)
        async with stream.source("g", session_timeout=60) as source:
            records = await gather(source, 10, stream)
            await asyncio.to_thread(stream.go_down)
            await source.done(records)
    assert "was not left in order" in caplog.text


async def test_joining_survives_brokers_that_are_away(
    stream: KafkaSubject, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The service may start before its brokers do."""
    monkeypatch.setattr("fn_notifications.adapters.kafka.positions.PATIENCE", 0.1)
    await stream.write(numbered(stream.topic, range(10)))
    await asyncio.to_thread(stream.go_down)
    async with stream.source("g") as source:
        assert list(await source.take(10, 0.1)) == []
        await eventually(lambda: "cannot be joined yet" in caplog.text)
        await asyncio.to_thread(stream.come_up)
        assert len(await gather(source, 10, stream)) == 10


async def test_a_place_that_cannot_be_asked_for_is_asked_for_again(
    stream: KafkaSubject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Assigned, but the cluster did not say where to read: neither the end nor the beginning is guessed."""
    answers = False
    locate = Reader._locate

    def locate_if_it_answers(reader: Reader, lost: dict[tuple[str, int], int | None]) -> list[TopicPartition]:
        return locate(reader, lost) if answers else []

    monkeypatch.setattr(Reader, "_locate", locate_if_it_answers)
    await stream.write(numbered(stream.topic, range(10)))
    async with stream.source("g", intake_start="now") as source:
        await eventually(lambda: len(source._reader._assigned) == 3, within=30)
        assert not source.assigned
        assert list(await source.take(10, 0.3)) == []
        answers = True
        await eventually(lambda: len(source.assigned) == 3, within=30)
        await stream.write(numbered(stream.topic, range(10, 20)))
        records = await gather(source, 10, stream)
    assert {int(record.value) for record in records} == set(range(10, 20))


async def test_a_closed_source_says_so(stream: KafkaSubject) -> None:
    async with stream.source("g") as source:
        pass
    with pytest.raises(Unavailable, match="closed"):
        await source.take(1, 0)
    with pytest.raises(Unavailable, match="closed"):
        await source.done([])


async def test_what_cannot_work_is_misconfigured() -> None:
    settings = KafkaSettings(bootstrap="127.0.0.1:1", topics=("t",), extra={"no.such.property": "s3cret"})
    with pytest.raises(Misconfigured) as refused:
        async with open_source(settings):
            pass
    assert "s3cret" not in str(refused.value)
    with pytest.raises(Misconfigured):
        async with open_publisher(settings):
            pass
    with pytest.raises(Misconfigured, match="KAFKA_TOPICS"):
        async with open_source(KafkaSettings(bootstrap="127.0.0.1:1")):
            pass


async def test_a_tombstone_and_an_empty_header_are_empty(stream: KafkaSubject) -> None:
    producer = Producer({"bootstrap.servers": stream.bootstrap, "log_level": 0})
    producer.produce(stream.topic, None, None, headers=[("empty", None)])
    producer.flush()
    async with stream.source("g") as source:
        (record,) = await gather(source, 1, stream)
    assert (record.key, record.value, record.headers) == (None, b"", (("empty", b""),))


def test_a_header_name_that_is_no_text_does_not_stop_the_partition() -> None:
    """confluent-kafka raises SystemError for it, and crashes when asked again."""
    message = Mock(
        Message, **{"headers.side_effect": SystemError, "timestamp.return_value": (TIMESTAMP_CREATE_TIME, 5)}
    )
    message.configure_mock(
        **{"topic.return_value": "t", "partition.return_value": 1, "offset.return_value": 2, "value.return_value": b"v"}
    )
    assert record_from(message).headers == ()
    assert message.headers.call_count == 1


def test_a_record_without_a_time_is_of_1970() -> None:
    message = Mock(Message, **{"headers.return_value": None, "timestamp.return_value": (TIMESTAMP_NOT_AVAILABLE, -1)})
    assert record_from(message).timestamp == EPOCH


class TestEmbeddedBroker:
    def test_topics_have_the_partitions_they_were_given(self, broker: EmbeddedBroker) -> None:
        broker.create_topic("seven", 7)
        broker.create_topic("seven", 3)
        assert len(_partitions(broker.bootstrap, "seven")) == 7

    def test_several_live_side_by_side(self, broker: EmbeddedBroker) -> None:
        with EmbeddedBroker() as other:
            assert other.bootstrap != broker.bootstrap
            other.create_topic("only-there", 1)
            assert len(_partitions(other.bootstrap, "only-there")) == 1

    async def test_without_librdkafkas_functions_a_client_hosts_it(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(ctypes, "CDLL", Mock(side_effect=OSError))
        with EmbeddedBroker() as plain:
            plain.create_topic("t", 1)
            assert len(_partitions(plain.bootstrap, "t")) == 4
            with pytest.raises(Misconfigured, match="no faults"):
                plain.fail_requests(PRODUCE, 1)
            subject = KafkaSubject(bootstrap=plain.bootstrap, go_down=plain.go_down, come_up=plain.come_up, topic="t")
            async with subject.publisher() as publisher:
                await publisher.publish(numbered("t", range(8)))
            async with subject.with_options(group_protocol="consumer").source("g") as source:
                assert len(await gather(source, 8, subject)) == 8


async def _take_until_it_fails(source: KafkaSource) -> None:
    async with asyncio.timeout(30):
        while True:
            await source.take(1, 0.1)


def _partitions(bootstrap: str, topic: str) -> dict[int, object]:
    client = Producer({"bootstrap.servers": bootstrap, "log_level": 0})
    partitions: dict[int, object] = client.list_topics(topic, timeout=5).topics[topic].partitions
    return partitions
