"""Which way calls go: room by route, holds, pins, rates, probes, and what is told to other processes."""

import asyncio
from datetime import timedelta

import pytest
from attrs import define, evolve, field

from fn_notifications import EMAIL, SMS, Outcome, OutcomeKind, Scope, Status
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.call import Lane
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.room import Permits
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routes import HoldKind
from fn_notifications.testing.waiting import eventually

ACCEPTED = Outcome(kind=OutcomeKind.ACCEPTED, provider_id="p")
DOWN = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="unavailable")


@define
class Provider:
    answer: Outcome = ACCEPTED
    calls: int = 0

    async def send(self, messages):
        self.calls += 1
        return [self.answer] * len(messages)


@define
class Waiting:
    open: asyncio.Event = field(factory=asyncio.Event)
    calls: int = 0

    async def send(self, messages):
        self.calls += 1
        await self.open.wait()
        return [ACCEPTED] * len(messages)


@pytest.fixture
def board(engine):
    """The engine's switchboard, which can be heard."""
    engine.dispatch.switchboard.telemetry = MemoryTelemetry()
    return engine.dispatch.switchboard


def lanes(board, slots=10, rate=None, **routes):
    board.lanes = {
        channel: Lane(channel=channel, routes=each, slots=slots, rate=rate) for channel, each in routes.items()
    }


async def planned(engine, count, type_="invoice"):
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com", "phone": "+15005550006"})
    for number in range(count):
        await engine.notifications.send("ana", type_, {"order": number}, id_=f"{type_}-{number}")


def statuses(engine):
    return [delivery.status for delivery in engine.store.state.deliveries.values()]


def reasons(engine):
    return {delivery.reason for delivery in engine.store.state.deliveries.values()}


async def test_a_route_has_slots_of_its_own(engine, board):
    first, second = Waiting(), Provider()
    lanes(board, 3, **{EMAIL: {"a/email": first, "b/email": second}})
    await planned(engine, 9)
    one = asyncio.create_task(engine.dispatch.once())
    await eventually(lambda: first.calls == 3)
    assert await board.wanted() == {}, "what the first has no room for waits for it"
    board.stall = 0
    assert await board.wanted() == {EMAIL: 3}, "it hangs: the next has room of its own"
    first.open.set()
    await one


async def test_where_all_slots_are_too_few_each_route_has_its_share(engine, board):
    lanes(board, 10, **{EMAIL: {"a/email": Waiting(), "b/email": Waiting()}, SMS: {"c/sms": Waiting()}})
    board.total_slots = 12
    assert await board.wanted() == {EMAIL: 4, SMS: 4}
    board.total_slots = 2
    assert await board.wanted() == {EMAIL: 1, SMS: 1}
    board.total_slots = 1
    assert await board.wanted() == {EMAIL: 1}


async def test_a_wave_leaves_slots_for_the_next(engine, board):
    """While its calls are on the wire, the next can be begun; one lane's wave takes nothing from another's."""
    waiting = Waiting()
    lanes(board, 5, **{EMAIL: {"a/email": waiting}, SMS: {"c/sms": Waiting()}})
    board.wave = 3
    await planned(engine, 9)
    assert await board.wanted() == {EMAIL: 3, SMS: 3}
    one = asyncio.create_task(engine.dispatch.once())
    await eventually(lambda: waiting.calls == 3)
    assert await board.wanted() == {EMAIL: 2, SMS: 3}
    board.most = 1
    assert await board.wanted() == {EMAIL: 1, SMS: 1}, "so many messages, however many share a call"
    waiting.open.set()
    await one


async def test_a_route_is_crowded_while_calls_leave_room_for_less_than_half_of_them(engine, board):
    waiting = Waiting()
    lanes(board, 5, **{EMAIL: {"a/email": waiting}, SMS: {"c/sms": Waiting()}})
    await planned(engine, 9)
    waves = []
    for wave, calls, crowded in ((3, 3, False), (1, 4, True), (1, 5, True)):
        board.wave = wave
        waves.append(asyncio.create_task(engine.dispatch.once()))
        await eventually(lambda calls=calls: waiting.calls == calls)
        board.wave = 3
        assert board.crowded is crowded
    waiting.open.set()
    await asyncio.gather(*waves)
    assert not board.crowded


