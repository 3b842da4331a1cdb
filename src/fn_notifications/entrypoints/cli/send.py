"""`send`: one notification to one user."""

import argparse
import asyncio
from collections import Counter
from uuid import uuid4

from attrs import evolve

from fn_notifications.application.ports.telemetry import Silent
from fn_notifications.application.service import Duplicate, IdReused, MissingVariables
from fn_notifications.domain.address import Channel
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.bootstrap import bootstrap
from fn_notifications.entrypoints.cli.complaint import complain
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import unknown
from fn_notifications.entrypoints.parts import load_catalogue
from fn_notifications.entrypoints.settings import Settings
from fn_notifications.entrypoints.settings.scope import PLANS


def run(arguments: argparse.Namespace) -> int:
    """Plan and store it; a running service sends it."""
    pairs = [pair.partition("=") for pair in arguments.variables]
    if unfit := [name for name, sign, _ in pairs if not sign]:
        return complain(f"variables are NAME=VALUE: {', '.join(unfit)}")
    if twice := sorted(name for name, times in Counter(name for name, *_ in pairs).items() if times > 1):
        return complain(f"variables given twice: {', '.join(twice)}")
    channels = tuple(Channel(channel) for channel in arguments.channel) if arguments.channel else None
    settings = database_of_running(PLANS)
    asked = [(HoldKind.TYPE, arguments.type), *((HoldKind.CHANNEL, channel) for channel in channels or ())]
    if wrong := next(filter(None, (unknown(kind, name, settings) for kind, name in asked)), None):
        return complain(wrong)
    variables, declared = {name: value for name, _, value in pairs}, load_catalogue().variables[arguments.type]
    if strange := ", ".join(name for name in variables if name not in declared):
        return complain(f"{arguments.type} has no variables {strange}; it has {', '.join(declared) or 'none'}")
    try:
        sent = asyncio.run(_send(settings, arguments, variables, channels))
    except MissingVariables as error:
        return complain(f"{arguments.type} needs {', '.join(f'{name}=…' for name in error.names)}")
    except IdReused:
        return complain(f"--id {arguments.id} was used for something else")
    except Duplicate as error:
        print(f"already said: {error.first} (same user, type and key within the type's window)")
        return 0
    print(f"{sent.id} {sent.status}\nWhy: fn-notifications explain {sent.id}")
    return 0


async def _send(
    settings: Settings,
    arguments: argparse.Namespace,
    variables: dict[str, str],
    channels: tuple[Channel, ...] | None,
) -> Notification:
    async with bootstrap(evolve(settings, roles=frozenset()), Silent()) as service:
        return await service.notifications.send(
            arguments.user,
            arguments.type,
            variables,
            id_=arguments.id or str(uuid4()),
            key=arguments.key,
            channels=channels,
        )
