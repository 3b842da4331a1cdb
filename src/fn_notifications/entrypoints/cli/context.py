"""What every command starts from: settings out of this process's environment and folder, and its logs."""

import asyncio
import importlib
import logging
import os
import signal
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from contextlib import ExitStack, asynccontextmanager
from multiprocessing import parent_process
from pathlib import Path
from typing import Any, Final

from attrs import define, evolve, field, fields, has

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
_SAME: Final = 1.0
"""Seconds within which a second signal is still the first: many a supervisor signals the group and each process."""
_CODES: Final = {signal.SIGTERM: 1, signal.SIGINT: 130}
"""How a process ends that was told twice."""


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
    process is gone then, with exit code 1, whatever hangs. A second signal, a second or more after the first, leaves
    it behind at once: exit code 130 for SIGINT, 1 for SIGTERM.

    A process that another started stops when that one is gone, too, and at once where it was stopping already. It
    leaves SIGINT to it, for a terminal sends that to both, and a second SIGTERM, for a supervisor does.
    """
    parent = parent_process()
    with ExitStack() as at_the_end:

        async def run() -> int:
            loop = asyncio.get_running_loop()
            task = loop.create_task(main, name="service")
            stopping = _Stopping(loop=loop, task=task, grace=grace)
            at_the_end.callback(stopping.limit.cancel)

            def orphaned(sentinel: int) -> None:
                loop.remove_reader(sentinel)
                if stopping.since is not None:
                    _leave(loop, "its parent is gone", 1)
                stopping.begin()

            if parent is None:
                for number in _CODES:
                    loop.add_signal_handler(number, stopping.signalled, number)
            else:
                loop.add_signal_handler(signal.SIGTERM, stopping.begin)
                loop.add_reader(parent.sentinel, orphaned, parent.sentinel)
            try:
                return await task
            except asyncio.CancelledError:
                return when_stopped

        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            return runner.run(run())


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """uvloop's, which takes a tenth less CPU for a delivery; asyncio's own where there is none, as on Windows."""
    try:
        factory: Callable[[], asyncio.AbstractEventLoop] = importlib.import_module("uvloop").new_event_loop
    except ImportError:
        return None
    return factory


@define(kw_only=True)
class _Stopping:
    """The end of a task: in its own time, in the time it has, or at once."""

    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[int]
    grace: float
    limit: threading.Timer = field(init=False)
    since: float | None = field(default=None, init=False)
    """When it began to stop, by the loop's clock."""

    def __attrs_post_init__(self) -> None:
        self.limit = threading.Timer(self.grace + _FAREWELL, _leave, [self.loop, "the time to stop is over", 1])
        self.limit.daemon = True

    def signalled(self, number: signal.Signals) -> None:
        """Stop, and say how long that may take; told again, end."""
        if self.since is None:
            logger.warning("stopping: up to %g s for what is on the wire; again to stop at once", self.grace)
            self.begin()
        elif self.loop.time() >= self.since + _SAME:
            _leave(self.loop, "told again to stop", _CODES[number])

    def begin(self) -> None:
        """Stop, unless it does already."""
        if self.since is None:
            self.since = self.loop.time()
            self.limit.start()
            self.task.cancel()


def _leave(loop: asyncio.AbstractEventLoop, why: str, code: int) -> None:
    """End the process from whatever thread: nothing that hangs in another can keep it from that."""
    kinds = Counter(task.get_name().partition("-")[0] for task in asyncio.all_tasks(loop))
    del kinds["Task"]  # nobody gave these a name
    under_way = ", ".join(f"{kind} ({count})" for kind, count in sorted(kinds.items()))
    logger.error("%s, and still under way were: %s", why, under_way)
    os._exit(code)
