"""The broker in memory, where the contract does not look."""

from datetime import UTC, datetime, timedelta

import pytest

from fn_notifications.adapters.memory.events import MemoryStream
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.events import Outgoing

NOW = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def stream() -> MemoryStream:
    return MemoryStream(lambda: NOW, partitions=2)


def message(number: int) -> Outgoing:
    return Outgoing(topic="t", key=b"%d" % number, value=b"%d" % number)


async def test_a_new_group_begins_where_it_is_told(stream: MemoryStream) -> None:
    for minute in range(10):
        stream.append(message(minute), timestamp=NOW + timedelta(minutes=minute))
    for start, count in (("earliest", 10), ("now", 0), (NOW + timedelta(minutes=4), 6)):
        async with stream.source(f"from {start}", ["t"], start) as source:  # type: ignore[arg-type] # one of each
            assert len(await source.take(20, 0)) == count


async def test_the_start_is_kept_before_anything_is_read(stream: MemoryStream) -> None:
    stream.append(message(1))
    async with stream.source("g", ["t"], "now"):
        pass
    stream.append(message(2))
    async with stream.source("g", ["t"], "now") as source:
        assert [record.value for record in await source.take(10, 0)] == [b"2"]


async def test_a_topic_that_comes_later_is_read_from_its_beginning(stream: MemoryStream) -> None:
    async with stream.source("g", ["t"], "now") as source:
        stream.append(message(1))
        assert [record.value for record in await source.take(10, 0)] == [b"1"]


async def test_members_share_the_partitions(stream: MemoryStream) -> None:
    stream.create_topic("t", 5)
    async with stream.source("g", ["t"]) as one, stream.source("g", ["t"]) as two:
        shares = [set(member._next) for member in (one, two)]
    assert sorted(map(len, shares)) == [2, 3]
    assert not shares[0] & shares[1]


async def test_a_batch_may_be_half_written(stream: MemoryStream) -> None:
    stream.go_down(after=2)
    with pytest.raises(Unavailable):
        await stream.publisher().publish([message(number) for number in range(5)])
    assert len(stream.records("t")) == 2
    stream.come_up()
    await stream.publisher().publish([message(5)])
    assert len(stream.records("t")) == 3
