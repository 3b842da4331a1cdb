"""`dev` as a newcomer runs it: how soon the first message is there, how much memory 10,000 deliveries leave behind."""

import asyncio
import json
import os
import re
import sys
import tempfile
import time
from pathlib import Path

from tests.services.deployment import CLI

from benchmarks.parts import events, memory_of
from fn_notifications.entrypoints.embedded import free_port

DELIVERIES = 10_000


async def measure() -> dict[str, float]:
    """Seconds to the first delivery, and resident MB of the service process, broker included."""
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
            fresh, _ = memory_of(process.pid)
            draining = asyncio.create_task(_drain(process.stdout))
            people = "\n".join(
                json.dumps({"user_id": f"user-{number}", "email": f"user-{number}@example.com"})
                for number in range(500)
            )
            await _run(folder, environment, "preferences", people)
            await _run(folder, environment, "publish", "\n".join(map(json.dumps, events(DELIVERIES))))
            await _settled(folder, environment)
            after, highest = memory_of(process.pid)
            draining.cancel()
        finally:
            process.terminate()
            await process.wait()
    return {
        "seconds_to_first_delivery": first,
        "resident_mb_fresh": fresh,
        "resident_mb_after_10k": after,
        "resident_mb_highest": highest,
    }


async def _drain(stream: asyncio.StreamReader) -> None:
    while await stream.readline():
        pass


async def _run(folder: str, environment: dict[str, str], command: str, lines: str) -> None:
    file = Path(folder) / f"{command}.jsonl"
    file.write_text(lines, encoding="utf-8")
    process = await asyncio.create_subprocess_exec(*CLI, command, str(file), cwd=folder, env=environment)
    assert await process.wait() == 0


async def _settled(folder: str, environment: dict[str, str]) -> None:
    async with asyncio.timeout(300):
        while True:
            process = await asyncio.create_subprocess_exec(
                *CLI, "ledger", "--json", cwd=folder, env=environment, stdout=asyncio.subprocess.PIPE
            )
            out, _ = await process.communicate()
            told = json.loads(out)
            if told["settled"] and told["events"]["in"] > DELIVERIES:
                return
            await asyncio.sleep(1)
