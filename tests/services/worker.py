"""One process of the installed service that may be killed, frozen and cut off, and that comes back like under an
orchestrator.
"""

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

from attrs import define, field, frozen
from tests.services.deployment import CLI, until
from tests.services.proxy import Proxy, database_through, proxy, steady_port, to_database, to_port

STARTING = 15.0
"""Seconds in which a process that cannot reach its database gives up."""


@frozen
class Death:
    """An end nobody here asked for."""

    code: int
    uptime: float
    """Seconds."""


@define(kw_only=True)
class Worker:
    """Runs while it is wanted. It reaches PostgreSQL and the providers through proxies of its own."""

    name: str
    environment: Mapping[str, str]
    directory: Path
    port: int
    database: Proxy
    provider: Proxy
    deaths: list[Death] = field(factory=list)
    pids: list[int] = field(factory=list)
    _process: asyncio.subprocess.Process | None = None
    _wanted: asyncio.Event = field(factory=asyncio.Event)

    @property
    def log(self) -> Path:
        return self.directory / f"{self.name}.log"

    @property
    def pid(self) -> int:
        """Of the process that runs, or ran last."""
        return self.pids[-1]

    @property
    def serious(self) -> list[Death]:
        """Deaths that should not be: a start may fail while what it needs is away, a running process may not."""
        return [death for death in self.deaths if death.uptime > STARTING]

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.returncode is None

    async def keep(self) -> None:
        """Start it whenever it is wanted and not there. Runs until cancelled, and leaves nothing behind."""
        while True:
            await self._wanted.wait()
            began = time.monotonic()
            code = await self._run()
            if self._wanted.is_set():
                self.deaths.append(Death(code, time.monotonic() - began))
                await asyncio.sleep(0.2)

    async def _run(self) -> int:
        with self.log.open("ab") as log:
            self._process = process = await asyncio.create_subprocess_exec(
                *CLI, "serve", env=self.environment, cwd=self.directory, stdout=log, stderr=log
            )
        self.pids.append(process.pid)
        # Ends the process when this one is killed: the pipe the guard reads from closes with us.
        guard = subprocess.Popen(  # noqa: ASYNC220 - it only waits; its end is ours
            ["sh", "-c", f"read -r _; kill -9 {process.pid}"], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL
        )
        try:
            return await process.wait()
        finally:
            guard.kill()
            guard.communicate()
            if process.returncode is None:
                process.kill()
                await process.wait()

    async def start(self, within: float = 60.0) -> None:
        """Want it, and wait until it answers. Fails with its last words when it does not."""
        self._wanted.set()
        try:
            await until(self.answers, within=within)
        except TimeoutError:
            raise AssertionError(self.log.read_text()[-2000:]) from None

    def want(self) -> None:
        """Want it, without waiting."""
        self._wanted.set()

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal. Returns whether there was anybody to get it."""
        if not self.running:
            return False
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)
            return True
        return False

    async def kill(self) -> bool:
        """End it as kill -9 does, and leave it down. Returns whether there was anything to end."""
        self._wanted.clear()
        killed = self.signal(signal.SIGKILL)
        await self.gone()
        return killed

    async def stop(self, within: float = 60.0) -> int | None:
        """Ask it to stop, wait for its end, leave it down. Returns its exit code."""
        self.leave()
        return await self.left(within)

    def leave(self) -> None:
        """Ask it to stop, for good. Asked twice, it would stop at once."""
        self._wanted.clear()
        self.signal(signal.SIGTERM)

    async def left(self, within: float = 60.0) -> int | None:
        """Wait for its end. Returns its exit code."""
        await self.gone(within)
        return self._process.returncode if self._process else None

    async def gone(self, within: float = 60.0) -> None:
        """Wait for its end."""
        if self._process is not None:
            await asyncio.wait_for(self._process.wait(), within)

    async def answers(self) -> bool:
        """Whether somebody listens at its port."""
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True


@asynccontextmanager
async def worker(
    name: str, environment: Mapping[str, str], directory: Path, *, database: str, provider: int
) -> AsyncIterator[Worker]:
    """A worker, not yet wanted. `environment` is what all share; `provider` the simulator's port."""
    async with AsyncExitStack() as stack:
        to_postgres = await stack.enter_async_context(proxy(to_database(database)))
        to_provider = await stack.enter_async_context(proxy(to_port(lambda: provider)))
        port = steady_port()
        provider_url = f"http://127.0.0.1:{to_provider.port}"
        made = Worker(
            name=name,
            environment={
                **environment,
                "PORT": str(port),
                "DATABASE_URL": database_through(database, to_postgres.port),
                "SENDGRID_BASE_URL": provider_url,
                "TWILIO_BASE_URL": provider_url,
            },
            directory=directory,
            port=port,
            database=to_postgres,
            provider=to_provider,
        )
        keeping = asyncio.create_task(made.keep())
        try:
            yield made
        finally:
            keeping.cancel()
            await asyncio.gather(keeping, return_exceptions=True)
