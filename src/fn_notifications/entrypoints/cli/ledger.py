"""`ledger`: what became of every event and delivery, and what is still to be done."""

import argparse
import asyncio
import json
from datetime import timedelta
from typing import Any, Final

from attrs import asdict

from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.parts import open_database, store_on
from fn_notifications.entrypoints.report import ledger_document
from fn_notifications.entrypoints.settings import Settings

_HORIZON: Final = timedelta(seconds=60)


def run(arguments: argparse.Namespace) -> int:
    """Print the counts."""
    document = asyncio.run(_read(database_of_running()))
    if arguments.json:
        print(json.dumps(document, indent=2))
        return 0
    for name, counts in document.items():
        if isinstance(counts, dict):
            print(f"{name:<11}" + ", ".join(f"{what} {amount}" for what, amount in counts.items()))
    print("settled    " + ("yes" if document["settled"] else "no: see unsettled"))
    return 0


async def _read(settings: Settings) -> dict[str, Any]:
    async with open_database(settings) as database:
        history = store_on(database, settings).history
        ledger = await history.ledger(settings.tenant)
        unsettled = await history.unsettled(_HORIZON)
    return {**ledger_document(ledger), "unsettled": asdict(unsettled), "settled": unsettled.settled}
