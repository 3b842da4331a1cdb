"""Members of a group that are busy, killed, outnumbered or cut off, on Apache Kafka."""

import asyncio
import sys
from pathlib import Path

import pytest
from tests.services.streams import KafkaSubject

from fn_notifications.adapters.kafka.source import KafkaSource
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.events import Outgoing
from fn_notifications.testing.streams import Place, gather, numbered, numbers_by_key, place, publish_again
from fn_notifications.testing.waiting import eventually

pytestmark = pytest.mark.external

ROOT = Path(__file__).resolve().parents[3]

VICTIM = """
import asyncio, sys
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.adapters.kafka.source import open_source

async def main(bootstrap, topic, group):
    settings = KafkaSettings(bootstrap=bootstrap, topics=(topic,), group_id=group, intake_start="earliest",
                             session_timeout=1.0)
    async with open_source(settings) as source:
        first = []
        while len(first) < 20:
            first += await source.take(20 - len(first), 1)
        await source.done(first)
        second = []
        while len(second) < 20:
            second += await source.take(20 - len(second), 1)
        print("took", flush=True)
        await asyncio.Event().wait()

asyncio.run(main(*sys.argv[1:]))
"""


@pytest.fixture(params=["classic", "cooperative", "consumer"])
def stream(request: pytest.FixtureRequest, kafka_stream: KafkaSubject) -> KafkaSubject:
    return kafka_stream.with_options(group_protocol=request.param)


async def test_a_killed_member_leaves_its_place(kafka_stream: KafkaSubject) -> None:
    """After kill -9 the group resumes behind what was done: nothing is lost, and nothing done is repeated."""
    stream = kafka_stream
    await stream.write(numbered(stream.topic, range(60)))
    victim = await asyncio.create_subprocess_exec(
        sys.executable, "-c", VICTIM, stream.bootstrap, stream.topic, stream.group_id("g"),
        cwd=ROOT, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        assert victim.stdout is not None
        assert await asyncio.wait_for(victim.stdout.readline(), 30) == b"took\n"
        async with asyncio.timeout(30):
            while sum(await stream.committed()) < 20:
                continue
    finally:
        victim.kill()
        await victim.wait()
    async with stream.source("g") as source:
        records = await gather(source, 40, stream, done=True)
    assert len(records) == 40
    assert sum(await stream.committed()) == 60


async def test_fault_26_a_busy_member_holds_nobody_up(stream: KafkaSubject) -> None:
    """While the application keeps a batch and takes nothing, others come into the group and get their share."""
    await stream.write(numbered(stream.topic, range(60)))
    async with stream.source("g") as busy:
        await gather(busy, 60, stream)
        async with stream.source("g") as newcomer:
            await gather(newcomer, 1, stream)
            assert newcomer.assigned
            assert not newcomer.assigned & busy.assigned


async def test_a_busy_member_loses_nothing_by_it(stream: KafkaSubject) -> None:
    """What comes in while partitions are paused is there afterwards, in order."""
    await stream.write(numbered(stream.topic, range(30), keys=1))
    async with stream.source("g", keepalive=0.01) as source:
        records = await gather(source, 30, stream)
        reader = source._reader
        for start in range(30, 330, 30):
            await eventually(lambda: reader._is_paused, within=30)
            await stream.write(numbered(stream.topic, range(start, start + 30), keys=1))
            records += await gather(source, 30, stream)
    assert [int(record.value) for record in records] == list(range(330))


async def test_fault_30_a_broker_that_is_killed_and_comes_back_loses_nothing(stream: KafkaSubject) -> None:
    """Under a source and a publisher at work. What was acknowledged is read; nothing is overtaken."""
    seen: dict[Place, int] = {}
    stop = asyncio.Event()
    published = 0

    async def read(source: KafkaSource) -> None:
        while not stop.is_set() or len(set(seen.values())) < published:
            try:
                records = await source.take(100, 0.1)
                seen.update({place(record): int(record.value) for record in records})
                await source.done(records)
            except Unavailable:
                continue

    async with stream.source("g") as source, stream.publisher() as publisher, asyncio.timeout(90):
        reading = asyncio.ensure_future(read(source))

        async def publish(count: int) -> None:
            nonlocal published
            for _ in range(count):
                await publish_again(publisher, numbered(stream.topic, range(published, published + 40)), stream)
                published += 40

        await publish(5)
        publishing = asyncio.ensure_future(publish(20))
        async with stream.outage():
            pass
        await publishing
        await publish(5)
        stop.set()
        await reading
    assert set(seen.values()) == set(range(1200))
    by_key = numbers_by_key(await stream.read())
    assert by_key == {b"key-%d" % key: list(range(key, 1200, 8)) for key in range(8)}


async def test_fault_30_an_outage_longer_than_the_session_passes(stream: KafkaSubject) -> None:
    """The membership is lost while everything is paused; what is assigned anew is read, not left paused."""
    await stream.write(numbered(stream.topic, range(10)))
    async with stream.source("g", session_timeout=1.0) as source:
        await gather(source, 10, stream, done=True)
        async with stream.outage():
            if stream.options["group_protocol"] != "consumer":
                await eventually(lambda: not source.assigned, within=30)
            gathering = asyncio.ensure_future(gather(source, 10, stream))
        await stream.write(numbered(stream.topic, range(10, 20)))
        await gathering


async def test_a_message_of_a_megabyte_passes(kafka_stream: KafkaSubject) -> None:
    stream = kafka_stream
    value = bytes(range(256)) * 3_900
    messages = [Outgoing(topic=stream.topic, key=b"%d" % n, value=value) for n in range(20)]
    async with stream.publisher() as publisher, stream.source("g") as source:
        await publisher.publish(messages)
        records = await gather(source, 20, stream)
    assert {record.value for record in records} == {value}
