"""`cancel`: stop for good what a type still has to send."""

import argparse
import asyncio
from collections.abc import Mapping

from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import complain, operating, unfit, unknown, who
from fn_notifications.entrypoints.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Cancel, and say how many, and how many it came too late for."""
    settings = database_of_running()
    if wrong := unknown(HoldKind.TYPE, arguments.type, settings) or unfit(arguments.reason):
        return complain(wrong)
    ended = asyncio.run(_cancel(settings, arguments))
    print(f"{ended.get(Status.CANCELLED, 0)} deliveries of {arguments.type} cancelled")
    if unconfirmed := ended.get(Status.UNCONFIRMED):
        print(f"{unconfirmed} stopped as unconfirmed: an earlier attempt may have arrived")
    return 0


async def _cancel(settings: Settings, arguments: argparse.Namespace) -> Mapping[Status, int]:
    async with operating(settings, who(arguments)) as operator:
        return await operator.cancel(arguments.type, arguments.before, arguments.reason)
