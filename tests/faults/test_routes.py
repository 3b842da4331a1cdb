"""Providers that ask to wait, refuse the account, hang or are slow: what waits, what goes another way, who is told."""

import asyncio
from collections.abc import Collection
from datetime import timedelta
from email.utils import format_datetime

import pytest
from attrs import define, evolve, field
from tests.unit.application.conftest import TEMPLATES, TYPES, Clock

from fn_notifications import EMAIL, SMS, WHATSAPP, Outcome, OutcomeKind, Scope, Status
from fn_notifications.adapters.memory.circuit import MemoryCircuit
from fn_notifications.adapters.memory.renderer import MemoryRenderer
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.postgres.pool import Database
from fn_notifications.adapters.sendgrid.answers import outcome_of
from fn_notifications.adapters.transport.http import Response
from fn_notifications.application.call import Caller, Lane
from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.dispatch import Dispatch
from fn_notifications.application.slowness import Slowness
from fn_notifications.application.switchboard import Switchboard
from fn_notifications.domain.catalogue import Policy
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.entrypoints.library import MemoryEngine
from fn_notifications.testing.contracts.stores import ADA, NEWS, POLICY, Stores, meet, told, user
from fn_notifications.testing.waiting import eventually

ACCEPTED = Outcome(kind=OutcomeKind.ACCEPTED, provider_id="p")
BUSY = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="rate_limited")
REFUSED = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT, code="20003")
COUNTRY = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.DESTINATION, code="21408")


@define
class Provider:
    """Answers as it is told to, and remembers whom it was asked to write to."""

    answer: Outcome = ACCEPTED
    asked: list[str] = field(factory=list)

    async def send(self, messages):
        self.asked += [message.to.value for message in messages]
        return [self.answer] * len(messages)


@define
class Hanging:
    """Takes a message and does not answer until it is let go."""

    open: asyncio.Event = field(factory=asyncio.Event)
    waiting: int = 0

    async def send(self, messages):
        self.waiting += 1
        await self.open.wait()
        return [ACCEPTED] * len(messages)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def engine(clock):
    return MemoryEngine(types=TYPES, templates=TEMPLATES, clock=clock, chance=lambda: 0.5, telemetry=MemoryTelemetry())


def route(engine, **lanes):
    """Give channels their routes; a `_` in a route's name stands for the slash."""
    engine.dispatch.switchboard.lanes = {
        channel: Lane(channel=channel, routes=routes, slots=5) for channel, routes in lanes.items()
    }


async def mails(engine, count, start=0):
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com", "phone": "+15005550006"})
    for number in range(start, start + count):
        await engine.notifications.send("ana", "invoice", {"order": number}, id_=str(number))


def states(engine):
    return [delivery.status for delivery in engine.store.state.deliveries.values()]


def spent(engine):
    return sum(delivery.spent for delivery in engine.store.state.deliveries.values())


def told_of(telemetry, *events):
    return [line.event for line in telemetry.lines if line.event in events]


@pytest.mark.parametrize(
    "headers", [{"retry-after": "90"}, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "{reset}"}]
)
async def test_fault_07_a_pause_that_is_named_is_kept_and_costs_nothing(engine, clock, headers):
    now = clock.now
    named = {name: value.format(reset=int(now.timestamp()) + 90) for name, value in headers.items()}
    answer = outcome_of(Response(status=429, headers={"date": format_datetime(now, usegmt=True), **named}, body=b"{}"))
    mail, text = Provider(answer), Provider()
    route(engine, **{EMAIL: {"acme/email": mail}, SMS: {"other/sms": text}})
    await mails(engine, 5)
    await engine.run()
    first = len(mail.asked)
    mail.answer = ACCEPTED
    clock.advance(seconds=89)
    await engine.notifications.send("ana", "shipped", {"order": 1}, id_="text", channels=[SMS])
    await engine.run()
    assert (len(mail.asked), len(text.asked)) == (first, 1), "nothing before the time; other channels go on"
    for _ in range(3):
        clock.advance(minutes=1)
        await engine.run()
    assert set(states(engine)) == {Status.SENT}
    assert spent(engine) == 0