async def test_the_pinned_route_is_taken_first(engine, board, clock):
    first, second = Provider(), Provider()
    lanes(board, **{EMAIL: {"a/email": first, "b/email": second}})
    await engine.store.routes.pin("b/email", timedelta(hours=2), reason="", by="eve")
    await planned(engine, 2)
    await engine.run()
    assert (first.calls, second.calls) == (0, 2)
    second.answer = DOWN
    await planned(engine, 4)
    for _ in range(3):
        await engine.run()
        clock.advance(minutes=2)
    assert Status.PENDING not in statuses(engine)
    assert first.calls == 2, "a pin is a wish: what cannot go there goes elsewhere"


@pytest.mark.parametrize(
    ("kind", "name", "sent"),
    [
        (HoldKind.TYPE, "invoice", 1),
        (HoldKind.CHANNEL, EMAIL, 0),
        (HoldKind.ROUTE, "memory/email", 0),
        (HoldKind.ALL, "", 0),
    ],
)
async def test_what_is_held_waits_and_goes_when_it_is_released(engine, kind, name, sent):
    await engine.store.routes.hold(kind, name, reason="", by="eve")
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com"})
    await engine.notifications.send("ana", "invoice", {"order": 1}, id_="1")
    await engine.notifications.send("ana", "shipped", {"order": 1}, id_="2", channels=[EMAIL])
    await engine.run()
    assert len(engine.mailbox.messages()) == sent
    await engine.store.routes.release(kind, name)
    await engine.run()
    assert statuses(engine) == [Status.SENT] * 2


async def test_a_hold_of_a_type_is_told_and_spends_nothing(engine):
    await engine.store.routes.hold(HoldKind.TYPE, "invoice", reason="", by="eve")
    await planned(engine, 1)
    await engine.run()
    (delivery,) = engine.store.state.deliveries.values()
    assert (delivery.reason, delivery.attempts) == (Reason.HELD, ())


async def test_a_hold_keeps_nothing_beyond_its_time(engine, clock):
    await engine.store.routes.hold(HoldKind.TYPE, "invoice", reason="", by="eve")
    await planned(engine, 1)
    for _ in range(30):
        await engine.run()
        clock.advance(hours=1)
    assert statuses(engine) == [Status.EXPIRED]


async def test_no_more_calls_than_the_rate_in_all_processes(engine, board, clock):
    provider = Provider()
    lanes(board, 50, 5, **{EMAIL: {"a/email": provider}})
    await planned(engine, 20)
    calls = []
    for _ in range(4):
        board._permits = Permits()  # another second has passed for the loop, too
        await engine.dispatch.once()
        calls.append(provider.calls)
        clock.advance(seconds=1)
    assert calls == [5, 10, 15, 20]


async def test_permits_are_not_asked_for_all_the_time(engine, board):
    provider, asked = Provider(), []
    lanes(board, 50, 2, **{EMAIL: {"a/email": provider}})
    real = engine.store.routes

    class Counted:
        def __getattr__(self, name):
            return getattr(real, name)

        async def permits(self, wanted, rates):
            asked.append(wanted)
            return await real.permits(wanted, rates)

    board.routes = Counted()
    await planned(engine, 5)
    for _ in range(10):
        await engine.dispatch.once()
    assert provider.calls == 2
    assert len(asked) <= 3


async def test_a_failure_now_and_then_is_told_to_nobody(engine, board):
    lanes(board, **{EMAIL: {"a/email": Provider(DOWN)}})
    await planned(engine, 4)
    await engine.run()
    assert not engine.store.state.board.stops
    await planned(engine, 6)
    await engine.run()
    assert engine.store.state.board.stops["a/email"].code == "unavailable"
    assert [line.event for line in board.telemetry.lines] == ["route.stopped"]


