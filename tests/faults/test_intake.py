"""Faults between a record in the stream and the first call: crashes, poison, repetitions, backlogs, lost keys."""

import asyncio
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define, evolve
from tests.services.intakes import POISON, Desk, created
from tests.services.stores import StandingClock, memory_stores, postgres_stores

from fn_notifications.adapters.memory.events import MemoryStream
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.outward import DEAD_LETTER
from fn_notifications.application.ports.events import Outgoing
from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.application.relay import Relay
from fn_notifications.application.service import Duplicate, IdReused
from fn_notifications.entrypoints.service import IntakeStep
from fn_notifications.testing.contracts.stores import ADA, TENANT, Stores, meet, user

O = EventOutcome  # noqa: E741 - read as a word in tables of outcomes
GROUP = "notifications"


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.external)])
def url(request: pytest.FixtureRequest) -> str | None:
    """Where the stores are; None in memory."""
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else None


@pytest.fixture
async def stores(url: str | None) -> AsyncIterator[Stores]:
    """Both kinds of store."""
    if url is None:
        yield memory_stores()
    else:
        async with postgres_stores(url) as (stores, _):
            yield stores


@pytest.fixture
def desk(stores: Stores) -> Desk:
    return Desk(stores)


class Crash(BaseException):
    """The process is gone."""


@define
class Dying:
    """A source that the process dies at, when it is to say that a batch is done."""

    sound: object

    async def take(self, limit, wait):
        return await self.sound.take(limit, wait)

    async def done(self, records):
        raise Crash


class Away:
    """A store that cannot be reached."""

    async def store(self, batch):
        raise Unavailable("gone")


class DoneFirst(IntakeStep):
    """The mutant: the offset is stored before the events are."""

    async def __call__(self) -> int:
        records = list(await self.source.take(self.batch, 0))
        await self.source.done(records)
        await self.intake.handle(records)
        return len(records)


class GoesOn(IntakeStep):
    """The mutant: a batch that could not be stored is forgotten, and the next one taken."""

    async def __call__(self) -> int:
        self._pending = []
        return await super().__call__()


def published(*values: bytes | dict, at: datetime | None = None) -> MemoryStream:
    """A stream in which these lie since then, else since just now."""
    stream = MemoryStream(StandingClock(at or datetime.now(UTC)), partitions=2)
    for number, value in enumerate(values):
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        stream.append(Outgoing(topic="events", key=str(number).encode(), value=raw))
    return stream


async def outcomes(stores: Stores) -> dict[str, int]:
    events = (await stores.history.ledger(TENANT)).events
    return {outcome: amount for outcome, amount in events.items() if amount}


async def crash_after_the_commit(stream: MemoryStream, desk: Desk, step: type[IntakeStep]) -> None:
    """Stored, but not said to be done; then a new process."""
    async with stream.source(GROUP, ["events"], "earliest") as source:
        with pytest.raises(Crash):
            await step(Dying(source), desk.intake, lambda: None)()
    async with stream.source(GROUP, ["events"], "earliest") as source:
        while await step(source, desk.intake, lambda: None)():
            pass


async def crash_in_the_commit(stream: MemoryStream, desk: Desk, step: type[IntakeStep]) -> None:
    """The store is away while the first batch is stored; the process dies, and a new one goes on."""
    async with stream.source(GROUP, ["events"], "earliest") as source:
        broken = step(source, evolve(desk.intake, store=Away()), lambda: None)
        with pytest.raises(Unavailable):
            await broken()
    async with stream.source(GROUP, ["events"], "earliest") as source:
        while await step(source, desk.intake, lambda: None)():
            pass


async def all_are_stored(desk: Desk, amount: int) -> None:
    assert len(await desk.stores.history.recent(TENANT, 1000)) == amount


