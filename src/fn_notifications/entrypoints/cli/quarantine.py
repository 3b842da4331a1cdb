"""`quarantine`: look at held events, release, thin or discard them."""

import argparse
import asyncio
import json
from collections.abc import Mapping

from attrs import asdict, evolve

from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.application.ports.quarantine import Wanted
from fn_notifications.application.quarantine import Custody
from fn_notifications.domain.reasons import SENTENCES, Reason
from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.bootstrap import bootstrap
from fn_notifications.entrypoints.cli.complaint import complain
from fn_notifications.entrypoints.cli.context import database_of_running, telemetry_of
from fn_notifications.entrypoints.cli.operators import shown, unknown
from fn_notifications.entrypoints.settings import Settings
from fn_notifications.entrypoints.settings.scope import PLANS


def run(arguments: argparse.Namespace) -> int:
    """Do it and say what became of what."""
    reason = Reason(arguments.reason) if arguments.reason else None
    wanted = Wanted(type=arguments.type, user_id=arguments.user, reason=reason)
    if arguments.action != "list" and (wanted == Wanted()) != arguments.all:
        return complain("say which: --type, --user, --reason, or --all without them")
    return asyncio.run(_run(database_of_running(PLANS), arguments, wanted))


async def _run(settings: Settings, arguments: argparse.Namespace, wanted: Wanted) -> int:
    async with (
        telemetry_of(settings) as telemetry,
        bootstrap(evolve(settings, roles=frozenset()), telemetry) as service,
    ):
        if wrong := await _unknown(wanted, service.custody, settings):
            return complain(wrong)
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
    return 0


async def _unknown(wanted: Wanted, custody: Custody, settings: Settings) -> str | None:
    """What is wrong with a type: neither in the catalogue nor, from an older one, in quarantine."""
    if wanted.type is None or await custody.tally(Wanted(type=wanted.type)):
        return None
    return unknown(HoldKind.TYPE, wanted.type, settings)


async def _list(custody: Custody, arguments: argparse.Namespace, wanted: Wanted) -> None:
    tallies = await custody.tally(wanted)
    held = shown(await custody.held(wanted, arguments.limit + 1), arguments.limit)
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
    if not held:
        print("nothing is held")


def _counted(outcomes: Mapping[EventOutcome, int]) -> str:
    return ", ".join(f"{outcome} {amount}" for outcome, amount in outcomes.items()) or "nothing"
