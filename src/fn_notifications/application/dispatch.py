"""Deliveries out: lease, look again, commit the attempt, call, write down the answer.

The order is the promise. An attempt is committed before its call, so a crash leaves a trace; the gates run under lock
in that same transaction, so an opt-out is never overtaken; no transaction is open during a call; and the answers of
many calls are written together. One dispatcher serves every lane of a process; which way calls go, and how many there
is room for, the switchboard says.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Mapping, Sequence
from contextlib import suppress
from datetime import timedelta
from math import inf
from typing import Any

from attrs import define, field, frozen

from fn_notifications.application.call import Called, Caller
from fn_notifications.application.errors import PortError, Refused
from fn_notifications.application.ports.deliveries import Answer, Begun, Deliveries
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.application.stopping import told_to_stop
from fn_notifications.application.switchboard import Switchboard
from fn_notifications.domain.address import Channel
from fn_notifications.domain.lifecycle import Status


@frozen(kw_only=True)
class Pace:
    """How the dispatcher spends its time; seconds where no unit is given."""

    lease: timedelta = timedelta(seconds=120)
    """Longer than any call's deadline, or a slow call would be taken for a dead worker."""
    idle: float = 0.1
    linger: float = 0.005
    """How long answers wait for company before they are written."""
    gather: float = 0.005
    """How long freed slots wait for company before more work is claimed."""
    together: int = 4
    """How many messages go out in one turn of the loop, so that a wave does not hold up what else is in hand."""
    batch: int = 200
    back_off: float = 1.0
    """After the store could not be reached."""
    grace: float = 25.0
    """How long what is begun may take to end when stopping."""
    farewell: float = 3.0
    """How much longer the last answers may take to be written. What is not is rescued as a doubt by others."""


