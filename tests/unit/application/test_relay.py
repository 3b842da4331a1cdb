"""Events out: in order, at least once, the same id for the same change."""

import asyncio
import json

import pytest
from attrs import evolve

from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.errors import Refused, Unavailable
from fn_notifications.application.relay import Relay, cloud_event


class Publisher:
    """Keeps what is published; fails as often as told, after having written."""

    def __init__(self, failures: int = 0) -> None:
        self.failures = failures
        self.published = []

    async def publish(self, messages):
        self.published += messages
        if self.failures:
            self.failures -= 1
            raise Unavailable("broker")


async def sent(engine, count):
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com"})
    for number in range(count):
        await engine.notifications.send("ana", "invoice", {"order": number}, id_=str(number))
    await engine.run()


def relay(engine, publisher, reader="one", **more):
    return Relay(log=engine.store.eventlog, publisher=publisher, telemetry=MemoryTelemetry(), reader=reader, **more)


async def test_each_change_is_one_cloud_event_without_address_or_text(engine):
    await sent(engine, 2)
    publisher = Publisher()
    assert await relay(engine, publisher).once() == 2
    assert await relay(engine, publisher).once() == 0
    events = [json.loads(message.value) for message in publisher.published]
    assert {event["type"] for event in events} == {"fn-notifications.notification.sent"}
    assert all(event["specversion"] == "1.0" and event["time"].endswith("Z") for event in events)
    assert len({event["id"] for event in events}) == 2
    assert {message.key for message in publisher.published} == {b"ana"}
    assert "example.com" not in repr(events)


async def test_what_was_not_acknowledged_is_published_again_with_the_same_ids(engine):
    await sent(engine, 3)
    publisher = Publisher(failures=1)
    with pytest.raises(Unavailable):
        await relay(engine, publisher).once()
    assert await relay(engine, publisher).once() == 3
    ids = [json.loads(message.value)["id"] for message in publisher.published]
    assert ids[:3] == ids[3:]


async def test_pages_leave_nothing_out(engine):
    await sent(engine, 5)
    publisher = Publisher()
    small = relay(engine, publisher, batch=2)
    assert [await small.once() for _ in range(4)] == [2, 2, 1, 0]


async def test_a_relay_that_lost_its_lease_publishes_for_nothing_and_skips_nothing(engine, clock):
    await sent(engine, 1)

    class Slow(Publisher):
        async def publish(self, messages):
            await super().publish(messages)
            clock.advance(minutes=10)
            assert await relay(engine, other, reader="two").once() == 1

    slow, other = Slow(), Publisher()
    assert await relay(engine, slow).once() == 0
    assert slow.published == other.published


async def test_a_broker_that_takes_its_time_costs_no_lease(engine, clock):
    """It is renewed meanwhile, so nobody else publishes the same."""
    await sent(engine, 1)

    class Slow(Publisher):
        async def publish(self, messages):
            for _ in range(5):
                beat = asyncio.Event()
                renewed.append(beat)
                await beat.wait()
                assert await relay(engine, other, reader="two").once() == 0
            await super().publish(messages)

    class Renewing:
        def __getattr__(self, name):
            return getattr(engine.store.eventlog, name)

        async def renew(self, reader, entries):
            await engine.store.eventlog.renew(reader, entries)
            clock.advance(seconds=4)
            renewed[-1].set()

    slow, other, renewed = Slow(), Publisher(), []
    one = relay(engine, slow, beat=0.001)
    async with asyncio.timeout(10):
        assert await evolve(one, log=Renewing()).once() == 1
    assert other.published == []


async def test_a_lost_lease_ends_the_publication(engine, clock):
    """As soon as it is known: what is still in hand is not written after what the next one writes."""
    await sent(engine, 1)

    class Stuck(Publisher):
        async def publish(self, messages):
            clock.advance(minutes=1)
            try:
                await asyncio.Event().wait()
            finally:
                ended.append(messages)

    ended = []
    async with asyncio.timeout(10):
        assert await relay(engine, Stuck(), beat=0.001).once() == 0
    assert len(ended) == 1
    assert await relay(engine, Publisher(), reader="two").once() == 1


async def test_a_relay_that_stops_makes_room(engine):
    await sent(engine, 1)
    first = relay(engine, Publisher(failures=1))
    with pytest.raises(Unavailable):
        await first.once()
    assert await relay(engine, Publisher(), reader="two").once() == 0
    await first.stop()
    assert await relay(engine, Publisher(), reader="two").once() == 1


class Narrow(Publisher):
    """A broker that takes so many bytes of a message, and tells no more than that one of the batch is too large."""

    def __init__(self, largest: int) -> None:
        super().__init__()
        self.largest = largest

    async def publish(self, messages):
        if any(len(message.value) > self.largest for message in messages):
            raise Refused("too large")
        await super().publish(messages)


async def test_an_event_that_is_too_large_goes_without_its_data_and_holds_nobody_up(engine):
    await sent(engine, 5)
    await engine.notifications.set_preferences("ben", {"email": "ben@example.com"})
    huge = await engine.notifications.send("ben", "invoice", {"order": 1}, id_="x", key="k" * 200)
    await engine.run()
    sizes = sorted(len(cloud_event(entry)) for entry in await engine.store.eventlog.take("one", 10))
    publisher = Narrow(largest=sizes[-1] - 1)
    publishing = relay(engine, publisher)
    assert await publishing.once() == 6
    events = [json.loads(message.value) for message in publisher.published]
    (omitted,) = [event for event in events if event["data"] == {"omitted": "too large"}]
    assert omitted["id"].startswith(huge.id.hex)
    assert omitted["type"] == "fn-notifications.notification.sent"
    assert publishing.telemetry.total("relay.refused") == 1
    assert await publishing.once() == 0


async def test_a_broker_that_takes_nothing_at_all_is_loud(engine):
    await sent(engine, 1)
    with pytest.raises(Refused):
        await relay(engine, Narrow(largest=10)).once()