async def test_one_failure_of_a_route_that_is_shut_for_a_country_does_not_shut_it_whole(engine, board):
    provider = Provider(Outcome(kind=OutcomeKind.UNSENT, scope=Scope.DESTINATION, code="21408"))
    lanes(board, **{SMS: {"a/sms": provider}})
    await planned(engine, 1, "alarm")
    await engine.run()
    provider.answer = DOWN
    await engine.notifications.set_preferences("bo", {"phone": "+4915112345678"})
    await engine.notifications.send("bo", "alarm", {}, id_="1")
    await engine.run()
    assert list(engine.store.state.board.stops) == ["a/sms+1"]


async def test_what_could_not_be_told_is_told_again(engine, board, clock):
    lanes(board, **{EMAIL: {"a/email": Provider(Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT, code="401"))}})
    await planned(engine, 1)
    real, outage = engine.store.routes, iter(range(2))

    class Down:
        def __getattr__(self, name):
            return getattr(real, name)

        async def report(self, words):
            if next(outage, None) is not None:
                raise Unavailable("down")
            return await real.report(words)

    board.routes = Down()
    for _ in range(2):
        with pytest.raises(Unavailable):
            await engine.dispatch.once()
    await engine.dispatch.once()
    assert list(engine.store.state.board.stops) == ["a"]


async def test_a_doubtful_delivery_waits_for_its_own_route(engine, board, clock):
    first = Provider(Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="http_500"))
    second = Provider()
    lanes(board, **{EMAIL: {"a/email": first, "b/email": second}})
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com"})
    await engine.notifications.send("ana", "shipped", {"order": 1}, id_="1", channels=[EMAIL])
    await engine.run()
    clock.advance(hours=2)
    await engine.store.routes.hold(HoldKind.ROUTE, "a/email", reason="", by="eve")
    await engine.run()
    (delivery,) = engine.store.state.deliveries.values()
    assert (delivery.status, delivery.reason, second.calls) == (Status.PENDING, Reason.LANE_WAITS, 0)


async def test_while_a_probe_is_out_nothing_more_is_claimed(engine, board, clock):
    provider = Provider(Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT, code="401"))
    lanes(board, **{EMAIL: {"a/email": provider}})
    await planned(engine, 5)
    await engine.dispatch.once()
    clock.advance(minutes=5)
    waiting = Waiting()
    lanes(board, **{EMAIL: {"a/email": waiting}})
    assert await board.wanted(fresh=0) == {EMAIL: 1}
    probe = asyncio.create_task(engine.dispatch.once())
    await eventually(lambda: waiting.calls == 1)
    assert await board.wanted() == {}
    waiting.open.set()
    await probe
    assert await board.wanted() == {EMAIL: 10}


async def test_the_state_of_routes_is_measured(engine, board, clock):
    lanes(board, **{EMAIL: {"a/email": Provider(Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT, code="401"))}})
    await planned(engine, 1)
    levels = []
    for _ in range(3):
        await engine.dispatch.once()
        levels += [sample.value for sample in board.telemetry.snapshot() if sample.name == "routes.state"]
        clock.advance(seconds=150)
    assert levels == [0, 2, 1]


async def test_a_gate_asked_twice_about_one_delivery_counts_it_once(engine, board):
    lanes(board, 2, **{EMAIL: {"a/email": Provider()}})
    await planned(engine, 2)
    real = engine.store.deliveries

    class Repeats:
        """A transaction that is run anew."""

        def __getattr__(self, name):
            return getattr(real, name)

        async def begin(self, leases, gate):
            def twice(candidate, now):
                gate(candidate, now)
                return gate(candidate, now)

            return await real.begin(leases, twice)

    engine.dispatch.deliveries = Repeats()
    assert await engine.dispatch.once() == 2


async def test_a_frozen_worker_says_nothing_of_the_route_it_did_not_call(engine, board):
    lanes(board, **{EMAIL: {"a/email": Provider()}})
    engine.dispatch.pace = evolve(engine.dispatch.pace, lease=engine.dispatch.pace.lease / 10)
    await planned(engine, 10)
    await engine.dispatch.once()
    assert not engine.store.state.board.stops
    assert not board._words