@define(kw_only=True)
class Dispatch:
    """Sends what is due, on every lane."""

    deliveries: Deliveries
    switchboard: Switchboard
    caller: Caller
    telemetry: Telemetry
    worker: str
    pace: Pace = Pace()
    _waves: set[asyncio.Task[Any]] = field(factory=set, init=False)
    """What is being claimed and begun, one wave at most, and begun waves whose calls have not all started."""
    _calls: set[asyncio.Task[None]] = field(factory=set, init=False)
    _answers: list[Answer] = field(factory=list, init=False)
    _answered: asyncio.Event = field(factory=asyncio.Event, init=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)
    _leave_by: float = field(default=inf, init=False)
    """When the grace is over, by the loop's time; from the moment it is set, nothing more is begun."""
    _over: bool = field(default=False, init=False)
    """There will be no more answers."""

    def wake(self) -> None:
        """Something may be due: look now instead of at the next poll. A hint; polling is the truth."""
        self._wake.set()

    async def run(self) -> None:
        """Dispatch until cancelled; then let what is begun end within the grace and write its answers."""
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(self._write_all(), name="dispatch-writer")
            try:
                while not told_to_stop():
                    await self._round()
            finally:
                await self._leave(writer)

    async def once(self) -> int:
        """Send what is due now and wait for the answers to be written. Returns how many messages were begun."""
        begun = await self._begin_wave(await self.switchboard.wanted(fresh=0))
        await self._all_ended()
        while self._answers:
            await self._write(self.pace.batch)
        await self.switchboard.tell()
        return begun

    async def _round(self) -> None:
        self._wake.clear()
        if self.switchboard.crowded:
            # A slot rarely falls free alone: one wave for several costs the store no more than for one.
            await asyncio.sleep(self.pace.gather)
        try:
            begun = await self._begin_wave(await self.switchboard.wanted())
        except PortError as error:
            self.telemetry.log("warning", "dispatch.store_unavailable", error=type(error).__name__)
            await asyncio.sleep(self.pace.back_off)
            return
        if not begun:
            try:
                async with asyncio.timeout(self.pace.idle):
                    await self._wake.wait()
            except TimeoutError:
                return

    async def _begin_wave(self, wanted: Mapping[Channel, int]) -> int:
        """Claim no more than can go somewhere, commit the attempts, start the calls."""
        if not wanted:
            return 0
        wave = asyncio.create_task(self._take(wanted), name="dispatch-wave")
        self._under_way(wave)
        # Stopped half-way, it goes on: what is leased is given back and what is begun goes out. Dropped, the one would
        # wait for its lease to die, and the other be in doubt without ever having been called.
        return await asyncio.shield(wave)

    def _under_way(self, wave: asyncio.Task[Any]) -> None:
        self._waves.add(wave)
        wave.add_done_callback(self._wave_ended)

    async def _take(self, wanted: Mapping[Channel, int]) -> int:
        until = _time() + self.pace.lease.total_seconds()
        leases = await self.deliveries.claim(wanted, worker=self.worker, lease=self.pace.lease)
        if leases and self._leave_by < inf:
            await self.deliveries.release(leases)
            return 0
        if not leases:
            return 0
        begun = await self.deliveries.begin(leases, self.switchboard.gate())
        calls = self.switchboard.calls(begun)
        for batch in calls:
            self.switchboard.started(batch)
        self._under_way(asyncio.create_task(self._start_all(calls, until), name="dispatch-starts"))
        return len(begun)

    async def _start_all(self, calls: Sequence[Sequence[Begun]], until: float) -> None:
        """A few at a time, while the next wave is begun."""
        started = 0
        for batch in calls:
            if _time() >= self._leave_by:
                until = -inf  # there is no time left for any call: what was begun is said to be unsent
            self._start(batch, until)
            started += len(batch)
            if started >= self.pace.together:
                started = 0
                await asyncio.sleep(0)

    def _wave_ended(self, wave: asyncio.Task[Any]) -> None:
        self._waves.discard(wave)
        # Once it is time to leave nobody waits for the wave any more, and nobody else would say what came of it.
        if self._leave_by < inf and not wave.cancelled() and (error := wave.exception()):
            self.telemetry.log("warning", "dispatch.store_unavailable", error=type(error).__name__)

    def _start(self, batch: Sequence[Begun], until: float) -> None:
        call = self.caller.call(self.switchboard.lanes[batch[0].delivery.channel], batch, until=until)
        task = asyncio.create_task(self._call(batch, call), name=f"call-{batch[0].delivery.key.event_key}")
        self._calls.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._wake.set()

    async def _call(self, batch: Sequence[Begun], call: Awaitable[Sequence[Called]]) -> None:
        called = await call
        self.switchboard.ended(batch, called)
        self._answers += (one.answer for one in called)
        self._answered.set()

    async def _write_all(self) -> None:
        """Write answers as they come, until there will be no more."""
        while not self._over:
            await self._answered.wait()
            self._answered.clear()
            await self._write_out()

    async def _write_out(self) -> None:
        """Write what there is, however often it takes. An answer that the store cannot take keeps no other from being
        written: it is left, and its attempt is in doubt once the lease is over.
        """
        most = self.pace.batch
        while self._answers:
            if len(self._answers) < most:
                await asyncio.sleep(self.pace.linger)
            try:
                await self._write(most)
            except Refused:
                most = min(most, len(self._answers)) // 2
                if not most:
                    refused, most = self._answers.pop(0), self.pace.batch
                    delivery = refused.begun.delivery.key.event_key
                    self.telemetry.log("error", "dispatch.answer_refused", delivery=delivery)
            except PortError as error:
                self.telemetry.log("warning", "dispatch.store_unavailable", error=type(error).__name__)
                await asyncio.sleep(self.pace.back_off)

    async def _write(self, most: int) -> None:
        """Write a batch of answers. They are dropped only once they are stored."""
        batch = self._answers[:most]
        states = await self.deliveries.finish(batch)
        del self._answers[: len(batch)]
        types = {answer.begun.delivery.key: answer.begun.notification.type for answer in batch}
        answered = Counter((state.channel, state.status, types[state.key], state.reason) for state in states)
        for (channel, status, type_, reason), amount in answered.items():
            self.telemetry.count("deliveries.answered", amount, channel=channel, status=status, type=type_)
            if status is Status.FAILED:
                self.telemetry.count("deliveries.failed", amount, channel=channel, type=type_, reason=reason)

    async def _leave(self, writer: asyncio.Task[None]) -> None:
        """Let what is begun end, or cut it; then write the last answers, and say so if that cannot be done."""
        self._leave_by = _time() + self.pace.grace
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._leave_by):
                await self._all_ended()
        cut = [*self._calls]
        await asyncio.sleep(0)  # a call that is cancelled before its first step has no answer
        for task in cut:
            task.cancel()
        try:
            async with asyncio.timeout_at(self._leave_by + self.pace.farewell):
                await self._all_ended()
                self._over = True
                self._answered.set()
                await asyncio.wait({writer})
                with suppress(PortError):
                    await self.switchboard.tell()
        except TimeoutError:
            self.telemetry.log(
                "error", "dispatch.left_behind", waves=len(self._waves), answers=len(self._answers) + len(self._calls)
            )

    async def _all_ended(self) -> None:
        """Wait until nothing is being begun and nothing is on the wire."""
        while under_way := {*self._waves, *self._calls}:
            await asyncio.wait(under_way)


def _time() -> float:
    return asyncio.get_running_loop().time()
