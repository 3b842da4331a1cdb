"""`pause`: the stop button."""

import argparse
import asyncio

from fn_notifications.application.waiting import hold_sentence
from fn_notifications.domain.routes import Hold, HoldKind
from fn_notifications.entrypoints.cli.complaint import complain
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import operating, target, unknown, who
from fn_notifications.entrypoints.settings import Settings
from fn_notifications.entrypoints.settings.scope import ROUTES


def run(arguments: argparse.Namespace) -> int:
    """Hold it back; no call begins any more. What is held already stays as it is, with its first reason."""
    settings, (kind, name) = database_of_running(ROUTES), target(arguments)
    if wrong := unknown(kind, name, settings):
        return complain(wrong)
    before = asyncio.run(_pause(settings, kind, name, arguments))
    if before:
        print(f"already: {hold_sentence(before)}")
    else:
        print(f"{name or 'everything'} is held back; see: fn-notifications holds")
    return 0


async def _pause(settings: Settings, kind: HoldKind, name: str, arguments: argparse.Namespace) -> Hold | None:
    async with operating(settings, who(arguments)) as operator:
        return await operator.pause(kind, name, arguments.reason)
