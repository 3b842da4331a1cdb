"""The dispatcher's loop: slots, circuits, outages of the store, and an orderly stop."""

import asyncio
from collections import Counter

import pytest
from attrs import evolve

from fn_notifications import EMAIL, Outcome, OutcomeKind, Scope, Status
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.call import Lane, digest_of
from fn_notifications.application.errors import Refused, Unavailable
from fn_notifications.application.ports.sending import Content
from fn_notifications.domain.stops import Passage
from fn_notifications.testing.waiting import eventually

ACCEPTED = Outcome(kind=OutcomeKind.ACCEPTED, provider_id="p")


class Gated:
    """A sender whose calls wait until they are let go, and that counts how many wait at once."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.waiting = 0
        self.most = 0
        self.calls = 0

    async def send(self, messages):
        self.calls += 1
        self.waiting += 1
        self.most = max(self.most, self.waiting)
        try:
            await self.open.wait()
        finally:
            self.waiting -= 1
        return [ACCEPTED] * len(messages)


async def planned(engine, count):
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com"})
    for number in range(count):
        await engine.notifications.send("ana", "invoice", {"order": number}, id_=str(number))


def statuses(engine):
    return [delivery.status for delivery in engine.store.state.deliveries.values()]


@pytest.fixture
async def running(request):
    """Start dispatchers; they are stopped at the end."""
    tasks = []

    def start(engine) -> asyncio.Task:
        engine.dispatch.pace = evolve(engine.dispatch.pace, idle=0.005, linger=0.001, gather=0.001, back_off=0.005)
        tasks.append(asyncio.create_task(engine.dispatch.run()))
        return tasks[-1]

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def stop(task):
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_it_sends_what_is_due_and_what_comes_later(engine, running):
    await planned(engine, 3)
    running(engine)
    await eventually(lambda: statuses(engine) == [Status.SENT] * 3)
    await engine.notifications.send("ana", "invoice", {"order": 9}, id_="later")
    engine.dispatch.wake()
    await eventually(lambda: statuses(engine) == [Status.SENT] * 4)


class Picky:
    """A store that takes the answer about every delivery but one."""

    def __init__(self, sound, refused):
        self.sound = sound
        self.refused = refused

    def __getattr__(self, name):
        return getattr(self.sound, name)

    async def finish(self, answers):
        if any(answer.begun.notification.variables["order"] == self.refused for answer in answers):
            raise Refused("it cannot be stored")
        return await self.sound.finish(answers)


@pytest.mark.parametrize("refused", [0, 3, 6])
async def test_an_answer_that_cannot_be_stored_keeps_no_other_from_it(engine, running, refused):
    await planned(engine, 7)
    telemetry = engine.dispatch.telemetry = MemoryTelemetry()
    engine.dispatch.deliveries = Picky(engine.dispatch.deliveries, refused)
    running(engine)
    await eventually(lambda: statuses(engine).count(Status.SENT) == 6)
    assert statuses(engine).count(Status.SENDING) == 1, "its lease is not over yet"
    await eventually(lambda: "dispatch.answer_refused" in {line.event for line in telemetry.lines})


async def test_no_more_calls_are_on_the_wire_than_the_lane_has_slots(engine_with, running):
    sender = Gated()
    engine = engine_with(sender)
    engine.dispatch.switchboard.lanes = {EMAIL: Lane(channel=EMAIL, routes={"gated/email": sender}, slots=3)}
    await planned(engine, 8)
    running(engine)
    await eventually(lambda: sender.waiting == 3)
    sender.open.set()
    await eventually(lambda: statuses(engine) == [Status.SENT] * 8)
    assert sender.most == 3


async def test_the_slots_of_all_lanes_together_are_bounded_too(engine_with, running):
    sender = Gated()
    engine = engine_with(sender)
    engine.dispatch.switchboard.total_slots = 6  # for three lanes
    await planned(engine, 5)
    running(engine)
    await eventually(lambda: sender.waiting == 2)
    sender.open.set()
    await eventually(lambda: statuses(engine) == [Status.SENT] * 5)
    assert sender.most == 2


async def test_an_open_circuit_claims_nothing_and_burns_no_try(engine_with, clock):
    down = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="unavailable")

    class Down:
        calls = 0

        async def send(self, messages):
            self.calls += 1
            return [down] * len(messages)

    sender = Down()
    engine = engine_with(sender)
    await planned(engine, 20)
    for _ in range(10):
        await engine.run()
    opened = sender.calls
    assert engine.dispatch.switchboard.board.passage("memory/email", None, clock.now) is Passage.SHUT
    clock.advance(minutes=1)
    await engine.run()
    assert sender.calls == opened
    clock.advance(minutes=10)
    await engine.dispatch.once()
    assert sender.calls == opened + 1, "half open: one probe, not twenty"
    assert all(delivery.spent == 0 for delivery in engine.store.state.deliveries.values())


async def test_a_call_beyond_its_deadline_is_in_doubt(engine_with):
    sender = Gated()
    engine = engine_with(sender)
    engine.dispatch.switchboard.lanes = {EMAIL: Lane(channel=EMAIL, routes={"gated/email": sender}, deadline=0.01)}
    await planned(engine, 1)
    await engine.run()
    (delivery,) = engine.store.state.deliveries.values()
    assert (delivery.status, delivery.attempts[0].code) == (Status.IN_DOUBT, "deadline")


async def test_a_stop_lets_calls_on_the_wire_end_and_writes_their_answers(engine_with, running):
    sender = Gated()
    engine = engine_with(sender)
    await planned(engine, 2)
    task = running(engine)
    await eventually(lambda: sender.waiting == 2)
    task.cancel()
    await asyncio.sleep(0)
    sender.open.set()
    await asyncio.gather(task, return_exceptions=True)
    assert statuses(engine) == [Status.SENT] * 2


async def test_calls_that_do_not_end_within_the_grace_are_in_doubt(engine_with, running):
    sender = Gated()
    engine = engine_with(sender)
    await planned(engine, 1)
    task = running(engine)
    engine.dispatch.pace = evolve(engine.dispatch.pace, grace=0.01)
    await eventually(lambda: sender.waiting == 1)
    await stop(task)
    (delivery,) = engine.store.state.deliveries.values()
    assert (delivery.status, delivery.attempts[0].code) == (Status.IN_DOUBT, "stopped")


async def test_the_next_wave_is_claimed_while_calls_of_one_still_start(engine_with, running):
    sender = Gated()
    engine = engine_with(sender)
    await planned(engine, 8)
    lanes = {EMAIL: Lane(channel=EMAIL, routes={"gated/email": sender}, slots=8)}
    engine.dispatch.switchboard = evolve(engine.dispatch.switchboard, lanes=lanes, wave=4)
    store, started = engine.dispatch.deliveries, []

    class Watched:
        def __getattr__(self, name):
            return getattr(store, name)

        async def claim(self, *args, **kwargs):
            started.append(sender.calls)
            return await store.claim(*args, **kwargs)

    engine.dispatch.deliveries = Watched()
    engine.dispatch.pace = evolve(engine.dispatch.pace, together=1)
    running(engine)
    await eventually(lambda: sender.waiting == 8)
    sender.open.set()
    first, second = started[:2]
    assert first == 0
    assert second < 4


async def test_calls_of_a_wave_that_have_not_started_when_time_is_up_are_unsent(engine_with, running):
    """Begun, they would otherwise be in doubt without ever having been made."""

    class Last(Gated):
        async def send(self, messages):
            if not self.calls:
                task.cancel()
            return await super().send(messages)

    sender = Last()
    engine = engine_with(sender)
    await planned(engine, 5)
    engine.dispatch.pace = evolve(engine.dispatch.pace, together=1)
    task = running(engine)
    engine.dispatch.pace = evolve(engine.dispatch.pace, grace=0)
    await eventually(task.done)
    codes = Counter(delivery.attempts[0].code for delivery in engine.store.state.deliveries.values())
    assert codes["lease_over"] > 0
    assert codes["lease_over"] + codes["stopped"] == 5
    assert codes["stopped"] == sender.calls


async def test_what_cannot_be_given_back_when_stopping_is_said(engine_with, running):
    engine = engine_with(Gated())
    engine.dispatch.telemetry = MemoryTelemetry()
    await planned(engine, 1)
    store, claimed, go_on = engine.dispatch.deliveries, asyncio.Event(), asyncio.Event()

    class Going:
        def __getattr__(self, name):
            return getattr(store, name)

        async def claim(self, *args, **kwargs):
            leases = await store.claim(*args, **kwargs)
            claimed.set()
            await go_on.wait()
            return leases

        async def release(self, leases):
            raise Unavailable("gone")

    engine.dispatch.deliveries = Going()
    task = running(engine)
    await claimed.wait()
    task.cancel()
    await asyncio.sleep(0)
    go_on.set()
    await asyncio.gather(task, return_exceptions=True)
    assert [line.event for line in engine.dispatch.telemetry.lines] == ["dispatch.store_unavailable"]


async def test_an_outage_of_the_store_loses_no_answer_and_repeats_no_call(engine_with, running):
    sender = Gated()
    engine = engine_with(sender)
    engine.dispatch.telemetry = MemoryTelemetry()
    await planned(engine, 1)
    real = engine.store.deliveries
    outage = iter(range(5))

    class Down:
        def __getattr__(self, name):
            return getattr(real, name)

        async def claim(self, wanted, **more):
            if next(outage, None) is not None:
                raise Unavailable("down")
            return await real.claim(wanted, **more)

        async def finish(self, answers):
            if next(trouble, None) is not None:
                raise Unavailable("down")
            return await real.finish(answers)

    trouble = iter(range(5))
    engine.dispatch.deliveries = Down()
    running(engine)
    await eventually(lambda: sender.waiting == 1)
    sender.open.set()
    await eventually(lambda: statuses(engine) == [Status.SENT])
    assert sender.calls == 1
    assert {line.event for line in engine.dispatch.telemetry.lines} == {"dispatch.store_unavailable"}


async def test_what_cannot_be_written_when_it_stops_is_said_once_and_keeps_nobody_waiting(engine_with, running):
    sender = Gated()
    engine = engine_with(sender)
    engine.dispatch.telemetry = MemoryTelemetry()
    await planned(engine, 2)
    real = engine.store.deliveries

    class Silent:
        def __getattr__(self, name):
            return getattr(real, name)

        async def finish(self, answers):
            await asyncio.Event().wait()

    engine.dispatch.deliveries = Silent()
    task = running(engine)
    engine.dispatch.pace = evolve(engine.dispatch.pace, grace=0.01, farewell=0.01)
    await eventually(lambda: sender.waiting == 2)
    task.cancel()
    await eventually(task.done)
    (line,) = engine.dispatch.telemetry.lines
    assert (line.event, line.fields) == ("dispatch.left_behind", {"waves": "0", "answers": "2"})


async def test_a_bug_in_writing_answers_ends_the_dispatcher(engine_with, running):
    """Calls that go on while nothing is written down would all be in doubt."""
    sender = Gated()
    engine = engine_with(sender)
    await planned(engine, 1)
    real = engine.store.deliveries

    class Broken:
        def __getattr__(self, name):
            return getattr(real, name)

        async def finish(self, answers):
            raise ZeroDivisionError

    engine.dispatch.deliveries = Broken()
    task = running(engine)
    sender.open.set()
    await eventually(task.done)
    assert isinstance(task.exception(), ExceptionGroup)
    assert task.exception().subgroup(ZeroDivisionError)


def test_half_a_surrogate_pair_has_a_digest_too():
    """A text of a caller's own may hold one, and the call has been made by then."""
    assert digest_of(Content(text="\ud800")) != digest_of(Content(text="?"))
