"""`pin`: try one route of a channel first, for a while."""

import argparse
import asyncio
from datetime import datetime, timedelta

from fn_notifications.application.waiting import clock
from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.cli.complaint import complain
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import operating, unknown, who
from fn_notifications.entrypoints.settings import Settings
from fn_notifications.entrypoints.settings.scope import ROUTES


def run(arguments: argparse.Namespace) -> int:
    """Pin it, and say until when."""
    settings = database_of_running(ROUTES)
    if wrong := unknown(HoldKind.ROUTE, arguments.route, settings):
        return complain(wrong)
    until = asyncio.run(
        _pin(settings, arguments.route, timedelta(seconds=arguments.span), arguments.reason, who(arguments))
    )
    print(f"{arguments.route} goes first until {clock(until)}")
    return 0


async def _pin(settings: Settings, route: str, span: timedelta, reason: str, by: str) -> datetime:
    async with operating(settings, by) as operator:
        return await operator.pin(route, span, reason)
