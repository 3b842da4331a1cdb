"""`in-doubt`: what waits for an operator."""

import argparse
import asyncio
import json
from collections.abc import Sequence
from typing import Any

from attrs import evolve

from fn_notifications.application.ports.history import Doubtful
from fn_notifications.application.ports.telemetry import Silent
from fn_notifications.domain.remedy import unreported
from fn_notifications.entrypoints.bootstrap import bootstrap
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import shown
from fn_notifications.entrypoints.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Print a line for each, the oldest first."""
    found = shown(asyncio.run(_read(database_of_running(), arguments)), arguments.limit)
    if arguments.json:
        print(json.dumps([_document(one) for one in found], default=str, indent=2))
        return 0
    for document in map(_document, found):
        waits = "an operator" if document["waits_for"] == "operator" else "a report"
        print(
            f"{document['delivery_id']}  {document['channel']:<9} {document['type']:<20} "
            f"tried {document['tried_at']:%Y-%m-%d %H:%M:%S} by {document['route']} ({document['code']}), "
            f"waits for {waits} until {document['until']:%Y-%m-%d %H:%M:%S} UTC"
        )
    if not found:
        print("nothing is in doubt" if arguments.all else "nothing waits for an operator")
    return 0


async def _read(settings: Settings, arguments: argparse.Namespace) -> Sequence[Doubtful]:
    async with bootstrap(evolve(settings, roles=frozenset()), Silent()) as service:
        return await service.notifications.in_doubt(arguments.limit + 1, held=not arguments.all)


def _document(one: Doubtful) -> dict[str, Any]:
    delivery = one.delivery
    attempt = unreported(delivery)[-1]
    return {
        "delivery_id": delivery.key.event_key,
        "channel": delivery.channel,
        "type": one.type,
        "route": attempt.route,
        "tried_at": attempt.started_at,
        "code": attempt.code,
        "waits_for": "operator" if delivery.due_at == delivery.expires_at else "report",
        "until": delivery.due_at,
        "resends": delivery.resends,
    }
