"""`cancel`: stop for good what a type still has to send."""

import argparse
import asyncio

from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.cli.complaint import complain
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import agreed, deliveries, operating, unknown, who
from fn_notifications.entrypoints.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Cancel, and say how many, and how many it came too late for."""
    settings = database_of_running()
    if wrong := unknown(HoldKind.TYPE, arguments.type, settings):
        return complain(wrong)
    return asyncio.run(_cancel(settings, arguments))


async def _cancel(settings: Settings, arguments: argparse.Namespace) -> int:
    async with operating(settings, who(arguments)) as operator:
        found = await operator.count(arguments.type, arguments.before)
        if found and not agreed(f"this cancels {deliveries(found)} of {arguments.type}", arguments):
            return 1
        ended = await operator.cancel(arguments.type, arguments.before, arguments.reason) if found else {}
    print(f"{deliveries(ended.get(Status.CANCELLED, 0))} of {arguments.type} cancelled")
    if unconfirmed := ended.get(Status.UNCONFIRMED):
        print(f"{unconfirmed} stopped as unconfirmed: an earlier attempt may have arrived")
    return 0