class TestOffsets:
    async def test_fault_28_a_crash_between_commit_and_offset_loses_nothing(self, desk):
        stream = published(*(created(str(number), f"user {number}") for number in range(20)))
        await crash_after_the_commit(stream, desk, IntakeStep)
        await all_are_stored(desk, 20)
        assert await outcomes(desk.stores) == {O.PLANNED: 20, O.DUPLICATE: 20}

    async def test_fault_28_a_crash_within_the_commit_loses_nothing(self, desk):
        stream = published(*(created(str(number), f"user {number}") for number in range(20)))
        await crash_in_the_commit(stream, desk, IntakeStep)
        await all_are_stored(desk, 20)

    async def test_fault_28_an_offset_stored_before_the_commit_is_seen(self, desk):
        """The mutant does not pass what the two tests above ask."""
        stream = published(*(created(str(number), f"user {number}") for number in range(20)))
        await crash_in_the_commit(stream, desk, DoneFirst)
        with pytest.raises(AssertionError):
            await all_are_stored(desk, 20)

    async def test_fault_28_a_batch_that_could_not_be_stored_comes_before_the_next(self, desk):
        """In the same process, too; the mutant that goes on instead is seen."""
        for step, lost in ((IntakeStep, 0), (GoesOn, 20)):
            stream = published(*(created(f"{step.__name__}{number}", f"u{number}") for number in range(20)))
            before = len(await desk.stores.history.recent(TENANT, 1000))
            async with stream.source(GROUP, ["events"], "earliest") as source:
                one = step(source, desk.intake, lambda: None)
                one.intake = evolve(desk.intake, store=Away())
                with pytest.raises(Unavailable):
                    await one()
                one.intake = desk.intake
                while await one():
                    pass
            await all_are_stored(desk, before + 20 - lost)

    async def test_fault_33_what_is_read_again_from_the_beginning_is_recognised(self, desk):
        """The offsets are gone; whatever the events are, with an id or without, nothing is said twice."""
        bare = created("x") | {"id": None}
        values = [created(str(number), f"user {number}") for number in range(10)] + [bare, b"poison"]
        stream = published(*values)
        for group in ("before", "after the reset"):
            async with stream.source(group, ["events"], "earliest") as source:
                while await IntakeStep(source, desk.intake, lambda: None)():
                    pass
        assert await outcomes(desk.stores) == {O.PLANNED: 11, O.DUPLICATE: 11, O.DEAD_LETTERED: 2}
        await all_are_stored(desk, 11)
        assert len(await desk.stores.history.dead_letters(TENANT, 10)) == 1

    async def test_fault_33_a_topic_made_anew_is_not_taken_for_the_old_one(self, desk):
        """Its offsets begin again, and events without an id are told apart all the same."""
        clock = StandingClock(datetime.now(UTC) - timedelta(hours=2))
        for post in ("first", "second"):
            stream = MemoryStream(clock, partitions=1)
            value = json.dumps(created(post) | {"id": None}).encode()
            stream.append(Outgoing(topic="events", key=b"k", value=value))
            async with stream.source(GROUP, ["events"], "earliest") as source:
                await IntakeStep(source, desk.intake, lambda: None)()
            await clock.advance(timedelta(hours=1))
        await all_are_stored(desk, 2)


class TestPoison:
    async def test_fault_29_a_record_that_is_no_event_is_buried_and_its_neighbours_are_told(self, desk):
        stream = published(*(value for number, poison in enumerate(POISON.values())
                             for value in (created(str(number), f"user {number}"), poison)))  # fmt: skip
        async with stream.source(GROUP, ["events"], "earliest") as source:
            while await IntakeStep(source, desk.intake, lambda: None, batch=3)():
                pass
        letters = await desk.stores.history.dead_letters(TENANT, 100)
        assert sorted(letter.reason for letter in letters) == sorted(POISON)
        for letter in letters:
            assert (await desk.stores.dead_letters.opened(TENANT, letter.id)).value == POISON[letter.reason]
        assert await outcomes(desk.stores) == {O.PLANNED: len(POISON), O.DEAD_LETTERED: len(POISON)}

    async def test_fault_29_the_event_about_it_follows_when_the_broker_is_back(self, desk):
        await desk.feed(b"poison", created("1"))
        broker = published()
        broker.go_down()
        relay = Relay(
            log=desk.stores.eventlog, publisher=broker.publisher(), telemetry=MemoryTelemetry(), reader="relay"
        )
        with pytest.raises(Unavailable):
            await relay.once()
        assert len(await desk.stores.history.dead_letters(TENANT, 10)) == 1
        broker.come_up()
        await relay.once()
        (record,) = broker.records(DEAD_LETTER)
        told = json.loads(record.value)["data"]
        assert (told["reason"], b"poison" in record.value) == ("not_json", False)


class TestRepetitions:
    async def test_fault_42_one_id_fifty_times_at_once_is_one_notification(self, desk):
        """Everybody gets the same answer."""
        await meet(desk.stores, user(), email=ADA.value)
        sending = (self._send(desk, "same") for _ in range(50))
        answers = await asyncio.gather(*sending)
        assert len({answer.id for answer in answers}) == 1
        await all_are_stored(desk, 1)
        # And long after, however much was sent in between.
        for number in range(120):
            await self._send(desk, f"other {number}")
        assert (await self._send(desk, "same")).id == answers[0].id

    async def test_fault_42_the_same_id_for_something_else_is_refused(self, desk):
        await meet(desk.stores, user(), email=ADA.value)
        first = await self._send(desk, "same")
        with pytest.raises(IdReused):
            await self._send(desk, "same", title="another")
        assert (await self._send(desk, "same")).id == first.id

    async def test_fault_42_a_repetition_of_another_one_stays_one(self, desk):
        """Its id, too, gives the same answer again."""
        await meet(desk.stores, user(), email=ADA.value)
        first = await self._send(desk, "first", key="k")
        for _ in range(2):
            with pytest.raises(Duplicate) as repeated:
                await self._send(desk, "second", key="k")
            assert repeated.value.first == first.id

    async def test_fault_42_after_its_time_an_id_is_free(self, desk):
        """Its identity was forgotten, and an hour has passed."""
        await meet(desk.stores, user(), email=ADA.value)
        first = await self._send(desk, "same")
        await forget_identities(desk.stores)
        await desk.stores.advance(timedelta(hours=1))
        second = await self._send(desk, "same")
        assert second.id != first.id
        assert (await self._send(desk, "same")).id == second.id

    async def _send(self, desk, id_, title="t", key=None):
        return await desk.notifications.send("ada", "reminder", {"title": title, "body": "b"}, id_=id_, key=key)


async def forget_identities(stores: Stores) -> None:
    """As pruning does when their time is over."""
    if hasattr(stores.intake, "state"):
        stores.intake.state.identities.clear()
        return
    async with stores.intake.database.transaction() as connection:
        await connection.execute("DELETE FROM event_identities")
