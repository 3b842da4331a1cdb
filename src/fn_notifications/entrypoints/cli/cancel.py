"""`cancel`: stop for good what a type still has to send."""

import argparse
import asyncio
from datetime import datetime

from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import complain, operating, unfit, unknown
from fn_notifications.entrypoints.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Cancel, and say how many."""
    settings = database_of_running()
    if wrong := unknown(HoldKind.TYPE, arguments.type, settings) or unfit(arguments.reason):
        return complain(wrong)
    cancelled = asyncio.run(_cancel(settings, arguments.type, arguments.before, arguments.reason))
    print(f"{cancelled} deliveries of {arguments.type} cancelled")
    return 0


async def _cancel(settings: Settings, type_: str, before: datetime, reason: str) -> int:
    async with operating(settings) as operator:
        return await operator.cancel(type_, before, reason)
