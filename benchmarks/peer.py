"""Other people's queues on the same job, on the same database server and against the same provider."""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from tests.services.deployment import until

from benchmarks import bare_dispatch
from benchmarks.dispatch import bare_deliveries, bare_people, watch
from benchmarks.figures import Figures
from benchmarks.ground import OUT, surroundings
from benchmarks.message import write_message
from benchmarks.stock import Stock
from fn_notifications.entrypoints.embedded import free_port

PYTHON = OUT / "peers" / "bin" / "python"
"""Of the environment that `make bench-peers` makes."""
_OPEN = "SELECT (SELECT count(*) FROM delivery) - (SELECT count(*) FROM outcome)"


async def celery(stock: Stock, count: int) -> Figures:
    """Needs a Redis beside PostgreSQL."""
    if shutil.which("redis-server") is None:
        return Figures(why="no redis-server on PATH")
    async with _redis() as redis:
        return await peer(stock, count, name="celery", redis=redis)


async def peer(stock: Stock, count: int, *, name: str, redis: str = "") -> Figures:
    """So many deliveries, enqueued before anything is measured."""
    ground, message = stock.ground, stock.ground.directory / "message.json"
    await write_message(message)
    with ground.database() as url:
        bare_dispatch.prepare(url, bare_people(stock.users), bare_deliveries(count, stock.users))
        async with ground.provider() as provider:
            told = surroundings({"DATABASE": url, "PROVIDER": provider.url, "MESSAGE": str(message), "REDIS": redis})
            module = f"benchmarks.peers.{name}_peer"
            preparing = await asyncio.create_subprocess_exec(
                PYTHON, "-m", module, "prepare", env=told, stderr=asyncio.subprocess.PIPE
            )
            _, complaint = await preparing.communicate()
            assert preparing.returncode == 0, complaint.decode()
            async with ground.running(name, module, "work", environment=told, python=PYTHON) as worker:
                return await watch(ground, worker, provider, count, url, _OPEN)


@asynccontextmanager
async def _redis() -> AsyncIterator[str]:
    """Redis as a queue: nothing is written to the disk."""
    port = free_port()
    options = ("--port", str(port), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no", "--loglevel", "warning")
    server = await asyncio.create_subprocess_exec("redis-server", *options, stdout=asyncio.subprocess.DEVNULL)

    async def answers() -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            return False
        writer.close()
        return True

    try:
        await until(answers)
        yield f"redis://127.0.0.1:{port}/0"
    finally:
        server.terminate()
        await server.wait()
