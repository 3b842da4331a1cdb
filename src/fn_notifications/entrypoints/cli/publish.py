"""`publish FILE`: events from a file into the broker."""

import argparse
import asyncio
import sys
from collections.abc import Sequence

from attrs import evolve

from fn_notifications.adapters.kafka.backlog import publish_as_read
from fn_notifications.adapters.kafka.publisher import open_publisher
from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.ports.events import Outgoing
from fn_notifications.entrypoints.cli.context import settings_of_running
from fn_notifications.entrypoints.cli.lines import BadInput, messages_of, read_lines
from fn_notifications.entrypoints.parts import kafka_of
from fn_notifications.entrypoints.settings import Settings
from fn_notifications.entrypoints.settings.scope import BROKER


def run(arguments: argparse.Namespace) -> int:
    """Publish every line; says how many."""
    settings = settings_of_running(BROKER)
    if not settings.kafka.hosts:
        raise Misconfigured("there is nowhere to publish to: start `fn-notifications dev` here, or set KAFKA_HOSTS")
    topics = (arguments.topic,) if arguments.topic else settings.kafka.topics
    try:
        messages = messages_of(read_lines(arguments.file), topics)
    except BadInput as error:
        print(f"fn-notifications: {error}", file=sys.stderr)
        return 2
    asyncio.run(_publish(settings, messages))
    print(f"published {len(messages)} {'event' if len(messages) == 1 else 'events'}")
    return 0


async def _publish(settings: Settings, messages: Sequence[Outgoing]) -> None:
    kafka = evolve(kafka_of(settings), publish_timeout=10.0)
    if settings.embedded:
        await publish_as_read(kafka, messages)
        return
    async with open_publisher(kafka) as publisher:
        await publisher.publish(messages)
