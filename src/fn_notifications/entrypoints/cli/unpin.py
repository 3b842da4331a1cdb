"""`unpin`: back to the configured order."""

import argparse
import asyncio

from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.cli.complaint import complain
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import operating, unknown, who
from fn_notifications.entrypoints.settings import Settings
from fn_notifications.entrypoints.settings.scope import ROUTES


def run(arguments: argparse.Namespace) -> int:
    """End the pin."""
    settings = database_of_running(ROUTES)
    unpinned = asyncio.run(_unpin(settings, arguments.route, who(arguments)))
    if not unpinned and (wrong := unknown(HoldKind.ROUTE, arguments.route, settings)):
        return complain(wrong)
    print(f"{arguments.route} {'is pinned no longer' if unpinned else 'was not pinned'}")
    return 0


async def _unpin(settings: Settings, route: str, by: str) -> bool:
    async with operating(settings, by) as operator:
        return await operator.unpin(route)
