"""Providers at their worst, on the wire. Rows 5, 6, 7, 10, 11 and 12, for every provider there is."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import pytest
from attrs import define
from tests.services.peers import Answer, peer, reset, says
from tests.services.providers import PROVIDERS, Provider

from fn_notifications import EMAIL, SMS, NotificationType
from fn_notifications.adapters.memory.sending import MemoryMailbox, MemorySender
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.transport.aiohttp import open_transport
from fn_notifications.adapters.transport.http import HttpTransport
from fn_notifications.application.ports.sending import Content, Message
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.events import Evidence
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import OutcomeKind, Scope
from fn_notifications.entrypoints.library import MemoryEngine
from fn_notifications.simulator.server import Simulator

HASTY = 0.5
ANSWERED = ("accept", "reject", "unauthorised", "error500", "error502", "error504", "unavailable", "strange")
BROKEN = ("hang", "dribble", "reset-before", "reset-after")
LIMITED = ("ratelimited", "throttled")


@define
class Clock:
    """Time that stands still until it is moved."""

    now: datetime = datetime(2026, 6, 1, 12, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.now


@pytest.fixture(params=PROVIDERS, ids=str)
def provider(request: pytest.FixtureRequest) -> Provider:
    found: Provider = request.param
    return found


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    async with open_transport() as opened:
        yield opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@define
class World:
    """One provider, one engine, and one person per word."""

    provider: Provider
    simulator: Simulator
    engine: MemoryEngine
    clock: Clock

    async def send(self, *words: str, type_: str = "note") -> None:
        for number, word in enumerate(words):
            user = f"{word}-{number}"
            await self.engine.notifications.set_preferences(user, self.provider.person(word))
            await self.engine.notifications.send(user, type_, {}, id_=f"{type_}-{number}")
        await self.engine.run()

    async def later(self, span: timedelta) -> None:
        self.clock.now += span
        await self.engine.run()

    @property
    def deliveries(self) -> list[Delivery]:
        return list(self.engine.store.state.deliveries.values())

    @property
    def attempts(self) -> int:
        return sum(len(delivery.attempts) for delivery in self.deliveries)


@pytest.fixture
def world(provider: Provider, simulator: Simulator, transport: HttpTransport, clock: Clock):
    """Makes the world of a provider, or of somebody in its place."""

    def make(*, base_url: str | None = None, deadline: float = 30.0, **more) -> World:
        sender = provider.sender(simulator, transport, base_url=base_url, deadline=deadline)
        return World(provider, simulator, provider.engine(sender, clock=clock, chance=lambda: 0.5, **more), clock)

    return make


def http(status: int, body: bytes = b"{}", *, headers: bytes = b"") -> bytes:
    """A whole answer."""
    return b"HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n%s" % (status, headers, len(body), body)


def half_of(status: int) -> Answer:
    """A yes that breaks in its middle."""

    async def answer(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b'HTTP/1.1 %d X\r\nContent-Length: 90\r\n\r\n{"sid": "SM' % status)
        await writer.drain()
        reset(writer)

    return answer


async def test_fault_05_a_yes_without_an_answer_is_in_doubt(world) -> None:
    """The provider has it: never failed, never sent again by itself."""
    one: World = world()
    await one.send("reset-after")
    await one.later(timedelta(minutes=1))
    (delivery,) = one.deliveries
    assert (delivery.status, one.simulator.requests_total) == (Status.IN_DOUBT, 1)
    assert [kept.answer for kept in one.simulator.messages()] == ["accepted"]


async def test_fault_05_a_yes_that_breaks_in_its_middle_is_in_doubt(world, provider: Provider) -> None:
    async with peer(half_of(provider.taken)) as other:
        one: World = world(base_url=other.base_url)
        await one.send("accept")
        await one.later(timedelta(minutes=1))
    (delivery,) = one.deliveries
    assert (delivery.status, len(other.requests)) == (Status.IN_DOUBT, 1)


@pytest.mark.parametrize("word", ["error500", "error502", "error504", "reset-before"])
async def test_fault_06_a_server_error_is_in_doubt_and_not_tried_again(world, word: str) -> None:
    """Whatever the type says of doubts: within the grace nothing is repeated."""
    one: World = world()
    await one.send(word, type_="again")
    await one.later(timedelta(minutes=5))
    (delivery,) = one.deliveries
    assert (delivery.status, one.simulator.requests_total) == (Status.IN_DOUBT, 1)


async def test_fault_06_out_of_service_is_proved_unsent(world) -> None:
    """503, by each provider's table: the try is about the route, costs nothing and is repeated."""
    one: World = world()
    await one.send("unavailable-once")
    (delivery,) = one.deliveries
    assert (delivery.status, one.simulator.requests_total) == (Status.PENDING, 1)
    await one.later(timedelta(minutes=30))
    (delivery,) = one.deliveries
    assert (delivery.status, one.simulator.requests_total) == (Status.SENT, 2)


@pytest.mark.parametrize("word", LIMITED)
async def test_fault_07_being_told_to_wait_spends_nothing(world, word: str) -> None:
    """However often it is told so: the message stays pending, each time for later, until its time is over."""
    one: World = world()
    await one.send(word)
    for _ in range(6):
        (delivery,) = one.deliveries
        assert delivery.status is Status.PENDING
        assert delivery.due_at is not None
        assert delivery.due_at > one.clock.now
        await one.later(timedelta(minutes=30))
    assert one.simulator.requests_total == one.attempts >= 4


