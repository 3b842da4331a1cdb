"""Deliveries out: lease, look again, commit the attempt, call, write down the answer.

The order is the promise. An attempt is committed before its call, so a crash leaves a trace; the gates run under lock
in that same transaction, so an opt-out is never overtaken; no transaction is open during a call; and the answers of
many calls are written together. One dispatcher serves every lane of a process; which way calls go, and how many there
is room for, the switchboard says.
"""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from datetime import timedelta

from attrs import define, field, frozen

from fn_notifications.application.call import Caller
from fn_notifications.application.errors import PortError
from fn_notifications.application.ports.deliveries import Answer, Begun, Deliveries
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.application.switchboard import Switchboard
from fn_notifications.domain.address import Channel
from fn_notifications.domain.delivery import DeliveryKey
from fn_notifications.domain.lifecycle import Status


@frozen(kw_only=True)
class Pace:
    """How the dispatcher spends its time; seconds where no unit is given."""

    lease: timedelta = timedelta(seconds=120)
    """Longer than any call's deadline, or a slow call would be taken for a dead worker."""
    idle: float = 0.1
    linger: float = 0.003
    """How long answers wait for company before they are written."""
    gather: float = 0.01
    """How long freed slots wait for company before more work is claimed."""
    batch: int = 200
    back_off: float = 1.0
    """After the store could not be reached."""
    grace: float = 25.0
    """How long calls on the wire may take to end when stopping."""
    farewell: float = 4.0
    """How long the last answers may then take to be written. What is not written is rescued as a doubt by others."""


@define(kw_only=True)
class Dispatch:
    """Sends what is due, on every lane."""

    deliveries: Deliveries
    switchboard: Switchboard
    caller: Caller
    telemetry: Telemetry
    worker: str
    pace: Pace = Pace()
    _calls: set[asyncio.Task[None]] = field(factory=set, init=False)
    _answers: list[Answer] = field(factory=list, init=False)
    _types: dict[DeliveryKey, str] = field(factory=dict, init=False)
    """Notification types of deliveries on the wire, for the counters."""
    _answered: asyncio.Event = field(factory=asyncio.Event, init=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)
    _stopping: bool = field(default=False, init=False)
    """Nothing more is begun."""

    def wake(self) -> None:
        """Something may be due: look now instead of at the next poll. A hint; polling is the truth."""
        self._wake.set()

    async def run(self) -> None:
        """Dispatch until cancelled; then let calls on the wire end within the grace and write their answers."""
        async with self._writing():
            try:
                while True:
                    await self._round()
            finally:
                await self._drain()

    async def once(self) -> int:
        """Send what is due now and wait for the answers to be written. Returns how many calls were made."""
        calls = await self._begin_wave(await self.switchboard.wanted(fresh=0))
        if self._calls:
            await asyncio.wait(self._calls)
        while self._answers:
            await self._write()
        await self.switchboard.tell()
        return calls

    async def _round(self) -> None:
        self._wake.clear()
        if self._calls:
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
        wave = asyncio.ensure_future(self._take(wanted))
        try:
            return await asyncio.shield(wave)
        except asyncio.CancelledError:
            # Stopped half-way: what is leased is given back and what is begun goes out. Dropped, the one would wait
            # for its lease to die, and the other be in doubt without ever having been called.
            self._stopping = True
            await asyncio.gather(wave, return_exceptions=True)
            raise

    async def _take(self, wanted: Mapping[Channel, int]) -> int:
        until = asyncio.get_running_loop().time() + self.pace.lease.total_seconds()
        leases = await self.deliveries.claim(wanted, worker=self.worker, lease=self.pace.lease)
        if leases and self._stopping:
            await self.deliveries.release(leases)
            return 0
        if not leases:
            return 0
        begun = await self.deliveries.begin(leases, self.switchboard.gate())
        for one in begun:
            self._start(one, until)
        return len(begun)

    def _start(self, begun: Begun, until: float) -> None:
        self.switchboard.started(begun)
        task = asyncio.create_task(self._call(begun, until), name=f"call-{begun.delivery.key.event_key}")
        self._calls.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.discard(task)
        self._wake.set()

    async def _call(self, begun: Begun, until: float) -> None:
        self._types[begun.delivery.key] = begun.notification.type
        called = await self.caller.call(self.switchboard.lanes[begun.delivery.channel], begun, until=until)
        self.switchboard.ended(begun, called)
        self._answers.append(called.answer)
        self._answered.set()

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """A task that writes answers as they come; on leaving, the last of them are written too."""
        writer = asyncio.create_task(self._write_all(), name="dispatch-writer")
        try:
            yield
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            with suppress(TimeoutError):
                async with asyncio.timeout(self.pace.farewell):
                    await self._write_out()

    async def _write_all(self) -> None:
        while True:
            await self._answered.wait()
            if len(self._answers) < self.pace.batch:
                await asyncio.sleep(self.pace.linger)
            self._answered.clear()
            await self._write_out()

    async def _write_out(self) -> None:
        """Write what there is, however often it takes."""
        while self._answers:
            try:
                await self._write()
            except PortError as error:
                self.telemetry.log("warning", "dispatch.store_unavailable", error=type(error).__name__)
                await asyncio.sleep(self.pace.back_off)

    async def _write(self) -> None:
        """Write a batch of answers. They are dropped only once they are stored."""
        batch = self._answers[: self.pace.batch]
        states = await self.deliveries.finish(batch)
        del self._answers[: len(batch)]
        for state in states:
            type_ = self._types.pop(state.key, None)
            self.telemetry.count("deliveries.answered", channel=state.channel, status=state.status, type=type_)
            if state.status is Status.FAILED:
                self.telemetry.count("deliveries.failed", channel=state.channel, type=type_, reason=state.reason)

    async def _drain(self) -> None:
        if self._calls:
            await asyncio.wait(self._calls, timeout=self.pace.grace)
        for task in list(self._calls):
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
        with suppress(PortError):
            await self.switchboard.tell()
