"""Several processes of one service on one machine. They share the work as machines do: with nothing to elect."""

import asyncio
import multiprocessing
import signal
from collections.abc import Callable, Sequence
from multiprocessing.context import SpawnProcess
from typing import Final

from attrs import define, field

from fn_notifications.application.ports.telemetry import Telemetry

_SETTLED: Final = 10.0
"""Seconds. What made a younger process give up will make the next one as well: then all stop."""
_PAUSE: Final = 1.0
"""Seconds before a process is replaced."""

Main = Callable[[Sequence[str]], int]
"""A command line's entry point."""


@define(kw_only=True)
class Processes:
    """Runs one process for each of `commands`, and another in place of one that dies."""

    main: Main
    commands: Sequence[Sequence[str]]
    telemetry: Telemetry
    _running: list[SpawnProcess] = field(factory=list, init=False)

    async def run(self) -> int:
        """Run until cancelled; then stop all of them, and end when the last has ended in its own time.

        Returns the exit code of one that gave up as soon as it had started, after stopping the others.
        """
        keepers = [asyncio.create_task(self._keep(command)) for command in self.commands]
        try:
            done, _ = await asyncio.wait(keepers, return_when=asyncio.FIRST_COMPLETED)
            return done.pop().result()
        finally:
            for keeper in keepers:
                keeper.cancel()
            await asyncio.gather(*keepers, return_exceptions=True)
            await self._stop()

    async def _keep(self, command: Sequence[str]) -> int:
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            process = multiprocessing.get_context("spawn").Process(target=_run, args=(self.main, command))
            process.start()
            self.telemetry.log("info", "process.started", pid=process.pid)
            self._running.append(process)
            await _end_of(process)
            self._running.remove(process)
            code = process.exitcode or 0
            self.telemetry.log("error", "process.died", pid=process.pid, code=code)
            if code > 0 and loop.time() - started < _SETTLED:
                return code
            await asyncio.sleep(_PAUSE)

    async def _stop(self) -> None:
        for process in self._running:
            process.terminate()
        for process in self._running:
            await _end_of(process)


def _run(main: Main, command: Sequence[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it passes on what a terminal sends to both
    raise SystemExit(main(command))


async def _end_of(process: SpawnProcess) -> None:
    """Wait until it has ended."""
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(process.sentinel, ended.set)
    try:
        await ended.wait()
    finally:
        loop.remove_reader(process.sentinel)
    process.join()
