"""`resume`: let go of what was held back."""

import argparse
import asyncio
from collections.abc import Sequence

from fn_notifications.application.waiting import hold_sentence
from fn_notifications.domain.routes import Hold, HoldKind
from fn_notifications.entrypoints.cli.complaint import complain
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import operating, target, unknown, who
from fn_notifications.entrypoints.settings import Settings
from fn_notifications.entrypoints.settings.scope import ROUTES


def run(arguments: argparse.Namespace) -> int:
    """End the hold and wake what waited for it; a route is also tried again at once where it is shut. Says what else
    is held.
    """
    settings, (kind, name) = database_of_running(ROUTES), target(arguments)
    released, shut, left = asyncio.run(_resume(settings, kind, name, who(arguments)))
    if not released and (wrong := unknown(kind, name, settings)):
        return complain(wrong)
    said = [f"{name or 'everything'} {'goes on' if released else 'was not held back'}"]
    if shut:
        said.append("it was shut, and the next call tries it")
    said.append("still held back:" if left else "see: fn-notifications holds")
    print("; ".join(said))
    for hold in left:
        print(f"  {hold_sentence(hold)}")
    return 0


async def _resume(settings: Settings, kind: HoldKind, name: str, by: str) -> tuple[bool, bool, Sequence[Hold]]:
    async with operating(settings, by) as operator:
        shut = kind is HoldKind.ROUTE and bool(await operator.shut(name))
        released = await operator.resume(kind, name)
        return released, shut, (await operator.board()).board.holds
