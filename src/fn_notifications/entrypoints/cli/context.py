"""What every command starts from: settings out of this process's environment and folder, and its logs."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Coroutine, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from attrs import evolve, fields, has

from fn_notifications.adapters.telemetry.logs import configure_logs
from fn_notifications.adapters.telemetry.metrics import OtelTelemetry, open_telemetry
from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.redaction import Redaction
from fn_notifications.entrypoints.cli.running import find
from fn_notifications.entrypoints.registry import providers_of_other_packages
from fn_notifications.entrypoints.settings import Embed, Secret, Settings, load_settings
from fn_notifications.entrypoints.settings.adapters import AVAILABLE


def settings_here(embed: Embed = Embed.WHEN_EMPTY, overrides: Mapping[str, str] | None = None) -> Settings:
    """The settings of this environment and folder. Raises SettingsError."""
    others = providers_of_other_packages()
    adapters = {channel: known | others for channel, known in AVAILABLE.items()}
    return load_settings(os.environ, cwd=Path.cwd(), overrides=overrides or {}, embed=embed, adapters=adapters)


def settings_of_running() -> Settings:
    """The settings; where nothing is configured, those of the `dev` that runs in this folder, and it says so.

    What is configured counts: nobody who means production must end up with a `dev` that happens to run here.
    """
    here = settings_here()
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


def database_of_running() -> Settings:
    """As `settings_of_running`, for a command that cannot do without a database. Raises Misconfigured."""
    settings = settings_of_running()
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


def until_stopped(main: Coroutine[Any, Any, int], *, when_stopped: int = 0) -> int:
    """Run to the end, or to SIGINT or SIGTERM: then everything is given the time to stop cleanly, and the exit code is
    `when_stopped`.
    """

    async def run() -> int:
        task = asyncio.ensure_future(main)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
        try:
            return await task
        except asyncio.CancelledError:
            return when_stopped

    return asyncio.run(run())
