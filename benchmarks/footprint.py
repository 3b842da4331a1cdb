"""What a process holds: `dev` as a newcomer runs it, and the dispatcher over many deliveries."""

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from tests.services.deployment import CLI

from benchmarks import traffic
from benchmarks.figures import Figures, Meter
from benchmarks.processes import memory_of
from benchmarks.product import environment, serving
from benchmarks.stock import Stock
from fn_notifications.entrypoints.embedded import free_port

_PEOPLE = 500
_WARM = 10
_SILENT = asyncio.subprocess.DEVNULL


async def memory(stock: Stock, count: int) -> Figures:
    """Resident MB that 100,000 deliveries leave behind in a dispatcher, from a tenth of them on."""
    ground = stock.ground
    async with stock.stored(count) as url, ground.provider() as provider:
        told = environment(ground.directory, database=url, provider=provider.url)
        async with serving(ground, "memory", told) as service:
            meter = Meter(units=lambda: provider.arrivals.messages, cpu={}, alive=service.alive)
            await meter.reach(count // _WARM)
            warm, _ = memory_of(service.process.pid)
            await meter.reach(count, within=3600)
            after, highest = memory_of(service.process.pid)
    slope = (after - warm) / (count - count // _WARM) * 100_000
    return Figures(more={"resident_mb": after, "resident_mb_highest": highest, "mb_per_100k_deliveries": slope})


async def dev(_: Stock, count: int) -> Figures:
    """Seconds to the first delivery, and resident MB of the service process, embedded broker included."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"PATH": os.environ["PATH"], "HOME": folder}
        started = time.perf_counter()
        process = await asyncio.create_subprocess_exec(
            *CLI, "dev", "--port", str(free_port()),
            cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=sys.stderr,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            async with asyncio.timeout(60):
                while not re.search(rb": (sent|delivered)", await process.stdout.readline()):
                    pass
            first = time.perf_counter() - started
            fresh, _highest = memory_of(process.pid)
            draining = asyncio.create_task(_drain(process.stdout))
            people = (json.dumps({"user_id": user_id, **document}) for user_id, document in traffic.people(_PEOPLE))
            await _run(folder, environment, "preferences", "\n".join(people))
            events = (event.decode() for event in traffic.created(0, count, _PEOPLE))
            await _run(folder, environment, "publish", "\n".join(events))
            await _settled(folder, environment, count)
            after, highest = memory_of(process.pid)
            draining.cancel()
        finally:
            process.terminate()
            await process.wait()
    return Figures(
        more={
            "seconds_to_first_delivery": first,
            "resident_mb_fresh": fresh,
            "resident_mb_after": after,
            "resident_mb_highest": highest,
        }
    )


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


async def _run(folder: str, environment: dict[str, str], command: str, lines: str) -> None:
    file = Path(folder) / f"{command}.jsonl"
    file.write_text(lines, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(
        *CLI, command, str(file), cwd=folder, env=environment, stdout=_SILENT, stderr=_SILENT
    )
    assert await process.wait() == 0


async def _settled(folder: str, environment: dict[str, str], count: int) -> None:
    async with asyncio.timeout(300):
        while True:
            process = await asyncio.create_subprocess_exec(
                *CLI, "ledger", "--json", cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE, stderr=_SILENT
            )
            out, _ = await process.communicate()
            told = json.loads(out)
            if told["settled"] and told["events"]["in"] > count:
                return
            await asyncio.sleep(1)
