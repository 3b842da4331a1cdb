"""`demo`: the main job in one command. Events in, messages out, everything settled, everything accounted for."""

import argparse
import asyncio
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, Final

from attrs import evolve
from rich.console import Console
from rich.table import Table

from fn_notifications.adapters.kafka.backlog import publish_as_read
from fn_notifications.application.ports.events import Outgoing
from fn_notifications.application.preferences import InvalidPreferences
from fn_notifications.application.waiting import waiting_channels
from fn_notifications.domain.address import Channel
from fn_notifications.domain.reasons import SENTENCES, Reason
from fn_notifications.entrypoints.cli.context import settings_here, telemetry_of, until_stopped
from fn_notifications.entrypoints.cli.lines import (
    BadInput,
    PreferenceDocuments,
    messages_of,
    preference_documents,
    read_lines,
)
from fn_notifications.entrypoints.cli.samples import sample_events, sample_preferences
from fn_notifications.entrypoints.embedded import free_port, on_this_machine
from fn_notifications.entrypoints.parts import kafka_of, routes_of
from fn_notifications.entrypoints.report import report
from fn_notifications.entrypoints.settings import Embed, Role, Settings
from fn_notifications.entrypoints.stack import Stack, running_stack

_HORIZON: Final = timedelta(seconds=60)
"""What can go no sooner than this counts as settled: it waits, as it should."""
_STOPPED: Final = 130
_PROBE: Final = 2.0
"""Seconds until a shut route is tried again: in a demonstration nobody waits for minutes."""
_LOOK: Final = 0.05
_MOST: Final = 1_000_000


def run(arguments: argparse.Namespace) -> int:
    """0 when everything settled, 1 when not in time, 2 when the input cannot be used."""
    settings = demo_settings()
    try:
        lines = read_lines(arguments.events) if arguments.events else sample_events()
        messages = messages_of(lines, settings.kafka.topics)
        if arguments.preferences:
            preferences = preference_documents(read_lines(arguments.preferences))
        else:
            preferences = sample_preferences()
        return until_stopped(
            _demo(settings, messages, preferences, arguments), grace=settings.shutdown_grace, when_stopped=_STOPPED
        )
    except (BadInput, InvalidPreferences) as error:
        print(f"fn-notifications: {error}", file=sys.stderr)
        return 2


def demo_settings() -> Settings:
    """Embedded parts only, on free ports, every role, reading from the beginning, waiting for nobody's contacts."""
    settings = settings_here(Embed.EVERYTHING)
    lanes = {
        channel: evolve(lane, circuit=evolve(lane.circuit, reset=_PROBE)) for channel, lane in settings.lanes.items()
    }
    return evolve(
        on_this_machine(evolve(settings, lanes=lanes), free_port()),
        roles=frozenset(Role),
        intake=evolve(settings.intake, start="earliest", contact_grace=0.0),
        telemetry=evolve(settings.telemetry, log_level="warning"),
    )


async def _demo(
    settings: Settings, messages: Sequence[Outgoing], preferences: PreferenceDocuments, arguments: argparse.Namespace
) -> int:
    topics = tuple(dict.fromkeys((*settings.kafka.topics, *(message.topic for message in messages))))
    settings = evolve(settings, kafka=evolve(settings.kafka, topics=topics))
    with tempfile.TemporaryDirectory(prefix="fn-notifications-", ignore_cleanup_errors=True) as directory:
        async with (
            telemetry_of(settings) as telemetry,
            running_stack(settings, Path(directory), telemetry) as stack,
        ):
            await set_all(stack, preferences)
            await publish_all(stack, messages)
            settled = await _settle(stack, len(messages), arguments.timeout)
            waiting = await _waiting(stack)
            document = await _document(stack)
    if arguments.json:
        print(json.dumps(document, indent=2, ensure_ascii=False))
    else:
        _show(document)
    for channel, whys in waiting.items():
        print(f"fn-notifications: {channel} waits: {'; '.join(whys)}", file=sys.stderr)
    if not settled:
        print(f"fn-notifications: not settled within {arguments.timeout:g} s", file=sys.stderr)
    return 0 if settled else 1


async def set_all(stack: Stack, preferences: PreferenceDocuments) -> None:
    """Store people's preferences. Raises BadInput naming the person whose document cannot be stored."""
    for user_id, document in preferences:
        try:
            await stack.service.notifications.set_preferences(user_id, document)
        except InvalidPreferences as error:
            raise BadInput(f"preferences of {user_id}: {error}") from None


async def publish_all(stack: Stack, messages: Sequence[Outgoing]) -> None:
    """Publish to the stack's broker, no faster than the service takes it in."""
    await publish_as_read(kafka_of(stack.service.settings), messages)


async def _settle(stack: Stack, published: int, seconds: float) -> bool:
    """Wait until every event is accounted for and nothing is left to do soon. False when time runs out."""
    history, tenant = stack.service.stores.history, stack.service.settings.tenant
    simulator = stack.embedded.simulator

    async def settled() -> bool:
        if (await history.ledger(tenant)).taken_in < published or (simulator and simulator.reporting):
            return False
        return (await history.unsettled(_HORIZON, await _waiting(stack))).settled

    try:
        async with asyncio.timeout(seconds):
            while not await settled():
                if stack.running.done():
                    await stack.running
                await asyncio.sleep(_LOOK)
    except TimeoutError:
        return False
    return True


async def _waiting(stack: Stack) -> Mapping[Channel, Sequence[str]]:
    """Channels of which nothing can go for now, and why."""
    seen = await stack.service.stores.routes.board()
    return waiting_channels(routes_of(stack.service.settings), seen, _HORIZON)


async def _document(stack: Stack) -> dict[str, Any]:
    history, tenant = stack.service.stores.history, stack.service.settings.tenant
    return report(
        await history.recent(tenant, _MOST),
        await history.dead_letters(tenant, _MOST),
        stack.service.mailbox.messages() if stack.service.mailbox else (),
        await history.ledger(tenant),
        stack.service.renderer,
    )


def _show(document: Mapping[str, Any]) -> None:
    console = Console()
    table = Table(title="Who heard of what", title_justify="left", header_style="bold")
    for column in ("user", "type", "channel", "status", "why", "provider", "attempts"):
        table.add_column(column)
    for notification in reversed(document["notifications"]):
        for delivery in notification["deliveries"]:
            table.add_row(
                notification["user_id"],
                notification["notification_type"],
                delivery["channel"],
                delivery["status"],
                SENTENCES[Reason(delivery["reason"])] if delivery["reason"] else "",
                delivery["provider"] or "",
                str(delivery["attempts"]),
            )
    console.print(table)
    events = document["ledger"]["events"]
    console.print("events:     " + ", ".join(f"{name} {amount}" for name, amount in events.items()))
    deliveries = document["ledger"]["deliveries"]
    console.print("deliveries: " + ", ".join(f"{name} {amount}" for name, amount in deliveries.items()))
    console.print(f"provider calls: {len(document['provider_calls'])}")
    for letter in document["dead_letters"]:
        position = letter["position"]
        console.print(
            f"dead letter: {letter['reason']} at {position['topic']} {position['partition']}:{position['offset']}"
        )
