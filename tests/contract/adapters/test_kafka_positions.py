"""Where a group begins, resumes and starts again, on Apache Kafka."""

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions, NewTopic
from tests.services.streams import KafkaSubject

from fn_notifications.adapters.kafka.positions import Reset
from fn_notifications.adapters.kafka.source import KafkaSource
from fn_notifications.application.ports.events import Outgoing, Record
from fn_notifications.testing.streams import gather, numbered
from fn_notifications.testing.waiting import eventually

pytestmark = pytest.mark.external


@pytest.fixture(params=["classic", "cooperative", "consumer"])
def stream(request: pytest.FixtureRequest, kafka_stream: KafkaSubject) -> KafkaSubject:
    return kafka_stream.with_options(group_protocol=request.param)


@pytest.fixture
def admin(kafka_stream: KafkaSubject) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka_stream.bootstrap, "log_level": 0})


async def settled(source: KafkaSource, partitions: int) -> None:
    """Wait until so many partitions are read from a known place."""
    await asyncio.gather(source.take(1, 0), eventually(lambda: len(source.assigned) == partitions, within=30))


def numbers(records: Iterable[Record]) -> list[int]:
    """Which came; how often is not what these tests are about: a rebalance repeats what is not done."""
    return sorted({int(record.value) for record in records})


async def test_now_is_the_end_at_the_first_assignment(stream: KafkaSubject) -> None:
    await stream.write(numbered(stream.topic, range(20)))
    async with stream.source("g", intake_start="now") as source:
        await settled(source, 3)
        await stream.write(numbered(stream.topic, range(20, 40)))
        assert numbers(await gather(source, 20, stream)) == list(range(20, 40))


async def test_a_crash_before_the_first_commit_skips_nothing(stream: KafkaSubject) -> None:
    """The start is committed before anything is read: the next start does not take a later end for its own."""
    await stream.write(numbered(stream.topic, range(20)))
    async with stream.source("g", intake_start="now") as source:
        await settled(source, 3)
        assert sum(await stream.committed()) == 20
    await stream.write(numbered(stream.topic, range(20, 40)))
    async with stream.source("g", intake_start="now") as source:
        assert numbers(await gather(source, 20, stream)) == list(range(20, 40))


async def test_a_time_is_the_first_record_not_older(stream: KafkaSubject) -> None:
    moment = datetime.now(UTC) - timedelta(hours=1)
    producer = Producer({"bootstrap.servers": stream.bootstrap})
    for minute in range(-30, 30):
        stamp = round((moment + timedelta(minutes=minute)).timestamp() * 1000)
        producer.produce(stream.topic, b"%d" % minute, partition=minute % 2, timestamp=stamp)
    producer.flush()
    async with stream.source("g", intake_start=moment) as source:
        assert numbers(await gather(source, 30, stream)) == list(range(30))
        # The third partition held nothing of that age: it begins at its end.
        await settled(source, 3)
        await stream.write(numbered(stream.topic, range(1000, 1020)))
        await gather(source, 20, stream)


async def test_a_known_group_resumes_whatever_the_start_says(stream: KafkaSubject) -> None:
    await stream.write(numbered(stream.topic, range(20)))
    async with stream.source("g") as source:
        await gather(source, 20, stream, done=True)
    await stream.write(numbered(stream.topic, range(20, 40)))
    async with stream.source("g", intake_start="now") as source:
        assert numbers(await gather(source, 20, stream, done=True)) == list(range(20, 40))
    assert sum(await stream.committed()) == 40


async def test_a_partition_that_is_added_is_read_from_its_beginning(stream: KafkaSubject, admin: AdminClient) -> None:
    """Everything in it was written while we were here, also what was written before we noticed it."""
    async with stream.source("g", intake_start="now") as source:
        await settled(source, 3)
        admin.create_partitions([NewPartitions(stream.topic, 6)])[stream.topic].result()
        await stream.write(numbered(stream.topic, range(40), keys=40))
        assert numbers(await gather(source, 40, stream)) == list(range(40))


async def test_a_partition_added_while_away_is_read_from_its_beginning(
    stream: KafkaSubject, admin: AdminClient
) -> None:
    async with stream.source("g", intake_start="now") as source:
        await settled(source, 3)
    admin.create_partitions([NewPartitions(stream.topic, 6)])[stream.topic].result()
    await stream.write(numbered(stream.topic, range(40), keys=40))
    async with stream.source("g", intake_start="now") as source:
        assert numbers(await gather(source, 40, stream)) == list(range(40))


async def test_a_topic_that_does_not_exist_yet_keeps_nobody_waiting(
    stream: KafkaSubject, admin: AdminClient, caplog: pytest.LogCaptureFixture
) -> None:
    """The others are read, a warning names it, and once it is there it is read from its beginning."""
    later = f"{stream.topic}-later"
    async with stream.source("g", topics=(stream.topic, later), intake_start="now") as source:
        await settled(source, 3)
        await stream.write(numbered(stream.topic, range(10)))
        await gather(source, 10, stream, done=True)
        assert f"topic {later} does not exist yet" in caplog.text
        admin.create_topics([NewTopic(later, num_partitions=1)])[later].result()
        await stream.write(numbered(later, range(100, 110)))
        records = await gather(source, 10, stream)
    assert {record.topic for record in records} == {later}
    assert numbers(records) == list(range(100, 110))


