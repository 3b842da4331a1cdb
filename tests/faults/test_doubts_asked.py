"""Providers that can be asked (Twilio): what is never reported is found out; what cannot be asked delays nothing."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta

import pytest
from attrs import define, field
from tests.services.doubts import ACCOUNT, HELD, RESENT, Provider, World, world_over

from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.transport.aiohttp import open_transport
from fn_notifications.adapters.twilio.lookup import TwilioLookup
from fn_notifications.adapters.twilio.sender import TwilioSender
from fn_notifications.adapters.twilio.settings import TwilioSettings
from fn_notifications.application.explain import explain
from fn_notifications.application.ports.lookup import NOTHING, UNANSWERED, Knowledge, Lookup, Question
from fn_notifications.application.ports.sending import Message
from fn_notifications.domain.address import SMS, PhoneNumber
from fn_notifications.domain.commands import Resolve
from fn_notifications.domain.events import Ruling
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import Outcome, OutcomeKind
from fn_notifications.domain.reasons import Reason
from fn_notifications.simulator.server import Simulator
from fn_notifications.testing.contracts.stores import Stores, point, story, user
from fn_notifications.testing.waiting import eventually

GRACE = timedelta(minutes=16).total_seconds()
TAKEN_THEN_RESET, TAKEN_THEN_RESET_ONCE = PhoneNumber("+15005550602"), PhoneNumber("+15005551602")
SERVER_ERROR = PhoneNumber("+15005550500")
UNREACHABLE, STOPPED, FINE = PhoneNumber("+15005550703"), PhoneNumber("+15005550710"), PhoneNumber("+15005550101")
ROUTE = f"{ACCOUNT}/sms"


@define
class Twilio:
    """A world whose texts go to the simulator, which posts no report anywhere."""

    world: World
    simulator: Simulator

    async def settled(self) -> None:
        """Wait until the simulator has reported all it wants to."""
        await eventually(lambda: not self.simulator.reporting)


@pytest.fixture
async def twilio(stores: Stores) -> AsyncIterator[Twilio]:
    world = await world_over(stores, telemetry=MemoryTelemetry())
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator(clock=world.clock))
        transport = await stack.enter_async_context(open_transport())
        settings = TwilioSettings(
            account_sid=simulator.twilio_account_sid,
            auth_token=simulator.twilio_auth_token,
            phone_number=PhoneNumber("+15005550006"),
            base_url=simulator.base_url,
            account=ACCOUNT,
        )
        world.senders = {ROUTE: TwilioSender(settings, SMS, transport)}
        world.lookups = {ROUTE: TwilioLookup(settings, transport)}
        world.doubts.askable = frozenset(world.lookups)
        await world.reports()
        yield Twilio(world, simulator)


def counted(world: World, name: str, **labels: str) -> int:
    assert isinstance(world.telemetry, MemoryTelemetry)
    return world.telemetry.total(name, **labels)


async def test_fault_05_what_was_taken_without_an_answer_is_found(twilio: Twilio) -> None:
    """By number, day, text and time; not sent again although the type would."""
    world = twilio.world
    one = await world.told(RESENT, phone=TAKEN_THEN_RESET)
    await world.drain()
    assert (await world.state(one)).status is Status.IN_DOUBT
    await twilio.settled()
    await world.advance(seconds=GRACE)
    await world.drain()
    state = await world.state(one)
    assert (state.status, state.resends, twilio.simulator.requests_total) == (Status.DELIVERED, 0, 1)
    assert (state.attempts[0].provider_id or "").startswith("SM")
    assert counted(world, "doubts.asked", route=ROUTE, answer="found") == 1
    assert counted(world, "doubts.resolved", by="look_up") == 1


async def test_fault_06_what_the_provider_knows_nothing_of_is_left_to_the_type(twilio: Twilio) -> None:
    """Not found is no proof: resent once, and the operator sees that it was asked."""
    world = twilio.world
    one = await world.told(RESENT, phone=SERVER_ERROR)
    await world.drain()
    for _ in range(10):
        await world.advance(seconds=GRACE)
        await world.drain()
    state = await world.state(one)
    assert (state.status, state.resends, twilio.simulator.requests_total) == (Status.IN_DOUBT, 1, 2)
    assert await world.changes(one) == ["asked", "resent", "asked", "held"]
    told = [step.text for step in explain(await story(world.stores, one)).steps]
    assert "asked: the provider was asked and told nothing new" in told


async def test_fault_18_without_a_webhook_the_poller_converges(twilio: Twilio) -> None:
    """Asked an hour after it was taken."""
    world = twilio.world
    arrived, refused = await world.told(HELD, "one", phone=FINE), await world.told(HELD, "two", phone=FINE)
    await world.drain()
    await world.told(HELD, "three", phone=UNREACHABLE)
    missed = await world.told(HELD, "four", phone=UNREACHABLE)
    await world.drain()
    await twilio.settled()
    assert [(await world.state(one)).status for one in (arrived, refused, missed)] == [Status.SENT] * 3
    await world.advance(minutes=59)
    await world.drain()
    assert (await world.state(arrived)).status is Status.SENT
    await world.advance(minutes=2)
    await world.drain()
    assert [(await world.state(one)).status for one in (arrived, refused)] == [Status.DELIVERED] * 2
    state = await world.state(missed)
    assert (state.status, state.reason, state.attempts[0].code) == (Status.FAILED, Reason.UNDELIVERED, "30003")
    assert twilio.simulator.requests_total == 4


async def test_fault_25_an_opt_out_learnt_by_asking_is_kept(twilio: Twilio) -> None:
    """As if it had been reported."""
    world = twilio.world
    one = await world.told(HELD, phone=STOPPED)
    await world.drain()
    await twilio.settled()
    await world.advance(hours=1, seconds=1)
    await world.drain()
    state = await world.state(one)
    assert (state.status, state.reason, state.attempts[0].code) == (Status.FAILED, Reason.OPTED_OUT, "21610")
    assert (await point(world.stores, user(), SMS)).suppression


@define
class LosesTheFirst:
    """The first call breaks before the provider has read it; nobody can know that."""

    sender: TwilioSender
    lost: bool = False

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        if self.lost:
            return await self.sender.send(messages)
        self.lost = True
        return [Outcome(kind=OutcomeKind.IN_DOUBT, code="disconnected")]


@pytest.mark.parametrize("other", ["ada", "bea"], ids=["one person", "two who share a number"])
async def test_of_two_doubts_about_one_text_neither_is_cleared_up_by_one_message(twilio: Twilio, other: str) -> None:
    """One was taken and one was not, and nobody can tell which: to call both sent would lose one."""
    world = twilio.world
    world.text = "The same for everybody."
    world.senders = {ROUTE: LosesTheFirst(world.senders[ROUTE])}
    told = [("one", "ada"), ("two", other)]
    both = [await world.told(HELD, name, phone=TAKEN_THEN_RESET, who=who) for name, who in told]
    await world.drain()
    await world.advance(seconds=GRACE)
    await world.drain()
    assert [(await world.state(one)).status for one in both] == [Status.IN_DOUBT] * 2
    assert [len(await world.changes(one)) for one in both] == [2, 2]


async def test_an_operators_word_gives_nobodys_message_away(twilio: Twilio) -> None:
    """The second was taken. An operator calls it failed: that does not make it the first one's."""
    world = twilio.world
    world.text = "The same for everybody."
    world.senders = {ROUTE: LosesTheFirst(world.senders[ROUTE])}
    lost, taken = [
        await world.told(HELD, name, phone=TAKEN_THEN_RESET, who=who) for name, who in (("one", "ada"), ("two", "bea"))
    ]
    await world.drain()
    word = Resolve(ruling=Ruling.FAILED, note="nothing came")
    await world.stores.deliveries.change([(await world.state(taken)).key], lambda *_: word)
    await world.advance(seconds=GRACE)
    await world.drain()
    assert [(await world.state(one)).status for one in (lost, taken)] == [Status.IN_DOUBT, Status.FAILED]


