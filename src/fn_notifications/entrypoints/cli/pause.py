"""`pause`: the stop button."""

import argparse
import asyncio

from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import complain, operating, target, unfit, unknown
from fn_notifications.entrypoints.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Hold it back; no call begins any more."""
    settings, (kind, name) = database_of_running(), target(arguments)
    if wrong := unknown(kind, name, settings) or unfit(arguments.reason):
        return complain(wrong)
    held = asyncio.run(_pause(settings, kind, name, arguments.reason))
    print(f"{name or 'everything'} is {'held back' if held else 'held back already'}; see: fn-notifications holds")
    return 0


async def _pause(settings: Settings, kind: HoldKind, name: str, reason: str) -> bool:
    async with operating(settings) as operator:
        return await operator.pause(kind, name, reason)