async def test_fault_33_records_that_aged_out_are_counted_and_reading_goes_on(
    stream: KafkaSubject, admin: AdminClient
) -> None:
    resets: list[Reset] = []
    await stream.write(numbered(stream.topic, range(30), keys=1))
    async with stream.source("g") as source:
        partition = (await gather(source, 30, stream, done=True))[0].partition
    await stream.write(numbered(stream.topic, range(30, 60), keys=1))
    await _delete_records(admin, TopicPartition(stream.topic, partition, 45))
    async with stream.source("g", resets.append) as source:
        assert numbers(await gather(source, 15, stream, done=True)) == list(range(45, 60))
    assert resets == [Reset(topic=stream.topic, partition=partition, expected=30, resumed=45)]
    assert resets[0].aged_out == 15
    assert max(await stream.committed()) == 60


async def test_fault_33_what_ages_out_under_a_member_that_lags_disturbs_no_other(
    stream: KafkaSubject, admin: AdminClient
) -> None:
    """Twenty megabytes are more than is fetched in advance: their end is not there when it is asked for."""
    resets: list[Reset] = []
    small = numbered(stream.topic, range(30))
    large = [Outgoing(topic=stream.topic, key=b"large", value=b"%d" % n + b" " * 10_000) for n in range(1000, 3000)]
    async with stream.source("g", resets.append) as source:
        await stream.write(small[:1])
        await gather(source, 1, stream, done=True)
        await stream.write(large)
        partition = next(record.partition for record in await stream.read() if record.key == b"large")
        (last,) = [record.offset for record in await stream.read() if int(record.value) == 2999]
        await _delete_records(admin, TopicPartition(stream.topic, partition, last))
        await stream.write(small[1:])
        seen: set[int] = set()
        async with asyncio.timeout(stream.patience):
            while not seen >= {*range(1, 30), 2999}:
                records = await source.take(100, 0.1)
                seen.update(int(record.value) for record in records)
                await source.done(records)
        # The others are read on from where they were.
        await stream.write(numbered(stream.topic, range(30, 60)))
        assert numbers(await gather(source, 30, stream, done=True)) == list(range(30, 60))
    assert [(each.partition, each.resumed) for each in resets] == [(partition, last)]
    assert sum(await stream.committed()) == 2060


async def test_fault_33_a_topic_made_anew_is_read_from_its_beginning(stream: KafkaSubject, admin: AdminClient) -> None:
    """Offsets of the old one are not found in the new one; its smaller ones are committed and hold after a restart."""
    resets: list[Reset] = []
    await stream.write(numbered(stream.topic, range(30), keys=1))
    async with stream.source("g") as source:
        (partition, *_) = {record.partition for record in await gather(source, 30, stream, done=True)}
    await _recreate(stream, admin)
    await stream.write(numbered(stream.topic, range(100, 110), keys=1))
    async with stream.source("g", resets.append) as source:
        assert numbers(await gather(source, 10, stream, done=True)) == list(range(100, 110))
    expected = [] if not resets else [(partition, 30, 0)]
    assert [(each.partition, each.expected, each.resumed) for each in resets] == expected
    await stream.write(numbered(stream.topic, range(110, 120), keys=1))
    async with stream.source("g", resets.append) as source:
        assert numbers(await gather(source, 10, stream)) == list(range(110, 120))


async def test_fault_33_a_topic_made_anew_under_a_running_source_is_read(
    stream: KafkaSubject, admin: AdminClient
) -> None:
    await stream.write(numbered(stream.topic, range(30), keys=1))
    async with stream.source("g") as source:
        old = await gather(source, 30, stream, done=True)
        await _recreate(stream, admin)
        await stream.write(numbered(stream.topic, range(100, 110), keys=1))
        assert numbers(await gather(source, 10, stream)) == list(range(100, 110))
        # Offsets of the old topic that the new one has not reached say nothing about it.
        await source.done(old[10:])
    async with stream.source("g") as source:
        assert numbers(await gather(source, 10, stream)) == list(range(100, 110))


async def test_what_is_done_in_a_topic_made_anew_is_done(stream: KafkaSubject, admin: AdminClient) -> None:
    """Though its offsets are smaller than the old topic's."""
    await stream.write(numbered(stream.topic, range(30), keys=1))
    async with stream.source("g") as source:
        await gather(source, 30, stream, done=True)
        await _recreate(stream, admin)
        await stream.write(numbered(stream.topic, range(100, 110), keys=1))
        await gather(source, 10, stream, done=True)
    await stream.write(numbered(stream.topic, range(110, 120), keys=1))
    async with stream.source("g") as source:
        assert numbers(await gather(source, 10, stream)) == list(range(110, 120))


async def _delete_records(admin: AdminClient, before: TopicPartition) -> None:
    for answer in admin.delete_records([before]).values():
        await asyncio.wrap_future(answer)


async def _recreate(stream: KafkaSubject, admin: AdminClient) -> None:
    await asyncio.wrap_future(admin.delete_topics([stream.topic])[stream.topic])

    def try_to_create() -> bool:
        answer = admin.create_topics([NewTopic(stream.topic, num_partitions=3)])[stream.topic]
        return answer.exception() is None

    await eventually(try_to_create, within=30)
