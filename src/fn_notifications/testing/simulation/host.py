"""A machine that keeps one process of the service running, and what befalls that process."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Final

from attrs import define, field

from fn_notifications.testing.simulation.broker import SESSION
from fn_notifications.testing.simulation.clocks import Clock
from fn_notifications.testing.simulation.faults import Fault
from fn_notifications.testing.simulation.life import Life
from fn_notifications.testing.simulation.process import Process
from fn_notifications.testing.simulation.surroundings import Surroundings

_LONGEST_STOP: Final = 60.0
"""Seconds until the machine kills what was asked to stop."""


@define(eq=False, repr=False)
class Host:
    """Starts a process, and after each end the next."""

    name: str
    around: Surroundings
    make: Callable[[Life, Clock], Process]
    clock: Clock = field(factory=Clock)
    life: Life | None = None
    process: Process | None = None
    _count: int = 0
    _running: "asyncio.Task[None] | None" = None
    _kept: list["asyncio.Task[None]"] = field(factory=list)
    """Those of dead processes too: nobody else holds them, and what is garbage is collected, and its code runs."""

    @property
    def up(self) -> bool:
        """Whether its process is there, and does what it should."""
        return self.life is not None and not self.life.doubtful

    def start(self) -> None:
        """Start a process."""
        self._count += 1
        life = Life(f"{self.name}.{self._count}", self._struck)
        self.life, self.process = life, self.make(life, self.clock)
        self.around.note(life.name, "start")
        self._running = asyncio.get_running_loop().create_task(self._run(life, self.process))
        self._kept.append(self._running)

    def stop(self) -> None:
        """SIGTERM."""
        if self.life and self.up:
            self._struck(self.life, Fault.TERMINATE)

    def wake(self) -> None:
        """Thaw it if it is frozen."""
        if self.life and self.life.frozen:
            self.around.note(self.life.name, "thaw")
            self.life.thaw()

    async def _run(self, life: Life, process: Process) -> None:
        try:
            await process.run()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever ends a process but a signal is a bug
            self.around.watch.wrong(f"process {life.name} died: {_first(error)!r}")
            self._end(life)

    def _struck(self, life: Life, fault: Fault) -> None:
        self.around.note(life.name, fault)
        self.around.watch.cut_off(life.name, fault)
        match fault:
            case Fault.KILL:
                self._end(life)
            case Fault.FREEZE:
                life.freeze()
                self._spawn(self._frozen(life))
            case _:
                life.stopping = True
                self._spawn(self._terminate(life))

    def _end(self, life: Life) -> None:
        """It is no more; its group notices by its silence, and the machine starts the next."""
        life.alive = False
        life.thaw()
        process = self.process
        assert process
        self._spawn(self._leave(process))
        self._spawn(self._again(1.0 + 60.0 * self.around.dice.chance()))

    async def _leave(self, process: Process) -> None:
        await asyncio.sleep(SESSION)
        await process.member.leave()

    async def _again(self, after: float) -> None:
        await asyncio.sleep(after)
        self.start()

    async def _frozen(self, life: Life) -> None:
        """Often longer than a lease, sometimes longer than a session."""
        process = self.process
        assert process
        span = self.around.dice.random.choice((3.0, 50.0, 150.0, 600.0, 2400.0)) * (0.5 + self.around.dice.chance())
        await asyncio.sleep(min(span, SESSION))
        if span > SESSION:
            if life.frozen:
                await process.member.leave()
            await asyncio.sleep(span - SESSION)
        if life.frozen:
            self.around.note(life.name, "thaw")
            life.thaw()

    async def _terminate(self, life: Life) -> None:
        running = self._running
        assert running
        running.cancel()
        await asyncio.wait([running], timeout=_LONGEST_STOP)
        self.around.note(life.name, "stopped" if running.done() else "killed")
        if life.alive:
            self._end(life)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self._kept.append(asyncio.get_running_loop().create_task(work))


def _first(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
