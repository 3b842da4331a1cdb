"""What every command starts from: settings out of this process's environment and folder, and its logs."""

import asyncio
import logging
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, Final

from attrs import evolve, fields, has

from fn_notifications.adapters.telemetry.logs import configure_logs
from fn_notifications.adapters.telemetry.metrics import OtelTelemetry, open_telemetry
from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.redaction import Redaction
from fn_notifications.entrypoints.cli.running import find
from fn_notifications.entrypoints.registry import providers_of_other_packages
from fn_notifications.entrypoints.settings import Embed, Secret, Settings, load_settings
from fn_notifications.entrypoints.settings.adapters import AVAILABLE
from fn_notifications.entrypoints.settings.scope import EVERYTHING, RECORDS, Scope

logger = logging.getLogger(__name__)

_FAREWELL: Final = 5.0
"""Seconds after the grace; the dispatcher's own farewell is shorter."""


def settings_here(
    embed: Embed = Embed.WHEN_EMPTY, overrides: Mapping[str, str] | None = None, scope: Scope = EVERYTHING
) -> Settings:
    """The settings of this environment and folder. Raises SettingsError for what is wrong within the scope."""
    others = providers_of_other_packages()
    adapters = {channel: known | others for channel, known in AVAILABLE.items()}
    return load_settings(
        os.environ, cwd=Path.cwd(), overrides=overrides or {}, embed=embed, scope=scope, adapters=adapters
    )


def settings_of_running(scope: Scope) -> Settings:
    """The settings; where nothing is configured, those of the `dev` that runs in this folder, and it says so.

    What is configured counts: nobody who means production must end up with a `dev` that happens to run here.
    """
    here = settings_here(scope=scope)
    running = find(here.state_dir) if here.embeds_database else None
    if running is None:
        return here
    print(f"(the dev that runs here, {running.url})", file=sys.stderr)
    return evolve(
        here,
        database=evolve(here.database, url=Secret(running.database)),
        kafka=evolve(here.kafka, hosts=(running.broker,), topics=running.topics),
        lanes={
            channel: evolve(lane, adapters=running.adapters.get(channel, lane.adapters))
            for channel, lane in here.lanes.items()
        },
    )


def database_of_running(scope: Scope = RECORDS) -> Settings:
    """As `settings_of_running`, for a command that cannot do without a database. Raises Misconfigured."""
    settings = settings_of_running(scope)
    if settings.database.url is None:
        raise Misconfigured("there is no database: start `fn-notifications dev` here, or set DATABASE_URL")
    return settings


@asynccontextmanager
async def telemetry_of(settings: Settings) -> AsyncIterator[OtelTelemetry]:
    """Logs to stderr as the settings say, with the settings' own warnings first; measurements in this process."""
    secrets = list(_secrets(settings))
    redaction = Redaction(secrets)
    logs = configure_logs(
        settings.telemetry.log_level, json=settings.telemetry.log_json, stream=sys.stderr, redaction=redaction
    )
    with logs as logger:
        async with open_telemetry(logger, redaction=redaction) as telemetry:
            for warning in settings.warnings:
                telemetry.log("warning", "settings.warning", why=warning)
            for notice in settings.notices:
                telemetry.log("info", "settings.notice", why=notice)
            yield telemetry


def _secrets(part: Any) -> Iterator[str]:
    """Every secret text in the settings, so that none gets into a log by whatever way."""
    if isinstance(part, Secret):
        if isinstance(text := part.reveal(), str):
            yield text
    elif has(type(part)):
        for attribute in fields(type(part)):
            yield from _secrets(getattr(part, attribute.name))
    elif isinstance(part, Mapping):
        for inner in part.values():
            yield from _secrets(inner)
    elif isinstance(part, tuple):
        for inner in part:
            yield from _secrets(inner)


def until_stopped(main: Coroutine[Any, Any, int], *, grace: float, when_stopped: int = 0) -> int:
    """Run to the end, or to SIGINT or SIGTERM: then everything is given the time to stop cleanly, and the exit code is
    `when_stopped`.

    What has not stopped `grace` and five more seconds after the signal is left behind, and named in the log: the
    process is gone then, with exit code 1, whatever hangs. A process that another started stops when that one is gone,
    too, and leaves SIGINT to it: a terminal sends that to both.
    """
    parent = parent_process()
    with ExitStack() as at_the_end:

        async def run() -> int:
            loop = asyncio.get_running_loop()
            task = loop.create_task(main, name="service")
            limit = threading.Timer(grace + _FAREWELL, _cut_off, [loop])
            limit.daemon = True
            at_the_end.callback(limit.cancel)

            def stop() -> None:
                task.cancel()
                if limit.ident is None:
                    limit.start()

            def orphaned(sentinel: int) -> None:
                loop.remove_reader(sentinel)
                stop()

            loop.add_signal_handler(signal.SIGTERM, stop)
            if parent is None:
                loop.add_signal_handler(signal.SIGINT, stop)
            else:
                loop.add_reader(parent.sentinel, orphaned, parent.sentinel)
            try:
                return await task
            except asyncio.CancelledError:
                return when_stopped

        return asyncio.run(run())


def _cut_off(loop: asyncio.AbstractEventLoop) -> None:
    """End the process from a thread of its own: nothing that hangs in another can keep it from that."""
    kinds = Counter(task.get_name().partition("-")[0] for task in asyncio.all_tasks(loop))
    del kinds["Task"]  # nobody gave these a name
    under_way = ", ".join(f"{kind} ({count})" for kind, count in sorted(kinds.items()))
    logger.error("the time to stop is over, and still under way were: %s", under_way)
    os._exit(1)
