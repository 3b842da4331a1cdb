"""Several messages in one call: what goes together, how many are begun, and what becomes of each."""

import asyncio

import pytest
from attrs import define, evolve, field

from fn_notifications import EMAIL, SMS, Outcome, OutcomeKind, Status
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.call import Lane
from fn_notifications.application.ports.sending import Renderer
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.waiting import eventually

ACCEPTED = Outcome(kind=OutcomeKind.ACCEPTED)
ROUTE = "a/email"


@define
class Noting:
    """Takes everything, once it is open, and notes how much came at once."""

    sizes: list[int] = field(factory=list)
    open: asyncio.Event = field(factory=asyncio.Event)
    lost: int = 0
    """Outcomes it keeps to itself."""

    def __attrs_post_init__(self) -> None:
        self.open.set()

    async def send(self, messages):
        self.sizes.append(len(messages))
        await self.open.wait()
        return [ACCEPTED] * (len(messages) - self.lost)


@define
class Breaking:
    """Renders all but the first."""

    renderer: Renderer
    broken: bool = False

    def render(self, *given, **more):
        if not self.broken:
            self.broken = True
            raise KeyError("no such thing")
        return self.renderer.render(*given, **more)


@pytest.fixture
def sender() -> Noting:
    return Noting()


@pytest.fixture
def board(engine, sender):
    """The engine's switchboard, with one route for email whose calls carry up to four messages."""

    def lane(slots=10, **more):
        engine.dispatch.switchboard.lanes = {
            EMAIL: Lane(channel=EMAIL, routes={ROUTE: sender}, batches={ROUTE: 4}, slots=slots, **more)
        }
        return engine.dispatch.switchboard

    return lane


async def planned(engine, count, type_="shipped", **variables):
    """Of a type that is sent anew when in doubt, and so goes in company."""
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com"})
    for number in range(count):
        values = {"order": number, **variables}
        await engine.notifications.send("ana", type_, values, id_=f"{type_}-{number}-{variables}", channels=[EMAIL])


def heard(engine):
    """What calls say from now on."""
    telemetry = MemoryTelemetry()
    engine.dispatch.caller = evolve(engine.dispatch.caller, telemetry=telemetry)
    return telemetry


def statuses(engine):
    return [delivery.status for delivery in engine.store.state.deliveries.values()]


async def test_a_wave_goes_in_calls_of_as_many_as_the_route_takes(engine, board, sender):
    board()
    await planned(engine, 10)
    assert await engine.dispatch.once() == 10
    assert sender.sizes == [4, 4, 2]
    assert statuses(engine) == [Status.SENT] * 10


async def test_each_type_keeps_the_company_it_may(engine, board, sender):
    board()
    await planned(engine, 3)
    await planned(engine, 2, "invoice")
    await planned(engine, 1, "alarm")
    await engine.dispatch.once()
    assert sorted(sender.sizes) == [1, 1, 1, 3]


async def test_a_flood_fills_its_calls_within_a_few_waves(engine, board, sender):
    board(slots=2)
    await planned(engine, 20)
    await engine.run()
    assert sender.sizes == [2, 4, 4, 4, 4, 2]


async def test_what_suddenly_goes_alone_takes_no_more_slots_than_there_are(engine, board, sender):
    board(slots=2)
    await planned(engine, 6)
    await engine.run()
    await planned(engine, 7, "invoice")
    await engine.dispatch.once()
    assert sender.sizes == [2, 4, 1, 1]
    waiting = [one.reason for one in engine.store.state.deliveries.values() if one.status is Status.PENDING]
    assert waiting == [Reason.LANE_WAITS] * 5
    assert await engine.dispatch.switchboard.wanted(fresh=0) == {EMAIL: 2}


async def test_slots_are_counted_in_calls(engine, board, sender):
    made = board(slots=3)
    made.total_slots = 2
    sender.open.clear()
    await planned(engine, 8)
    assert await made.wanted(fresh=0) == {EMAIL: 2}
    wave = asyncio.create_task(engine.dispatch.once())
    await eventually(lambda: sender.sizes == [2])
    assert await made.wanted(fresh=0) == {EMAIL: 2}, "one call on the wire, room for another of two messages"
    sender.open.set()
    await wave


async def test_a_full_lane_leaves_the_others_their_slots(engine, board, sender):
    made = board(slots=2)
    made.total_slots = 4
    made.lanes = {**made.lanes, SMS: Lane(channel=SMS, routes={"a/sms": sender}, slots=2)}
    await planned(engine, 6)
    await engine.run()
    assert await made.wanted(fresh=0) == {EMAIL: 8, SMS: 2}


async def test_a_rate_is_of_messages(engine, board, sender):
    board(rate=3.0)
    await planned(engine, 8)
    assert [await engine.dispatch.once(), await engine.dispatch.once()] == [3, 0]
    assert sender.sizes == [3]


async def test_what_cannot_be_made_keeps_no_other_from_going(engine, board, sender):
    board()
    await planned(engine, 2)
    await planned(engine, 1, order="long" * 100)
    await planned(engine, 1, order="short")
    await engine.dispatch.once()
    assert sender.sizes == [3]
    assert statuses(engine) == [Status.SENT, Status.SENT, Status.FAILED, Status.SENT]


async def test_a_renderer_that_breaks_keeps_no_other_from_going(engine, board, sender):
    board()
    telemetry = heard(engine)
    caller = engine.dispatch.caller
    engine.dispatch.caller = evolve(caller, renderer=Breaking(caller.renderer))
    await planned(engine, 3)
    await engine.dispatch.once()
    assert sender.sizes == [2]
    assert sorted(statuses(engine)) == [Status.FAILED, Status.SENT, Status.SENT]
    assert [line.event for line in telemetry.lines] == ["renderer.broke_contract"]


async def test_a_sender_that_loses_an_outcome_leaves_all_in_doubt(engine, board, sender):
    board()
    sender.lost = 1
    telemetry = heard(engine)
    await planned(engine, 3)
    await engine.dispatch.once()
    assert statuses(engine) == [Status.IN_DOUBT] * 3
    assert [line.event for line in telemetry.lines] == ["sender.broke_contract"]


async def test_a_call_that_is_cut_off_leaves_all_in_doubt(engine, board, sender):
    board(deadline=0.01)
    sender.open.clear()
    await planned(engine, 3)
    await engine.dispatch.once()
    assert {one.attempts[-1].code for one in engine.store.state.deliveries.values()} == {"deadline"}


async def test_a_call_is_timed_once_for_each_way_it_ended(engine, board, sender):
    board()
    telemetry = heard(engine)
    await planned(engine, 4)
    await engine.dispatch.once()
    (sample,) = [one for one in telemetry.snapshot() if one.name == "provider.call.count"]
    assert (sample.value, sample.labels["outcome"]) == (1, "accepted")


async def test_a_library_user_says_how_many_a_sender_takes(clock, engine):
    sender = Noting()
    again = type(engine)(
        types=engine.types, templates=engine.templates, clock=clock, senders={EMAIL: sender}, batches={EMAIL: 3}
    )
    await planned(again, 6)
    await again.run()
    assert sender.sizes == [3, 3]
