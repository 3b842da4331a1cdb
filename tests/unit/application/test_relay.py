"""Events out: in order, at least once, the same id for the same change."""

import json

import pytest

from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.relay import Relay


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


async def test_a_relay_that_stops_makes_room(engine):
    await sent(engine, 1)
    first = relay(engine, Publisher(failures=1))
    with pytest.raises(Unavailable):
        await first.once()
    assert await relay(engine, Publisher(), reader="two").once() == 0
    await first.stop()
    assert await relay(engine, Publisher(), reader="two").once() == 1
