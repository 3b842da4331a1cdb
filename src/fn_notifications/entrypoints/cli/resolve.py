"""`resolve ID --as …`: an operator decides about a delivery in doubt."""

import argparse
import asyncio
import re
import sys
from uuid import UUID

from attrs import evolve

from fn_notifications.application.explain import summary
from fn_notifications.application.ports.telemetry import Silent
from fn_notifications.domain.address import Channel
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.errors import IllegalTransition, InvalidValue
from fn_notifications.domain.events import Ruling
from fn_notifications.entrypoints.bootstrap import bootstrap
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Decide, and print where the delivery stands then."""
    named = _named(arguments.id)
    if named is None or (named[1] is None) == (arguments.channel is None):
        return _complain(f"{arguments.id!r} is no delivery id; a notification id needs --channel", 2)
    settings = database_of_running()
    try:
        resolved = asyncio.run(_resolve(settings, *named, arguments))
    except InvalidValue as error:
        return _complain(str(error), 2)
    except IllegalTransition as error:
        return _complain(f"nothing to decide: {error}", 1)
    if resolved is None:
        return _complain(f"no such delivery: {arguments.id}", 1)
    print(f"{resolved.key.event_key}  {summary(resolved)}")
    return 0


def _named(text: str) -> tuple[UUID, int | None] | None:
    """The notification and, if the id goes on with one, the delivery's number."""
    delivery = re.fullmatch(r"([0-9a-f]{32})-([1-9][0-9]{0,3})", text)
    if delivery:
        return UUID(delivery[1]), int(delivery[2])
    try:
        return UUID(text), None
    except ValueError:
        return None


def _complain(text: str, code: int) -> int:
    print(f"fn-notifications: {text}", file=sys.stderr)
    return code


async def _resolve(settings: Settings, id_: UUID, no: int | None, arguments: argparse.Namespace) -> Delivery | None:
    channel = Channel(arguments.channel) if arguments.channel else None
    async with bootstrap(evolve(settings, roles=frozenset()), Silent()) as service:
        return await service.notifications.resolve(
            id_, Ruling(arguments.ruling), arguments.reason, no=no, channel=channel
        )