async def test_fault_07_a_pause_that_is_not_named_backs_off_and_costs_nothing(engine, clock):
    mail, text = Provider(BUSY), Provider()
    route(engine, **{EMAIL: {"acme/email": mail}, SMS: {"other/sms": text}})
    await mails(engine, 3)
    asked = []
    for _ in range(6):
        await engine.run()
        asked.append(len(mail.asked))
        clock.advance(seconds=10)
    assert asked[-1] <= 6, "two rounds of three: the second after 15 s and more"
    await engine.notifications.send("ana", "shipped", {"order": 1}, id_="text", channels=[SMS])
    await engine.run()
    assert len(text.asked) == 1
    mail.answer = ACCEPTED
    for _ in range(6):
        clock.advance(minutes=5)
        await engine.run()
    assert set(states(engine)) == {Status.SENT}
    assert spent(engine) == 0


async def test_fault_08_a_refused_account_stops_with_one_alert_and_fails_nobody(engine, clock):
    """Two processes, two channels of one account, many messages: one alert, and one when it is over."""
    text, chat, mail = Provider(REFUSED), Provider(REFUSED), Provider()
    lanes = {SMS: {"twilio/sms": text}, WHATSAPP: {"twilio/whatsapp": chat}, EMAIL: {"acme/email": mail}}
    route(engine, **lanes)
    other = another_process(engine)
    await engine.notifications.set_preferences(
        "ana",
        {
            "email": "ana@example.com",
            "phone": "+15005550006",
            "channel_preferences": {"whatsapp": {"enabled": True, "opt_in": True}},
        },
    )
    for number in range(12):
        await engine.notifications.send("ana", "alarm", {}, id_=str(number))
    for _ in range(4):
        await asyncio.gather(engine.dispatch.once(), other.once())
        clock.advance(minutes=1)
    stopped = len(text.asked) + len(chat.asked)
    assert len(mail.asked) == 12
    assert Status.FAILED not in states(engine)
    assert spent(engine) == 0
    events = ("account.stopped", "account.resumed")
    assert told_of(engine.telemetry, *events) == ["account.stopped"]

    for _ in range(6):
        await asyncio.gather(engine.dispatch.once(), other.once())
        clock.advance(minutes=5)
    assert len(text.asked) + len(chat.asked) - stopped <= 5, "a probe now and then, one for all"
    assert told_of(engine.telemetry, *events) == ["account.stopped"]

    text.answer = chat.answer = ACCEPTED
    for _ in range(6):
        await engine.run()
        clock.advance(minutes=5)
    assert set(states(engine)) == {Status.SENT}
    assert told_of(engine.telemetry, *events) == ["account.stopped", "account.resumed"]


async def test_fault_08_a_refused_country_stops_alone_with_one_alert(engine, clock):
    class NotThere(Provider):
        async def send(self, messages):
            await super().send(messages)
            return [COUNTRY if message.to.value.startswith("+49") else ACCEPTED for message in messages]

    text = NotThere()
    route(engine, **{SMS: {"twilio/sms": text}})
    for number in range(6):
        phone = "+4915112345678" if number % 2 else "+15005550006"
        await engine.notifications.set_preferences(f"u{number}", {"phone": phone})
        await engine.notifications.send(f"u{number}", "shipped", {"order": 1}, id_="1", channels=[SMS])
    for _ in range(4):
        await engine.run()
        clock.advance(minutes=1)
    assert sorted(states(engine)) == [Status.PENDING] * 3 + [Status.SENT] * 3
    assert spent(engine) == 0
    assert told_of(engine.telemetry, "country.stopped") == ["country.stopped"]
    assert len([to for to in text.asked if to.startswith("+49")]) <= 3