async def test_fault_07_the_pause_it_asks_for_is_kept(world, provider: Provider) -> None:
    """`Retry-After` in the answer: nothing goes to this route before, and it goes afterwards."""
    answers = [http(429, headers=b"Retry-After: 1200\r\n"), http(provider.taken, b'{"sid": "SM1"}')]

    async def in_turn(writer: asyncio.StreamWriter, number: int) -> None:
        await says(answers[min(number, 2) - 1])(writer, number)

    async with peer(in_turn) as other:
        one: World = world(base_url=other.base_url)
        await one.send("accept")
        await one.later(timedelta(seconds=1199))
        assert [delivery.status for delivery in one.deliveries] == [Status.PENDING]
        assert len(other.requests) == 1
        await one.later(timedelta(minutes=10))
    assert [delivery.status for delivery in one.deliveries] == [Status.SENT]
    assert len(other.requests) == 2


async def test_fault_07_a_reset_of_the_limit_is_a_pause_too(
    provider: Provider, simulator: Simulator, transport: HttpTransport
) -> None:
    """Where a provider names the instant instead: counted from its own `Date`, never against our clock."""
    message = Message(
        attempt_id="1-1-1",
        channel=provider.channel,
        to=provider.address("accept"),
        content=Content(text="A note for you.", subject="A note" if provider.channel == EMAIL else None),
        notification_type="note",
    )
    async with peer(says(http(429, headers=provider.limit))) as other:
        (outcome,) = await provider.sender(simulator, transport, base_url=other.base_url).send([message])
    assert (outcome.kind, outcome.scope) == (OutcomeKind.UNSENT, Scope.ROUTE)
    assert outcome.retry_after == (timedelta(seconds=30) if provider.limit else None)


async def test_fault_07_other_channels_go_on(world, provider: Provider, clock: Clock) -> None:
    other = SMS if provider.channel == EMAIL else EMAIL
    mailbox = MemoryMailbox()
    aside = NotificationType(name="aside", channels=(other,))
    one: World = world(
        types=(aside,),
        templates={"aside": {"subject": "Aside", "text": "Aside."}},
        senders={other: MemorySender(mailbox, other, clock)},
    )
    contacts = {"email": "ana@example.com", "phone": "+15005550100"}
    await one.engine.notifications.set_preferences("ana", contacts)
    for number in range(5):
        await one.engine.notifications.send("ana", "aside", {}, id_=f"aside-{number}")
    await one.send("ratelimited")
    assert len(mailbox.messages()) == 5


@pytest.mark.parametrize("word", ["dribble", "hang"])
async def test_fault_10_an_answer_without_end_meets_one_total_deadline(world, word: str) -> None:
    one: World = world(deadline=HASTY)
    async with asyncio.timeout(20):
        await one.send(word)
    (delivery,) = one.deliveries
    assert (delivery.status, one.simulator.requests_total) == (Status.IN_DOUBT, 1)
    assert [kept.answer for kept in one.simulator.messages()] == ["accepted"]


@pytest.mark.parametrize("word", [*ANSWERED, *BROKEN, *LIMITED])
async def test_fault_11_one_request_for_each_attempt(world, word: str) -> None:
    """Over a connection that was used before, where clients like to repeat by themselves."""
    one: World = world(deadline=HASTY)
    await one.send("accept", word)
    await one.later(timedelta(hours=2))
    assert one.simulator.requests_total == one.attempts >= 2


@pytest.mark.parametrize(
    ("status", "evidence"),
    [
        (400, Evidence.REFUSED),
        (418, Evidence.REFUSED),
        (451, Evidence.REFUSED),
        (302, Evidence.UNSENT),
        (204, Evidence.IN_DOUBT),
        (507, Evidence.IN_DOUBT),
    ],
)
async def test_fault_12_what_nobody_told_us_of_is_judged_by_its_class(
    world, provider: Provider, status: int, evidence: Evidence, caplog: pytest.LogCaptureFixture
) -> None:
    """Never a success, and nothing that was said in it stays: no address, no text."""
    caplog.set_level(logging.DEBUG)
    person = provider.address("accept").value
    pages = {
        "an unknown code": provider.unknown.replace(b"%s", person.encode()),
        "a page": b"<!doctype html><title>Oops</title>" + person.encode() + b"<p>A note for you.</p>",
        "two megabytes": (b"<p>" + person.encode()) * 100_000,
    }
    for page in pages.values():
        telemetry = MemoryTelemetry()
        async with peer(says(http(status, page))) as other:
            one: World = world(base_url=other.base_url, telemetry=telemetry)
            await one.send("accept")
        (delivery,) = one.deliveries
        attempt = delivery.attempts[0]
        assert attempt.evidence is evidence
        assert attempt.code is not None
        assert len(attempt.code) <= 40
        kept = f"{delivery!r} {telemetry.lines!r} {telemetry.counts!r} {one.engine.store.state.log!r} {caplog.text}"
        assert person not in kept
        assert "Oops" not in kept


async def test_fault_12_pages_of_megabytes_never_mean_yes(world) -> None:
    one: World = world()
    await one.send("strange", "error502")
    assert sorted(delivery.status or "" for delivery in one.deliveries) == [Status.FAILED, Status.IN_DOUBT]
