"""`dev`: everything embedded, sample events flowing, a mailbox to look at, a live table of what happens."""

import argparse
import asyncio
import os
import shutil
import sys

from attrs import evolve
from rich.console import Console
from rich.live import Live
from rich.table import Table

from fn_notifications.application.explain import summary
from fn_notifications.domain.notification import Notification
from fn_notifications.entrypoints.cli.context import settings_here, telemetry_of, until_stopped
from fn_notifications.entrypoints.cli.demo import publish_all, set_all
from fn_notifications.entrypoints.cli.lines import outgoing
from fn_notifications.entrypoints.cli.running import Running, announced, find
from fn_notifications.entrypoints.cli.samples import sample_events, sample_preferences
from fn_notifications.entrypoints.embedded import on_this_machine
from fn_notifications.entrypoints.settings import Embed, Role, Settings
from fn_notifications.entrypoints.stack import Stack, running_stack

_ROWS = 20
_REFRESH = 0.5
_COLOURS = {"delivered": "green", "sent": "green", "failed": "red", "in_doubt": "yellow", "pending": "cyan"}


def run(arguments: argparse.Namespace) -> int:
    """Run until stopped."""
    overrides = {} if arguments.port is None else {"PORT": str(arguments.port)}
    settings = settings_here(Embed.EVERYTHING, overrides)
    quiet = settings.telemetry if "LOG_LEVEL" in os.environ else evolve(settings.telemetry, log_level="warning")
    settings = evolve(
        on_this_machine(settings, settings.http.port),
        roles=frozenset(Role),
        intake=evolve(settings.intake, start="earliest"),
        telemetry=quiet,
    )
    if running := find(settings.state_dir):
        print(f"fn-notifications: a dev runs here already: {running.url} (process {running.pid})", file=sys.stderr)
        return 1
    return until_stopped(_dev(settings, keep=arguments.keep), grace=settings.shutdown_grace)


async def _dev(settings: Settings, *, keep: bool) -> int:
    directory = settings.state_dir / "dev"
    if not keep:
        shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True, exist_ok=True)
    async with (
        telemetry_of(settings) as telemetry,
        running_stack(settings, directory, telemetry) as stack,
    ):
        with announced(settings.state_dir, _where(stack)):
            _say_where(stack)
            await set_all(stack, sample_preferences())
            topics = stack.service.settings.kafka.topics
            await publish_all(stack, [outgoing(line, topics) for line in sample_events()])
            await _watch(stack)
    return 0


def _where(stack: Stack) -> Running:
    settings = stack.service.settings
    url = settings.database.url
    return Running(
        pid=os.getpid(),
        url=settings.http.public_url,
        broker=settings.kafka.hosts[0],
        topics=settings.kafka.topics,
        database=url.reveal() if url else "",
        adapters={channel: lane.adapters for channel, lane in settings.lanes.items()},
    )


def _say_where(stack: Stack) -> None:
    settings = stack.service.settings
    print(f"Mailbox    {settings.http.public_url}/mailbox   (what SendGrid and Twilio received)")
    print(f"Kafka      {settings.kafka.hosts[0]}   topics: {', '.join(settings.kafka.topics)}")
    print("Try        fn-notifications publish events.jsonl   |   fn-notifications explain ID   |   Ctrl-C stops")
    sys.stdout.flush()


async def _watch(stack: Stack) -> None:
    """Show what happens until the service ends: a table that redraws on a terminal, a line per change elsewhere."""
    console = Console()
    if not console.is_terminal:
        await _watch_lines(stack)
        return
    with Live(console=console, auto_refresh=False, vertical_overflow="crop") as live:
        while not stack.running.done():
            live.update(_table(await _recent(stack)), refresh=True)
            await asyncio.wait({stack.running}, timeout=_REFRESH)
    await stack.running


async def _watch_lines(stack: Stack) -> None:
    seen: dict[str, str] = {}
    while not stack.running.done():
        for notification in reversed(await _recent(stack)):
            for delivery in notification.deliveries:
                said = summary(delivery)
                if seen.get(delivery.key.event_key) != said:
                    seen[delivery.key.event_key] = said
                    print(f"{notification.id}  {notification.user.user_id}  {notification.type}  {said}", flush=True)
        await asyncio.wait({stack.running}, timeout=_REFRESH)
    await stack.running


async def _recent(stack: Stack) -> list[Notification]:
    return list(await stack.service.stores.history.recent(stack.service.settings.tenant, _ROWS))


def _table(notifications: list[Notification]) -> Table:
    table = Table(title="The newest deliveries", title_justify="left", header_style="bold", expand=True)
    for column in ("notification", "user", "type", "channel", "status", "why, and what next"):
        table.add_column(column, no_wrap=column != "why, and what next")
    for notification in notifications:
        for delivery in notification.deliveries:
            status = delivery.status or "pending"
            _, _, why = summary(delivery).partition(": ")
            _, _, rest = why.partition(": ")
            table.add_row(
                str(notification.id),
                notification.user.user_id,
                notification.type,
                delivery.channel,
                f"[{_COLOURS.get(status, 'default')}]{status}[/]",
                rest,
            )
    return table
