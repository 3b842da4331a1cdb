"""`serve`: the service on what is configured, in one process or several."""

import argparse
import gc
from contextlib import AsyncExitStack
from typing import Final

from fn_notifications.adapters.postgres.migrate import migrate, pending
from fn_notifications.application.errors import Misconfigured
from fn_notifications.entrypoints.bootstrap import bootstrap
from fn_notifications.entrypoints.cli.context import settings_here, telemetry_of, until_stopped
from fn_notifications.entrypoints.cli.main import main
from fn_notifications.entrypoints.embedded import embedded, on_this_machine
from fn_notifications.entrypoints.parts import open_database
from fn_notifications.entrypoints.processes import Processes
from fn_notifications.entrypoints.settings import Embed, Role, Settings

_LAST: Final = 1.0
"""Seconds by which whoever started the others outlasts them."""


def run(arguments: argparse.Namespace) -> int:
    """Serve until stopped."""
    overrides = {}
    if arguments.port is not None:
        overrides["PORT"] = str(arguments.port)
    if arguments.role:
        overrides["ROLE"] = ",".join(arguments.role)
    if arguments.processes is not None:
        overrides["PROCESSES"] = str(arguments.processes)
    settings = settings_here(Embed.MISSING if arguments.embedded else Embed.WHEN_EMPTY, overrides)
    if settings.processes == 1:
        return until_stopped(_serve(settings), grace=settings.shutdown_grace)
    return until_stopped(_share(settings), grace=settings.shutdown_grace + _LAST)


async def _share(settings: Settings) -> int:
    """One process listens for HTTP; what else there is to do, all of them do."""
    if settings.embedded:
        raise Misconfigured("embedded parts live in one process: set DATABASE_URL and KAFKA_HOSTS, or PROCESSES=1")
    shared = sorted(settings.roles - {Role.HTTP})
    if not shared:
        raise Misconfigured("HTTP listens in one process: with ROLE=http, PROCESSES must be 1")
    roles = [sorted(settings.roles), *[shared] * (settings.processes - 1)]
    listening = ["--port", str(settings.http.port)]
    commands = [
        ["serve", "--processes", "1", *listening, *(word for role in each for word in ("--role", role))]
        for each in roles
    ]
    async with telemetry_of(settings) as telemetry:
        return await Processes(main=main, commands=commands, telemetry=telemetry).run()


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

        def started() -> None:
            _set_aside()
            telemetry.log("info", "service.started", port=port, roles=roles)

        await service.run(started)
    return 0


def _set_aside() -> None:
    """Let the garbage collector pass over what is there by now, which stays: to look through it again and again took
    a tenth of the CPU time, in pauses of 60 ms.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000, 10, 10)
