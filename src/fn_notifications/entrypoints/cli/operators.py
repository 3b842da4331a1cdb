"""What the operator's commands share: whom they act for, and what they may be pointed at."""

import argparse
import getpass
import os
import sys
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from typing import TypeVar

from fn_notifications.application.operating import Operating
from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.cli.complaint import complain
from fn_notifications.entrypoints.cli.context import telemetry_of
from fn_notifications.entrypoints.parts import load_catalogue, open_database, routes_of, store_on
from fn_notifications.entrypoints.settings import Settings

_Listed = TypeVar("_Listed")


@asynccontextmanager
async def operating(settings: Settings, by: str = "") -> AsyncIterator[Operating]:
    """The operator's use cases on the database of the running service. `by`: who asks."""
    async with open_database(settings) as database, telemetry_of(settings) as telemetry:
        stores = store_on(database, settings)
        yield Operating(
            routes=stores.routes,
            deliveries=stores.deliveries,
            telemetry=telemetry,
            tenant=settings.tenant,
            by=by,
        )


def who(arguments: argparse.Namespace) -> str:
    """Who asks: as they call themselves, else the operating system's name for them."""
    if arguments.by:
        return str(arguments.by)
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # a container's user without a name
        return f"user {os.getuid()}"


def agreed(what: str, arguments: argparse.Namespace) -> bool:
    """Whether to go on: said beforehand with `--yes`, or now, on a terminal."""
    if arguments.yes:
        return True
    if not sys.stdin.isatty():
        complain(f"{what}; say --yes to do it")
        return False
    return input(f"{what}. Go on? [y/N] ").strip().lower() in ("y", "yes")


def target(arguments: argparse.Namespace) -> tuple[HoldKind, str]:
    """What a hold is about."""
    for kind in (HoldKind.TYPE, HoldKind.CHANNEL, HoldKind.ROUTE):
        if (name := getattr(arguments, kind)) is not None:
            return kind, name
    return HoldKind.ALL, ""


def unknown(kind: HoldKind, name: str, settings: Settings) -> str | None:
    """What is wrong with a name: a misspelt stop button would stop nothing."""
    known: Collection[str]
    match kind:
        case HoldKind.TYPE:
            known = load_catalogue().types
        case HoldKind.CHANNEL:
            known = settings.lanes
        case HoldKind.ROUTE:
            known = [route for routes in routes_of(settings).values() for route in routes]
        case HoldKind.ALL:
            return None
    return None if name in known else f"no such {kind}: {name}; known are {', '.join(known) or 'none'}"


def deliveries(amount: int) -> str:
    """So many, in words."""
    return f"{amount} {'delivery' if amount == 1 else 'deliveries'}"


def shown(found: Sequence[_Listed], limit: int) -> Sequence[_Listed]:
    """As many as were asked for; that there are more is said on standard error."""
    if len(found) > limit:
        print(f"(there are more than these {limit}: see --limit)", file=sys.stderr)
    return found[:limit]
