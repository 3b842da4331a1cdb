"""`dead-letters`: look at events that could not be used, and take one in again."""

import argparse
import asyncio
import json

from attrs import asdict, evolve

from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.entrypoints.bootstrap import Service, bootstrap
from fn_notifications.entrypoints.cli.complaint import complain
from fn_notifications.entrypoints.cli.context import database_of_running, telemetry_of
from fn_notifications.entrypoints.cli.operators import shown
from fn_notifications.entrypoints.settings import Settings
from fn_notifications.entrypoints.settings.scope import PLANS


def run(arguments: argparse.Namespace) -> int:
    """List them, or replay one: exit code 1 when it is still dead, or not there."""
    return asyncio.run(_run(database_of_running(PLANS), arguments))


async def _run(settings: Settings, arguments: argparse.Namespace) -> int:
    async with (
        telemetry_of(settings) as telemetry,
        bootstrap(evolve(settings, roles=frozenset()), telemetry) as service,
    ):
        if arguments.action == "list":
            return await _list(service, arguments)
        return await _replay(service, arguments.id)


async def _list(service: Service, arguments: argparse.Namespace) -> int:
    found = await service.notifications.history.dead_letters(service.settings.tenant, arguments.limit + 1)
    letters = shown(found, arguments.limit)
    if arguments.json:
        print(json.dumps([asdict(letter) for letter in letters], default=str, indent=2))
        return 0
    for one in letters:
        place = f"{one.position.topic}[{one.position.partition}]@{one.position.offset}"
        replayed = f"  replayed {one.replayed_at:%Y-%m-%d %H:%M:%S}" if one.replayed_at else ""
        print(f"{one.id:>8}  {one.at:%Y-%m-%d %H:%M:%S}  {one.reason:<16} {place}  {one.detail}{replayed}".rstrip())
    if not letters:
        print("there are none")
    return 0


async def _replay(service: Service, letter: int) -> int:
    outcomes = await service.custody.replay(letter)
    if outcomes is None:
        return complain(f"no dead letter {letter}", 1)
    (outcome,) = outcomes
    if outcome is EventOutcome.DEAD_LETTERED:
        return complain(f"{letter} is still no event that can be used", 1)
    print(outcome)
    return 0
