"""`resolve`: an operator decides about a delivery in doubt, or about everything of a kind that waits for one."""

import argparse
import asyncio
import re
from datetime import UTC, datetime
from uuid import UUID

from attrs import evolve

from fn_notifications.application.explain import summary
from fn_notifications.application.ports.telemetry import Silent
from fn_notifications.application.rulings import Rulings, Selection
from fn_notifications.domain.address import Channel
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.events import Ruling
from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.bootstrap import bootstrap
from fn_notifications.entrypoints.cli.complaint import complain
from fn_notifications.entrypoints.cli.context import database_of_running, telemetry_of
from fn_notifications.entrypoints.cli.operators import agreed, deliveries, unknown, who
from fn_notifications.entrypoints.parts import open_database, store_on
from fn_notifications.entrypoints.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Decide, and print where the delivery stands then, or how many it was about."""
    many = bool(arguments.type or arguments.route or arguments.all_in_doubt)
    if many == bool(arguments.id) or many != bool(arguments.before) or (many and arguments.channel):
        return complain("say which: a delivery's id, or one of --type, --route and --all-in-doubt with --before")
    return _run_many(arguments) if many else _run_one(arguments)


def _run_one(arguments: argparse.Namespace) -> int:
    named = _named(arguments.id)
    if named is None or (named[1] is None) == (arguments.channel is None):
        return complain(f"{arguments.id!r} is no delivery id; a notification id needs --channel")
    settings = database_of_running()
    if arguments.channel and (wrong := unknown(HoldKind.CHANNEL, arguments.channel, settings)):
        return complain(wrong)
    try:
        resolved = asyncio.run(_resolve_one(settings, *named, arguments))
    except IllegalTransition as error:
        return complain(f"nothing to decide: {error}", 1)
    if resolved is None:
        return complain(f"no such delivery: {' '.join(filter(None, (arguments.id, arguments.channel)))}", 1)
    print(f"{resolved.key.event_key}  {summary(resolved, datetime.now(UTC))}")
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


async def _resolve_one(settings: Settings, id_: UUID, no: int | None, arguments: argparse.Namespace) -> Delivery | None:
    channel = Channel(arguments.channel) if arguments.channel else None
    async with bootstrap(evolve(settings, roles=frozenset()), Silent()) as service:
        return await service.notifications.resolve(
            id_, Ruling(arguments.ruling), arguments.reason, by=who(arguments), no=no, channel=channel
        )


def _run_many(arguments: argparse.Namespace) -> int:
    settings = database_of_running()
    for kind, name in ((HoldKind.TYPE, arguments.type), (HoldKind.ROUTE, arguments.route)):
        if name and (wrong := unknown(kind, name, settings)):
            return complain(wrong)
    return asyncio.run(_resolve_many(settings, arguments))


async def _resolve_many(settings: Settings, arguments: argparse.Namespace) -> int:
    doubts = Selection(before=arguments.before, type=arguments.type, route=arguments.route)
    async with open_database(settings) as database, telemetry_of(settings) as telemetry:
        stores = store_on(database, settings)
        rulings = Rulings(
            history=stores.history,
            deliveries=stores.deliveries,
            telemetry=telemetry,
            tenant=settings.tenant,
            by=who(arguments),
        )
        found = await rulings.count(doubts)
        if found and not agreed(f"this resolves {deliveries(found)} in doubt as {arguments.ruling}", arguments):
            return 1
        resolved = await rulings.resolve(doubts, Ruling(arguments.ruling), arguments.reason) if found else 0
    print(f"{deliveries(resolved)} resolved as {arguments.ruling}")
    if resolved < found:
        print(f"{found - resolved} left as they are: decided meanwhile, expired, or refused for good")
    return 0
