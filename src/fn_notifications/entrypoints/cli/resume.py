"""`resume`: let go of what was held back."""

import argparse
import asyncio

from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import complain, operating, target, unknown
from fn_notifications.entrypoints.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """End the hold and wake what waited for it; a route is also tried again at once where it is shut."""
    settings, (kind, name) = database_of_running(), target(arguments)
    released = asyncio.run(_resume(settings, kind, name))
    if not released and (wrong := unknown(kind, name, settings)):
        return complain(wrong)
    print(f"{name or 'everything'} {'goes on' if released else 'was not held back'}; see: fn-notifications holds")
    return 0


async def _resume(settings: Settings, kind: HoldKind, name: str) -> bool:
    async with operating(settings) as operator:
        return await operator.resume(kind, name)
