"""What every `EventSource` and `EventPublisher` keeps to. Subclass, provide the `stream` fixture, and pytest runs
the rules.

No rule waits for something not to happen: where nothing may come, a later record is written and must come first.
"""

import asyncio
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta

import pytest

from fn_notifications.application.errors import Refused, Unavailable
from fn_notifications.application.ports.events import EventSource, Outgoing, Record
from fn_notifications.testing.streams import (
    NASTY,
    TOO_LARGE,
    WAIT,
    Place,
    Stream,
    gather,
    gather_these,
    numbered,
    numbers_by_key,
    place,
    publish_again,
)


class EventSourceContract:
    """Rules for any source."""

    @pytest.fixture
    def stream(self) -> Stream:
        """The subject."""
        raise NotImplementedError

    async def test_a_quiet_stream_gives_nothing(self, stream: Stream) -> None:
        """`take` answers with an empty sequence, and waiting longer changes nothing."""
        async with stream.source("g") as source:
            assert list(await source.take(10, 0)) == []
            assert list(await source.take(10, WAIT)) == []

    async def test_records_arrive_as_they_were_written(self, stream: Stream) -> None:
        """Value, key and headers byte for byte, repeated header names too; the time is the broker's, in UTC."""
        headers = (("traceparent", b"00-1"), ("twice", b"1"), ("twice", b"2"), ("raw", b"\xff\x00"))
        messages = [Outgoing(topic=stream.topic, key=b"k%d" % n, value=v, headers=headers) for n, v in enumerate(NASTY)]
        before = datetime.now(UTC) - timedelta(seconds=5)
        await stream.write(messages)
        async with stream.source("g") as source:
            records = await gather(source, len(messages), stream)
        found = {record.key: (record.topic, record.value, record.headers) for record in records}
        assert found == {each.key: (each.topic, each.value, each.headers) for each in messages}
        assert all(record.timestamp.utcoffset() == timedelta(0) for record in records)
        assert all(before < record.timestamp < datetime.now(UTC) + timedelta(seconds=5) for record in records)

    async def test_a_partition_keeps_its_order(self, stream: Stream) -> None:
        """Offsets come without a gap and in order, whatever the batches."""
        await stream.write(numbered(stream.topic, range(300)))
        async with stream.source("g") as source:
            records = await gather(source, 300, stream)
        offsets: defaultdict[int, list[int]] = defaultdict(list)
        for record in records:
            offsets[record.partition].append(record.offset)
        assert all(found == list(range(len(found))) for found in offsets.values())
        assert all(found == sorted(found) for found in numbers_by_key(records).values())

    async def test_take_keeps_to_its_limit(self, stream: Stream) -> None:
        """Never more than asked for, and the rest is not lost."""
        await stream.write(numbered(stream.topic, range(50)))
        seen: set[Place] = set()
        async with stream.source("g") as source:
            until = asyncio.get_running_loop().time() + stream.patience
            while len(seen) < 50:
                records = await source.take(7, WAIT)
                assert len(records) <= 7
                seen |= {place(record) for record in records}
                assert asyncio.get_running_loop().time() < until, f"only {len(seen)} of 50 came"

    async def test_what_was_not_done_comes_again(self, stream: Stream) -> None:
        """Taking is not having: after a restart everything that was only taken comes again."""
        await stream.write(numbered(stream.topic, range(20)))
        async with stream.source("g") as source:
            first = await gather(source, 20, stream)
        async with stream.source("g") as source:
            again = await gather(source, 20, stream)
        assert {place(record) for record in again} == {place(record) for record in first}

    async def test_what_was_done_does_not_come_again(self, stream: Stream) -> None:
        """After a restart reading goes on behind what is done."""
        await stream.write(numbered(stream.topic, range(20)))
        async with stream.source("g") as source:
            await gather(source, 20, stream, done=True)
        await stream.write(numbered(stream.topic, range(20, 40)))
        async with stream.source("g") as source:
            records = await gather(source, 20, stream)
        assert {int(record.value) for record in records} == set(range(20, 40))

    async def test_a_restart_resumes_between_batches(self, stream: Stream) -> None:
        """What was taken after the last done batch comes again, and nothing of that batch."""
        await stream.write(numbered(stream.topic, range(20), keys=1))
        async with stream.source("g") as source:
            await gather(source, 20, stream, done=True)
            await stream.write(numbered(stream.topic, range(20, 30), keys=1))
            await gather(source, 10, stream)
        async with stream.source("g") as source:
            records = await gather(source, 10, stream)
        assert [int(record.value) for record in records] == list(range(20, 30))

    async def test_done_again_changes_nothing(self, stream: Stream) -> None:
        """Neither a repetition nor an older batch after a newer one takes the place back."""
        await stream.write(numbered(stream.topic, range(10), keys=1))
        async with stream.source("g") as source:
            first = await gather(source, 10, stream, done=True)
            await stream.write(numbered(stream.topic, range(10, 20), keys=1))
            second = await gather(source, 10, stream, done=True)
            await source.done(second)
            await source.done(first)
            await source.done(())
        await stream.write(numbered(stream.topic, [20], keys=1))
        async with stream.source("g") as source:
            records = await gather(source, 1, stream)
        assert [int(record.value) for record in records] == [20]

    async def test_a_cancelled_take_loses_nothing(self, stream: Stream) -> None:
        """Whenever it is cancelled: what it had in hand is offered to the next one, in order."""
        records: list[Record] = []
        async with stream.source("g") as source:
            for number in range(40):
                await stream.write(numbered(stream.topic, [number], keys=1))
                taking = asyncio.ensure_future(source.take(10, stream.patience))
                for _ in range(number % 8):
                    await asyncio.sleep(0)
                taking.cancel()
                answer = (await asyncio.gather(taking, return_exceptions=True))[0]
                if not isinstance(answer, BaseException):
                    records += answer
            records += await gather(source, 40 - len(records), stream)
        assert [int(record.value) for record in records] == list(range(40))

    async def test_groups_do_not_share(self, stream: Stream) -> None:
        """Every group sees everything, and what one has done is not done for another."""
        await stream.write(numbered(stream.topic, range(20)))
        async with stream.source("g") as source:
            await gather(source, 20, stream, done=True)
        async with stream.source("other") as source:
            assert len(await gather(source, 20, stream)) == 20

    async def test_done_of_a_moved_partition_is_passed_over(self, stream: Stream) -> None:
        """It raises nothing and claims nothing: the new owner's records come again until the owner says done."""
        await stream.write(numbered(stream.topic, range(60)))
        async with stream.source("g") as old:
            taken = await gather(old, 60, stream)
            async with stream.source("g") as new:
                moved = {record.partition for record in await gather(new, 1, stream)}
                await old.done(taken)
        expected = {place(record) for record in taken if record.partition in moved}
        async with stream.source("g") as source:
            await gather_these(source, expected, stream)

    async def test_members_that_come_and_go_lose_nothing(self, stream: Stream) -> None:
        """N in, N taken at least once, while the group is dealt out anew again and again."""
        total, seen = 300, set[Place]()

        async def work(source: EventSource, enough: int) -> None:
            mine = 0
            while len(seen) < total and mine < enough:
                records = await source.take(10, WAIT)
                seen.update(place(record) for record in records)
                mine += len(records)
                await source.done(records)

        async def write() -> None:
            for start in range(0, total, 10):
                await stream.write(numbered(stream.topic, range(start, start + 10)))

        async def come_and_go() -> None:
            for enough in (10, 1, 30):
                async with stream.source("g") as passing:
                    await work(passing, enough)

        async with asyncio.timeout(3 * stream.patience), stream.source("g") as staying:
            await asyncio.gather(write(), work(staying, total * 10), come_and_go())
        assert len(seen) == total

    async def test_an_outage_is_quiet_and_passes(self, stream: Stream) -> None:
        """While the broker is out there is nothing to take, or `Unavailable`; afterwards everything comes."""
        await stream.write(numbered(stream.topic, range(10)))
        async with stream.source("g") as source:
            await gather(source, 10, stream, done=True)
            async with stream.outage():
                with suppress(Unavailable):
                    assert list(await source.take(10, WAIT)) == []
            await stream.write(numbered(stream.topic, range(10, 20)))
            await gather(source, 10, stream)


