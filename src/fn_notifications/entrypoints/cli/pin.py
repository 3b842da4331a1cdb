"""`pin`: try one route of a channel first, for a while."""

import argparse
import asyncio
from datetime import datetime, timedelta

from fn_notifications.application.waiting import clock
from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import complain, operating, unfit, unknown
from fn_notifications.entrypoints.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Pin it, and say until when."""
    settings = database_of_running()
    if wrong := unknown(HoldKind.ROUTE, arguments.route, settings) or unfit(arguments.reason):
        return complain(wrong)
    until = asyncio.run(_pin(settings, arguments.route, timedelta(seconds=arguments.span), arguments.reason))
    print(f"{arguments.route} goes first until {clock(until)}")
    return 0


async def _pin(settings: Settings, route: str, span: timedelta, reason: str) -> datetime:
    async with operating(settings) as operator:
        return await operator.pin(route, span, reason)