async def test_fault_08_another_route_takes_over_where_there_is_one(engine, clock):
    first, second = Provider(REFUSED), Provider()
    route(engine, **{EMAIL: {"a/email": first, "b/email": second}})
    await mails(engine, 8)
    for _ in range(4):
        await engine.run()
        clock.advance(minutes=1)
    assert set(states(engine)) == {Status.SENT}
    assert len(second.asked) == 8


async def test_fault_09_a_route_that_hangs_holds_up_no_other(engine):
    """Of its channel or of another: all of their messages are through before it answers one."""
    hanging, spare, text = Hanging(), Provider(), Provider()
    route(engine, **{EMAIL: {"a/email": hanging, "b/email": spare}, SMS: {"c/sms": text}})
    engine.dispatch.switchboard.stall = 0.02
    engine.dispatch.pace = evolve(engine.dispatch.pace, idle=0.005, gather=0.001)
    await mails(engine, 5)
    task = asyncio.create_task(engine.dispatch.run())
    await eventually(lambda: hanging.waiting == 5)
    await mails(engine, 40, start=5)
    for number in range(40):
        await engine.notifications.send("ana", "shipped", {"order": number}, id_=f"t{number}", channels=[SMS])
    await eventually(lambda: (len(spare.asked), len(text.asked)) == (40, 40))
    assert hanging.waiting == 5
    hanging.open.set()
    await eventually(lambda: set(states(engine)) == {Status.SENT})
    await stop(task)


@pytest.mark.external
async def test_fault_09_no_connection_is_held_while_a_provider_hangs(world: tuple[Stores, Database]):
    """More calls hang than there are connections, and others go on with them."""
    stores, database = world
    hanging, spare = Hanging(), Provider()
    slots = database._pool.max_size * 2
    dispatch = on_stores(stores, {"a/email": hanging, "b/email": spare}, slots)
    dispatch.switchboard.stall = 0.02
    await meet(stores, user(), email=ADA.value)
    for number in range(slots):
        await told(stores, user(), f"hangs-{number}")
    task = asyncio.create_task(dispatch.run())
    await eventually(lambda: hanging.waiting == slots, within=30)
    for number in range(20):
        await told(stores, user(), f"goes-{number}")
    await eventually(lambda: len(spare.asked) == 20, within=30)
    await eventually(lambda: idle(database), within=30)
    assert hanging.waiting == slots
    hanging.open.set()
    await stop(task)


async def test_fault_14_a_slow_route_goes_behind_and_back_only_when_it_is_better(engine, clock):
    first, second = Provider(), Provider()
    route(engine, **{EMAIL: {"a/email": first, "b/email": second}})
    slowness = slowness_of(engine)
    await mails(engine, 30)
    await engine.run()
    await slowness.once()
    assert (len(first.asked), len(second.asked)) == (30, 0)
    clock.advance(minutes=6)
    await report(engine, range(20))
    await slowness.once()
    await mails(engine, 30, start=30)
    await engine.run()
    assert (len(first.asked), len(second.asked)) == (30, 30), (
        "a third of the first thirty is late: the other takes over"
    )
    assert told_of(engine.telemetry, "route.slow", "route.fast") == ["route.slow"]


async def test_fault_14_nothing_moves_when_both_are_slow(engine, clock):
    first, second = Provider(), Provider()
    route(engine, **{EMAIL: {"a/email": first, "b/email": second}})
    slowness = slowness_of(engine)
    for wave in range(8):
        await mails(engine, 30, start=30 * wave)
        await engine.run()
        clock.advance(minutes=6)
        await report(engine, range(30 * wave, 30 * wave + 3))
        await slowness.once()
    assert len(told_of(engine.telemetry, "route.slow", "route.fast")) <= 2, "one change, and one trial after its time"


