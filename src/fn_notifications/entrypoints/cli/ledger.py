"""`ledger`: what became of every event and delivery, whether it adds up, and what is still to be done."""

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import asdict

from fn_notifications.application.waiting import clock, queues, waiting_channels
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.parts import open_database, routes_of, store_on
from fn_notifications.entrypoints.report import ledger_document
from fn_notifications.entrypoints.settings import Settings

_HORIZON: Final = timedelta(seconds=60)


def run(arguments: argparse.Namespace) -> int:
    """Print the counts. 1 when something does not add up."""
    document = asyncio.run(_read(database_of_running(), arguments.days))
    print(json.dumps(document, default=datetime.isoformat, indent=2) if arguments.json else "\n".join(_text(document)))
    return 0 if document["balanced"] else 1


def _text(document: Mapping[str, Any]) -> Iterator[str]:
    for name, counts in document.items():
        if isinstance(counts, dict) and counts:
            yield f"{name:<11}" + ", ".join(f"{what} {amount}" for what, amount in counts.items())
    for queue in document["waiting"]:
        yield f"{'waiting':<11}{queue['channel']} {queue['deliveries']}, the longest since {clock(queue['since'])}"
        yield from (f"{'':<11}  {cause}" for cause in queue["causes"])
    yield "settled    " + ("yes" if document["settled"] else "no: see unsettled")
    yield "balanced   " + ("yes" if document["balanced"] else "no")
    for one in document["imbalances"]:
        off = abs(one["expected"] - one["found"])
        yield f"{'off by ' + str(off):<11}{one['equation']}: {one['expected']} expected, {one['found']} found"


async def _read(settings: Settings, days: int | None) -> dict[str, Any]:
    async with open_database(settings) as database:
        stores = store_on(database, settings)
        history, lanes = stores.history, routes_of(settings)
        ledger = await history.ledger(settings.tenant, days)
        backlog, seen = await history.backlog(settings.tenant), await stores.routes.board()
        unsettled = await history.unsettled(_HORIZON, waiting_channels(lanes, seen, _HORIZON))
    return {
        **ledger_document(ledger),
        "unsettled": asdict(unsettled),
        "settled": unsettled.settled,
        "waiting": [asdict(one) for one in queues(backlog, lanes, seen)],
    }
