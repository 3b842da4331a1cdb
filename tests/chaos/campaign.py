"""One campaign: break everything in turn while work flows, heal, drain, judge."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psycopg
from attrs import frozen
from tests.chaos.accounts import judge_events, judge_ledger, judge_published, judge_workers
from tests.chaos.judge import (
    ATTEMPTS,
    CONSENT,
    DOUBTS,
    RESENDS,
    Verdict,
    attempt_of,
    judge_calls,
    judge_consent,
    judge_doubts,
    judge_duplicates,
)
from tests.chaos.mischief import Mischief
from tests.chaos.plan import Kind, plan
from tests.chaos.town import Town
from tests.chaos.traffic import Traffic
from tests.chaos.weather import Weather
from tests.chaos.witness import WITNESS
from tests.services.deployment import until
from tests.services.postgres import PostgresServer
from tests.services.stage import IMPATIENT, LEASE, Broker, Stage, stage

from fn_notifications.domain.identity import attempt_id
from fn_notifications.simulator.server import Simulator


@frozen(kw_only=True)
class Result:
    """A campaign's last line, and what was wrong."""

    line: Mapping[str, Any]
    problems: tuple[str, ...]


async def campaign(
    postgres: PostgresServer,
    kafka: Broker,
    directory: Path,
    *,
    seed: int,
    seconds: float,
    rate: float = 15.0,
    people: int = 2_000,
    workers: int = 2,
    drain: float = 180.0,
) -> Result:
    """Break things for so many seconds at `rate` events a second; `drain` bounds the time to settle afterwards.

    The processes' logs are left in `directory`.
    """
    began = time.monotonic()
    weather = Weather(seed=seed)
    simulator = Simulator(choice=weather, keep=200_000, pause=0.3, repeats=(0.5, 1, 2, 4, 8, 8, 8))
    async with (
        simulator,
        stage(postgres, kafka, directory, simulator, workers=workers, **IMPATIENT) as scene,
    ):
        town = Town(seed, people)
        await _settle_in(scene, town)
        await scene.start()
        mischief, traffic = Mischief(scene), Traffic(scene, town, seed)
        over = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            for flow in (traffic.publish(rate, over), traffic.change_minds(over), traffic.change_preferences(over)):
                group.create_task(flow)
            await mischief.carry_out(plan(seed, seconds, workers=workers, lease=LEASE))
            over.set()
            scene.heal()
            amid = len(simulator.calls())
        weather.calm = True
        verdict = Verdict()
        await _drain(scene, traffic, verdict, drain)
        deliveries = await _judge(verdict, scene, town, mischief)
        for one in scene.workers:
            if code := await one.stop():
                verdict.problems.append(f"{one.name} ended with {code} when it was asked to stop")
        judge_workers(verdict, scene.workers)
        line = {"calls_amid_faults": amid, **_line(verdict, mischief, weather, traffic)}
    return Result(
        line={"seed": seed, "seconds": round(time.monotonic() - began), **line, "deliveries": sum(deliveries.values())},
        problems=tuple(verdict.problems),
    )


async def _settle_in(scene: Stage, town: Town) -> None:
    """The people move in, and the witness takes its place."""
    file = scene.deployment.directory / "people.jsonl"
    file.write_text("\n".join(json.dumps(person.preferences()) for person in town.people()))
    async with await psycopg.AsyncConnection.connect(scene.deployment.database, autocommit=True) as connection:
        await connection.execute(WITNESS)
    await scene.deployment.command("preferences", str(file))


async def _drain(scene: Stage, traffic: Traffic, verdict: Verdict, within: float) -> None:
    """Wait until nothing is left to do."""
    try:
        await until(lambda: scene.deployment.settled(traffic.acknowledged), within=within)
    except TimeoutError:
        told = await scene.deployment.command("ledger", "--json", codes=(0, 1))
        verdict.problems.append(f"not settled {within:.0f} s after the last fault: {json.loads(told)}")


async def _judge(verdict: Verdict, scene: Stage, town: Town, mischief: Mischief) -> Mapping[str, int]:
    deployment, calls = scene.deployment, scene.simulator.calls()
    attempts = {one.id: one for one in map(attempt_of, await deployment.query(ATTEMPTS))}
    doubted = [attempt_id(*row) for row in await deployment.query(DOUBTS)]
    resends = {f"{id_.hex}-{no}": times for id_, no, times in await deployment.query(RESENDS)}
    judge_calls(verdict, attempts, calls)
    judge_duplicates(verdict, calls, resends)
    judge_doubts(verdict, attempts, calls, doubted, mischief.disturbances)
    judge_consent(verdict, attempts.values(), await deployment.query(CONSENT))
    await judge_events(verdict, deployment, town.told)
    await judge_published(verdict, deployment)
    return await judge_ledger(verdict, deployment)


def _line(verdict: Verdict, mischief: Mischief, weather: Weather, traffic: Traffic) -> Mapping[str, Any]:
    faults: Counter[str] = Counter(mischief.faults) + weather.met
    return {
        "events": traffic.acknowledged,
        "kills": mischief.faults[Kind.KILL],
        "faults": dict(sorted(faults.items())),
        "changes_of_mind": dict(traffic.minds),
        "lost": verdict.lost,
        "unexpected": verdict.unexpected,
        "sent_after_opt_out": verdict.sent_after_opt_out,
        "duplicates": verdict.duplicates,
        "in_doubt_opened": verdict.in_doubt_opened,
        "ambiguous_calls": verdict.ambiguous_calls,
        "in_doubt_resends": verdict.in_doubt_resends,
        "ok": not verdict.problems,
    }