@define
class Interrupted:
    """While the provider is asked, something else happens."""

    lookup: Lookup
    meanwhile: Callable[[], Awaitable[None]]

    async def ask(self, questions: Sequence[Question]) -> Sequence[Knowledge]:
        await self.meanwhile()
        return await self.lookup.ask(questions)


async def test_a_message_that_goes_out_while_the_provider_is_asked_is_not_taken_for_the_doubtful_one(
    twilio: Twilio,
) -> None:
    """The first was never taken. The provider lists the second, to somebody with the same number, before we know it."""
    world = twilio.world
    world.text = "The same for everybody."
    world.senders = {ROUTE: LosesTheFirst(world.senders[ROUTE])}
    doubtful = await world.told(HELD, "one", phone=FINE)
    await world.dispatch().once()

    async def another() -> None:
        await world.told(HELD, "two", phone=FINE, who="bea")
        await world.die(before="finish")

    world.lookups = {ROUTE: Interrupted(world.lookups[ROUTE], another)}
    world.doubts.askable = frozenset(world.lookups)
    notification = (await story(world.stores, doubtful)).notification
    (heard,) = (await world.enquiry().about([notification.deliveries[0].key])).values()
    assert heard == {1: NOTHING}


async def test_a_message_that_is_known_to_be_anothers_is_passed_over(twilio: Twilio) -> None:
    """Two of one text were taken; one of them answered with its name, so the other is found."""
    world = twilio.world
    world.text = "The same for everybody."
    both = [await world.told(HELD, name, phone=TAKEN_THEN_RESET_ONCE) for name in ("one", "two")]
    await world.drain()
    states = [await world.state(one) for one in both]
    assert sorted(state.status for state in states) == [Status.IN_DOUBT, Status.SENT]
    await world.advance(seconds=GRACE)
    await world.drain()
    names = {(await world.state(one)).attempts[0].provider_id for one in both}
    assert len(names) == 2
    assert None not in names


