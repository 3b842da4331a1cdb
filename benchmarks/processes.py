"""Processes that are measured from outside: what they cost, what they hold, and, when asked, where their time goes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from attrs import frozen

_TICKS = os.sysconf("SC_CLK_TCK")
_LONGEST = 60.0


def cpu_of(pid: int) -> float:
    """CPU seconds, user and system, of a process and its children, those that ended included."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return sum(map(int, fields[11:15])) / _TICKS + sum(cpu_of(int(child)) for child in children)


def memory_of(pid: int) -> tuple[float, float]:
    """Resident MB of a process: now, and at its highest."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    now, highest = (int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))
    return now, highest


@frozen
class Program:
    """One that runs."""

    process: asyncio.subprocess.Process
    log: Path

    def cpu(self) -> float:
        """CPU seconds so far."""
        return cpu_of(self.process.pid)

    def alive(self) -> bool:
        """Whether it still runs. Raises AssertionError with its last words otherwise."""
        assert self.process.returncode is None, self.log.read_text()[-3000:]
        return True

    async def stop(self) -> None:
        """Ask it to end, and wait."""
        with suppress(ProcessLookupError):
            self.process.terminate()
        await asyncio.wait_for(self.process.wait(), _LONGEST)


@asynccontextmanager
async def running(
    module: str,
    *arguments: str,
    log: Path,
    environment: Mapping[str, str],
    profile: Path | None = None,
    python: Path = Path(sys.executable),
) -> AsyncIterator[Program]:
    """Run a Python module until the end of the block. `profile`: where the report on its time goes."""
    watched = ("-m", "benchmarks.profiled", str(profile), module) if profile else ("-m", module)
    with log.open("wb") as output:
        process = await asyncio.create_subprocess_exec(
            python, *watched, *arguments, env=environment, stdout=output, stderr=output
        )
    program = Program(process, log)
    try:
        yield program
    finally:
        await program.stop()
