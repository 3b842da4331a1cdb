"""`migrate`: the schema, up to date."""

import argparse
import asyncio
from collections.abc import Sequence

from fn_notifications.adapters.postgres.migrate import migrate
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.parts import open_database
from fn_notifications.entrypoints.settings import Settings
from fn_notifications.entrypoints.settings.scope import SCHEMA


def run(arguments: argparse.Namespace) -> int:
    """Apply what is missing; says what it applied."""
    del arguments
    applied = asyncio.run(_migrate(database_of_running(SCHEMA)))
    print("\n".join(f"applied {name}" for name in applied) or "nothing to do: the schema is up to date")
    return 0


async def _migrate(settings: Settings) -> Sequence[str]:
    async with open_database(settings) as database:
        return await migrate(database)
