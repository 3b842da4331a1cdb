"""The service's loops, each kept alive by itself: what cannot be reached is tried again, what breaks is loud."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Final

from attrs import define, field, frozen

from fn_notifications.application.errors import PortError
from fn_notifications.application.intake import Intake
from fn_notifications.application.ports.events import EventSource, Record
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.application.stopping import told_to_stop

_LONGEST_BACK_OFF: Final = 30.0
_TAKE_WAIT: Final = 0.5


@frozen(kw_only=True)
class Loop:
    """Something done again and again. `step` returns how much it did; after nothing it rests `idle` seconds."""

    name: str
    step: Callable[[], Awaitable[int]]
    idle: float
    share: float = 1.0
    """Of the time, however much there is to do: the rest is for the other loops of the process."""

    def rest(self, done: int, took: float) -> float:
        """Seconds until the next step, after one that did so much and took so long."""
        return took * (1 / self.share - 1) if done else self.idle


@define(kw_only=True)
class Supervisor:
    """Runs loops until cancelled. An error of a port backs the one loop off; any other error ends the service."""

    telemetry: Telemetry
    back_off: float = 0.5
    _failures: dict[str, int] = field(factory=dict, init=False)

    async def run(self, *loops: Loop) -> None:
        """Run all of them."""
        async with asyncio.TaskGroup() as group:
            for loop in loops:
                group.create_task(self._keep(loop), name=loop.name)

    async def _keep(self, loop: Loop) -> None:
        pause = 0.0
        while not told_to_stop():
            await asyncio.sleep(pause)
            started = time.monotonic()
            try:
                done = await loop.step()
            except PortError as error:
                pause = self._pause(loop.name, error)
            else:
                self._failures.pop(loop.name, None)
                pause = loop.rest(done, time.monotonic() - started)

    def _pause(self, name: str, error: PortError) -> float:
        failures = self._failures.get(name, 0)
        self._failures[name] = failures + 1
        if failures == 0:
            self.telemetry.log("warning", "loop.failed", loop=name, error=type(error).__name__, why=str(error))
        self.telemetry.count("loop.failures", loop=name)
        return float(min(self.back_off * 2 ** min(failures, 16), _LONGEST_BACK_OFF))


@define
class IntakeStep:
    """Takes a batch, stores it, reports it done. A batch that could not be stored is kept and tried again: going on
    to the next would lose it.
    """

    source: EventSource
    intake: Intake
    stored: Callable[[], None]
    """Called after each stored batch, so that a dispatcher of this process need not wait for its next poll."""
    batch: int = 500
    _pending: list[Record] = field(factory=list, init=False)

    async def __call__(self) -> int:
        """One batch. Returns how many records it had."""
        records = self._pending or list(await self.source.take(self.batch, _TAKE_WAIT))
        self._pending = records
        await self.intake.handle(records)
        await self.source.done(records)
        self._pending = []
        if records:
            self.stored()
        return len(records)