async def test_fault_14_what_is_unresolved_goes_by_no_other_route(engine, clock):
    first, second = Provider(Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="http_500")), Provider()
    route(engine, **{EMAIL: {"a/email": first, "b/email": second}})
    await mails(engine, 3)
    for _ in range(4):
        await engine.run()
        clock.advance(hours=1)
    assert states(engine) == [Status.IN_DOUBT] * 3
    assert second.asked == []


async def test_fault_39_a_worker_whose_lease_is_over_does_not_call(engine, clock):
    """It woke up after others may have taken over: nothing goes out, nothing is spent, and the route is not blamed."""
    mail = Provider()
    route(engine, **{EMAIL: {"acme/email": mail}})
    await mails(engine, 1)
    whole = engine.dispatch.pace
    engine.dispatch.pace = evolve(whole, lease=timedelta(seconds=10))
    await engine.dispatch.once()
    (delivery,) = engine.store.state.deliveries.values()
    assert (mail.asked, delivery.status, delivery.attempts[0].code) == ([], Status.PENDING, "lease_over")
    assert delivery.spent == 0
    assert not engine.store.state.board.stops
    engine.dispatch.pace = whole
    clock.advance(minutes=1)
    await engine.run()
    assert states(engine) == [Status.SENT]


def another_process(engine) -> Dispatch:
    """A second dispatcher on the same stores."""
    mine = engine.dispatch.switchboard
    twin = Switchboard(
        routes=mine.routes,
        lanes=mine.lanes,
        circuit=MemoryCircuit(),
        catalogue=mine.catalogue,
        policy=mine.policy,
        telemetry=mine.telemetry,
        chance=mine.chance,
        clock=mine.clock,
    )
    return Dispatch(
        deliveries=engine.dispatch.deliveries,
        switchboard=twin,
        caller=engine.dispatch.caller,
        telemetry=mine.telemetry,
        worker="another",
    )


def on_stores(stores: Stores, routes, slots: int) -> Dispatch:
    policy: Policy = POLICY
    telemetry = MemoryTelemetry()
    return Dispatch(
        deliveries=stores.deliveries,
        switchboard=Switchboard(
            routes=stores.routes,
            lanes={EMAIL: Lane(channel=EMAIL, routes=routes, slots=slots)},
            circuit=MemoryCircuit(),
            catalogue=Catalogue(version="test-1", types={NEWS.name: NEWS}, events={}, variables={NEWS.name: {}}),
            policy=policy,
            telemetry=telemetry,
            chance=lambda: 0.5,
            clock=Clock(),
        ),
        caller=Caller(
            renderer=MemoryRenderer({NEWS.name: {"subject": "News", "text": "Some."}}, {NEWS.name: ()}),
            policy=policy,
            telemetry=telemetry,
            chance=lambda: 0.5,
        ),
        telemetry=telemetry,
        worker="w",
    )


def idle(database: Database) -> bool:
    """Whether every connection lies in the pool."""
    stats = database._pool.get_stats()
    return stats["pool_size"] == stats["pool_available"]


def slowness_of(engine) -> Slowness:
    return Slowness(routes=engine.store.routes, lanes={EMAIL: ("a/email", "b/email")}, telemetry=engine.telemetry)


async def report(engine, orders: Collection[int]) -> None:
    """Reports that the messages about these orders arrived, a minute after they were sent."""
    for delivery in list(engine.store.state.deliveries.values()):
        one = engine.store.state.notifications[delivery.key.tenant, delivery.key.notification_id]
        if delivery.status is Status.SENT and one.variables["order"] in orders:
            attempt = delivery.attempts[-1]
            arrived = Receipt(
                provider="acme",
                key=attempt.id,
                kind=ReceiptKind.DELIVERED,
                attempt_id=attempt.id,
                at=attempt.started_at + timedelta(minutes=1),
            )
            await engine.store.receipts.receive([arrived])
    await engine.receipts.once()


async def stop(task) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
