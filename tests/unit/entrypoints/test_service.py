"""The loops: what cannot be reached is tried again, what breaks is loud, nothing taken is lost."""

import asyncio
from contextlib import suppress

import pytest

from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.errors import Unavailable
from fn_notifications.entrypoints.service import IntakeStep, Loop, Supervisor


class Source:
    """Gives each batch once."""

    def __init__(self, *batches):
        self.batches = list(batches)
        self.reported = []

    async def take(self, limit, wait):
        return self.batches.pop(0) if self.batches else []

    async def done(self, records):
        self.reported.append(list(records))


class Intake:
    """Fails as often as told, then stores."""

    def __init__(self, failures=0):
        self.failures = failures
        self.stored = []

    async def handle(self, records):
        if self.failures:
            self.failures -= 1
            raise Unavailable("down")
        self.stored.append(list(records))


async def test_a_batch_that_could_not_be_stored_is_kept_and_only_then_reported_done():
    source, intake = Source(["a", "b"], ["c"]), Intake(failures=2)
    step = IntakeStep(source, intake, lambda: None)
    for _ in range(2):
        with pytest.raises(Unavailable):
            await step()
    assert source.reported == []
    assert [await step(), await step(), await step()] == [2, 1, 0]
    assert intake.stored[:2] == [["a", "b"], ["c"]]
    assert source.reported[:2] == [["a", "b"], ["c"]]


async def test_a_dispatcher_is_woken_by_what_was_stored_and_by_nothing_else():
    woken = []
    step = IntakeStep(Source(["a"]), Intake(), lambda: woken.append(1))
    await step()
    await step()
    assert woken == [1]


async def test_a_loop_that_fails_backs_off_and_goes_on_while_others_run():
    telemetry, done, beats = MemoryTelemetry(), asyncio.Event(), []
    failures = iter([Unavailable("down"), Unavailable("down")])

    async def shaky() -> int:
        for failure in failures:
            raise failure
        done.set()
        return 0

    async def steady() -> int:
        beats.append(1)
        return 0

    supervisor = Supervisor(telemetry=telemetry, back_off=0.001)
    running = asyncio.create_task(
        supervisor.run(Loop(name="shaky", step=shaky, idle=0.001), Loop(name="steady", step=steady, idle=0.001))
    )
    await asyncio.wait_for(done.wait(), 10)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert beats
    assert [line.event for line in telemetry.lines] == ["loop.failed"]


async def test_what_is_no_ports_error_ends_the_service():
    async def broken() -> int:
        raise ZeroDivisionError

    with pytest.raises(ExceptionGroup) as ended:
        await Supervisor(telemetry=MemoryTelemetry()).run(Loop(name="broken", step=broken, idle=0))
    assert ended.value.subgroup(ZeroDivisionError)


def test_a_loop_leaves_the_others_their_share_however_much_it_has_to_do():
    async def step() -> int:
        return 1

    assert Loop(name="a", step=step, idle=7).rest(1, took=3) == 0
    assert Loop(name="a", step=step, idle=7, share=0.25).rest(1, took=3) == pytest.approx(9)
    assert Loop(name="a", step=step, idle=7, share=0.25).rest(0, took=3) == 7


async def test_a_loop_stops_even_when_its_step_swallows_that_it_was_told_to():
    begun = asyncio.Event()

    async def step() -> int:
        begun.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return 0

    running = asyncio.create_task(Supervisor(telemetry=MemoryTelemetry()).run(Loop(name="deaf", step=step, idle=3600)))
    await begun.wait()
    running.cancel()
    async with asyncio.timeout(5):
        await asyncio.wait({running})