@define
class Silent:
    """Cannot be asked; counts how often it was tried."""

    answer: Knowledge = UNANSWERED
    asked: list[Question] = field(factory=list)

    async def ask(self, questions: Sequence[Question]) -> Sequence[Knowledge]:
        self.asked += questions
        return [self.answer] * len(questions)


@define
class Hung:
    async def ask(self, questions: Sequence[Question]) -> Sequence[Knowledge]:
        await asyncio.Event().wait()
        raise AssertionError


@define
class Broken:
    async def ask(self, questions: Sequence[Question]) -> Sequence[Knowledge]:
        raise RuntimeError


async def in_doubt(stores: Stores, lookup: object, **more: object) -> tuple[World, Provider]:
    provider = Provider()
    provider.script.append(Outcome(kind=OutcomeKind.IN_DOUBT, code="timeout"))
    world = await world_over(stores, provider=provider, lookups={ROUTE: lookup}, **more)
    await world.reports()
    return world, provider


async def test_who_cannot_be_asked_delays_the_policy_for_a_while(stores: Stores) -> None:
    """Tried again more and more rarely, then the type decides."""
    silent = Silent()
    world, provider = await in_doubt(stores, silent)
    one = await world.told()
    await world.drain()
    await world.advance(seconds=GRACE)
    for _ in range(26):
        await world.drain()
        await world.advance(minutes=1)
    assert ((await world.state(one)).status, provider.calls) == (Status.IN_DOUBT, 1)
    assert 3 <= len(silent.asked) <= 6
    await world.advance(minutes=6)
    await world.drain()
    assert ((await world.state(one)).status, provider.calls) == (Status.SENT, 2)
    assert "could not be asked" in str([step.text for step in explain(await story(world.stores, one)).steps])


@pytest.mark.parametrize("lookup", [Hung(), Broken()])
async def test_a_lookup_that_hangs_or_breaks_counts_as_one_that_cannot_be_asked(stores: Stores, lookup: object) -> None:
    """And stops nobody else's upkeep."""
    world, provider = await in_doubt(stores, lookup, deadline=0.05)
    one = await world.told()
    await world.drain()
    await world.advance(seconds=GRACE)
    await world.drain()
    assert (await world.changes(one)) == ["asked"]
    await world.advance(hours=1)
    await world.drain()
    assert ((await world.state(one)).status, provider.calls) == (Status.SENT, 2)


@pytest.mark.parametrize("answer", [UNANSWERED, NOTHING])
async def test_what_was_sent_is_not_asked_about_for_ever(stores: Stores, answer: Knowledge) -> None:
    """An hour, six and a day after it was taken; then it is left as it is."""
    silent = Silent(answer)
    world = await world_over(stores, lookups={ROUTE: silent})
    await world.reports()
    one = await world.told(HELD)
    await world.drain()
    at = []
    for hour in range(1, 80):
        await world.advance(hours=1)
        before = len(silent.asked)
        await world.drain()
        at += [hour] * (len(silent.asked) - before)
    assert at == [1, 6, 24]
    state = await world.state(one)
    assert (state.status, state.queued) == (Status.SENT, False)


async def test_a_provider_that_never_reported_gets_a_moment_to_list_what_it_took(stores: Stores) -> None:
    """No grace, but it is not asked while it may still be busy with the call."""
    silent = Silent(NOTHING)
    provider = Provider()
    provider.script.append(Outcome(kind=OutcomeKind.IN_DOUBT, code="timeout"))
    world = await world_over(stores, provider=provider, lookups={ROUTE: silent})
    await world.doubts.look()
    await world.told()
    await world.drain()
    assert (provider.calls, silent.asked) == (1, [])
    await world.advance(seconds=31)
    await world.drain()
    assert (provider.calls, len(silent.asked)) == (2, 1)
