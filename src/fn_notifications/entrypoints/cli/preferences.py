"""`preferences FILE`: people's preferences from a file, in the shape the HTTP interface takes."""

import argparse
import asyncio
import sys

from attrs import evolve

from fn_notifications.application.ports.telemetry import Silent
from fn_notifications.application.preferences import InvalidPreferences
from fn_notifications.entrypoints.bootstrap import bootstrap
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.lines import BadInput, PreferenceDocuments, preference_documents, read_lines
from fn_notifications.entrypoints.settings import Settings


def run(arguments: argparse.Namespace) -> int:
    """Store what each line sets; stops at the first that cannot be stored."""
    try:
        documents = preference_documents(read_lines(arguments.file))
        stored = asyncio.run(_store(database_of_running(), documents))
    except BadInput as error:
        print(f"fn-notifications: {error}", file=sys.stderr)
        return 2
    print(f"stored the preferences of {stored} {'person' if stored == 1 else 'people'}")
    return 0


async def _store(settings: Settings, documents: PreferenceDocuments) -> int:
    async with bootstrap(evolve(settings, roles=frozenset()), Silent()) as service:
        for number, (user_id, document) in enumerate(documents, start=1):
            try:
                await service.notifications.set_preferences(user_id, document)
            except InvalidPreferences as error:
                raise BadInput(f"person {number} ({user_id}): {error}") from None
    return len(documents)