class EventPublisherContract:
    """Rules for any publisher."""

    @pytest.fixture
    def stream(self) -> Stream:
        """The subject."""
        raise NotImplementedError

    async def test_messages_arrive_as_they_were(self, stream: Stream) -> None:
        """Value, key and headers byte for byte, and nothing else."""
        headers = (("content-type", b"application/cloudevents+json"), ("twice", b"1"), ("twice", b"\xff\x00"))
        messages = [Outgoing(topic=stream.topic, key=b"k%d" % n, value=v, headers=headers) for n, v in enumerate(NASTY)]
        async with stream.publisher() as publisher:
            await publisher.publish(messages)
        found = {record.key: (record.value, record.headers) for record in await stream.read()}
        assert found == {each.key: (each.value, each.headers) for each in messages}

    async def test_acknowledged_is_written(self, stream: Stream) -> None:
        """When `publish` returns, every message is there, before the publisher is left."""
        async with stream.publisher() as publisher:
            await publisher.publish(numbered(stream.topic, range(500)))
            assert len(await stream.read()) == 500

    async def test_equal_keys_keep_their_order(self, stream: Stream) -> None:
        """Within a batch and from one batch to the next."""
        async with stream.publisher() as publisher:
            for start in range(0, 400, 40):
                await publisher.publish(numbered(stream.topic, range(start, start + 40)))
        by_key = numbers_by_key(await stream.read())
        assert by_key == {b"key-%d" % key: list(range(key, 400, 8)) for key in range(8)}

    async def test_equal_keys_share_a_partition(self, stream: Stream) -> None:
        """A second publisher puts a key where the first one put it."""
        for start in (0, 40):
            async with stream.publisher() as publisher:
                await publisher.publish(numbered(stream.topic, range(start, start + 40)))
        partitions: defaultdict[bytes | None, set[int]] = defaultdict(set)
        for record in await stream.read():
            partitions[record.key].add(record.partition)
        assert [len(found) for found in partitions.values()] == [1] * 8

    async def test_nothing_in_nothing_out(self, stream: Stream) -> None:
        """An empty batch is a no-op, even when the broker is out."""
        async with stream.publisher() as publisher, stream.outage():
            await publisher.publish([])
        assert list(await stream.read()) == []

    async def test_callers_do_not_disturb_each_other(self, stream: Stream) -> None:
        """Batches published at the same time are all there."""
        async with stream.publisher() as publisher:
            batches = [numbered(stream.topic, range(start, start + 20)) for start in range(0, 200, 20)]
            await asyncio.gather(*(publisher.publish(batch) for batch in batches))
        assert {int(record.value) for record in await stream.read()} == set(range(200))

    async def test_an_outage_is_unavailable_and_passes(self, stream: Stream) -> None:
        """No silence: an unacknowledged batch raises. Published again it is there, first occurrences in order."""
        async with stream.publisher() as publisher:
            await publisher.publish(numbered(stream.topic, range(40)))
            async with stream.outage():
                with pytest.raises(Unavailable):
                    await publisher.publish(numbered(stream.topic, range(40, 80)))
            await publish_again(publisher, numbered(stream.topic, range(40, 80)), stream)
            await publisher.publish(numbered(stream.topic, range(80, 120)))
        by_key = numbers_by_key(await stream.read())
        assert by_key == {b"key-%d" % key: list(range(key, 120, 8)) for key in range(8)}

    async def test_a_cancelled_batch_can_be_published_again(self, stream: Stream) -> None:
        """Whenever it was cancelled; nothing of it is overtaken."""
        async with stream.publisher() as publisher:
            for start in range(0, 160, 40):
                batch = numbered(stream.topic, range(start, start + 40))
                publishing = asyncio.ensure_future(publisher.publish(batch))
                for _ in range(start // 40):
                    await asyncio.sleep(0)
                publishing.cancel()
                await asyncio.gather(publishing, return_exceptions=True)
                await publisher.publish(batch)
        by_key = numbers_by_key(await stream.read())
        assert by_key == {b"key-%d" % key: list(range(key, 160, 8)) for key in range(8)}

    async def test_a_message_that_is_too_large_is_refused(self, stream: Stream) -> None:
        """It will never be taken, so it is not `Unavailable`; without it the rest can be published."""
        huge = Outgoing(topic=stream.topic, key=b"key-0", value=bytes(TOO_LARGE))
        async with stream.publisher() as publisher:
            with pytest.raises(Refused):
                await publisher.publish([*numbered(stream.topic, range(8)), huge])
            with pytest.raises(Refused):
                await publisher.publish([huge])
            await publisher.publish(numbered(stream.topic, range(16)))
        by_key = numbers_by_key(await stream.read())
        assert by_key == {b"key-%d" % key: [key, key + 8] for key in range(8)}
