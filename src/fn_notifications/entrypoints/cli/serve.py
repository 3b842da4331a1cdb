"""`serve`: the service on what is configured."""

import argparse
from contextlib import AsyncExitStack

from fn_notifications.adapters.postgres.migrate import migrate, pending
from fn_notifications.application.errors import Misconfigured
from fn_notifications.entrypoints.bootstrap import bootstrap
from fn_notifications.entrypoints.cli.context import settings_here, telemetry_of, until_stopped
from fn_notifications.entrypoints.embedded import embedded, on_this_machine
from fn_notifications.entrypoints.parts import open_database
from fn_notifications.entrypoints.settings import Embed, Role, Settings


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped."""
    overrides = {}
    if arguments.port is not None:
        overrides["PORT"] = str(arguments.port)
    if arguments.role:
        overrides["ROLE"] = ",".join(arguments.role)
    settings = settings_here(Embed.MISSING if arguments.embedded else Embed.WHEN_EMPTY, overrides)
    return until_stopped(_serve(settings))


async def _serve(settings: Settings) -> int:
    async with AsyncExitStack() as stack:
        telemetry = await stack.enter_async_context(telemetry_of(settings))
        mailbox, ours = None, settings.embeds_database
        if settings.embedded:
            settings = on_this_machine(settings, settings.http.port)
            parts = await stack.enter_async_context(embedded(settings, settings.state_dir))
            settings, mailbox = parts.settings, parts.simulator
            telemetry.log("warning", "service.embedded", parts=", ".join(parts.parts))
        async with open_database(settings) as database:
            if ours:
                await migrate(database)
            elif missing := await pending(database):
                raise Misconfigured(f"the database lacks {', '.join(missing)}: run `fn-notifications migrate` first")
        service = await stack.enter_async_context(bootstrap(settings, telemetry, mailbox=mailbox))
        roles = ", ".join(sorted(settings.roles))
        port = settings.http.port if Role.HTTP in settings.roles else None
        await service.run(lambda: telemetry.log("info", "service.started", port=port, roles=roles))
    return 0
