"""From events in Kafka to stored outcomes: intake alone, and the whole way with provider calls and reports."""

import asyncio
import time

from benchmarks.parts import Parts, events, parts

INTAKE = 5_000
PIPELINE = 3_000
_LOOK = 0.25


async def _reach(one: Parts, statement: str, goal: int, within: float) -> None:
    async with asyncio.timeout(within):
        while await one.count(statement) < goal:  # noqa: ASYNC110 - another process writes it
            await asyncio.sleep(_LOOK)


async def _measure(one: Parts, count: int, done: str) -> dict[str, float]:
    before = await one.count("SELECT pg_database_size(current_database())")
    one.deployment.publish(events(count))
    await one.deployment.start()
    await _reach(one, done, 1, 60)
    started, cpu = time.perf_counter(), one.cpu()
    first = await one.count(done)
    await _reach(one, done, count, 300)
    seconds, used = time.perf_counter() - started, one.cpu() - cpu
    after = await one.count("SELECT pg_database_size(current_database())")
    return {
        "events_per_s": (count - first) / seconds,
        "cpu_ms_per_notification": used / (count - first) * 1000,
        "bytes_per_notification": (after - before) / count,
    }


async def measure_intake() -> dict[str, float]:
    """Events in Kafka to planned notifications in PostgreSQL; the intake role alone."""
    async with parts(ROLE="intake,http") as one:
        return await _measure(one, INTAKE, "SELECT count(*) FROM notifications")


async def measure_pipeline() -> dict[str, float]:
    """Events in Kafka to deliveries that a provider took, reports and published results included."""
    async with parts() as one:
        return await _measure(one, PIPELINE, "SELECT count(*) FROM deliveries WHERE status IN ('sent', 'delivered')")
