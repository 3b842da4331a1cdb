"""`quarantine`: look at held events, release, thin or discard them."""

import argparse
import asyncio
import json
import sys
from collections.abc import Mapping

from attrs import asdict, evolve

from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.application.ports.quarantine import Wanted
from fn_notifications.application.quarantine import Custody
from fn_notifications.domain.reasons import SENTENCES, Reason
from fn_notifications.entrypoints.bootstrap import bootstrap
from fn_notifications.entrypoints.cli.context import database_of_running, telemetry_of
from fn_notifications.entrypoints.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Do it and say what became of what."""
    reason = Reason(arguments.reason) if arguments.reason else None
    wanted = Wanted(type=arguments.type, user_id=arguments.user, reason=reason)
    if arguments.action != "list" and (wanted == Wanted()) != arguments.all:
        print("fn-notifications: say which: --type, --user, --reason, or --all without them", file=sys.stderr)
        return 2
    asyncio.run(_run(database_of_running(), arguments, wanted))
    return 0


async def _run(settings: Settings, arguments: argparse.Namespace, wanted: Wanted) -> None:
    async with (
        telemetry_of(settings) as telemetry,
        bootstrap(evolve(settings, roles=frozenset()), telemetry) as service,
    ):
        match arguments.action:
            case "list":
                await _list(service.custody, arguments, wanted)
            case "release":
                print(f"released: {_counted(await service.custody.release(wanted))}")
            case "thin":
                discarded, outcomes = await service.custody.thin(wanted, arguments.keep)
                print(f"discarded: {discarded}\nreleased: {_counted(outcomes)}")
            case _:
                print(f"discarded: {await service.custody.discard(wanted)}")


async def _list(custody: Custody, arguments: argparse.Namespace, wanted: Wanted) -> None:
    tallies, held = await custody.tally(), await custody.held(wanted, arguments.limit)
    if arguments.json:
        document = {"totals": [asdict(one) for one in tallies], "held": [asdict(one) for one in held]}
        print(json.dumps(document, default=str, indent=2))
        return
    for tally in tallies:
        print(f"{tally.type}: held {tally.held}, released {tally.released}, discarded {tally.discarded}")
        print(f"  {tally.reason}: {SENTENCES[tally.reason]}")
    for one in held:
        place = f"{one.position.topic}[{one.position.partition}]@{one.position.offset}"
        print(f"{one.event_at:%Y-%m-%d %H:%M:%S}  {one.type:<18} {one.user_id:<24} {one.reason:<10} {place}")


def _counted(outcomes: Mapping[EventOutcome, int]) -> str:
    return ", ".join(f"{outcome} {amount}" for outcome, amount in outcomes.items()) or "nothing"
