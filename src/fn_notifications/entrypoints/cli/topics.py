"""`topics create`: the topics the service reads and writes."""

import argparse
import asyncio

from fn_notifications.adapters.kafka.topics import TOPICS_IN, TOPICS_OUT, create_topics
from fn_notifications.application.errors import Misconfigured
from fn_notifications.entrypoints.cli.context import settings_here
from fn_notifications.entrypoints.parts import kafka_of
from fn_notifications.entrypoints.settings.scope import BROKER


def run(arguments: argparse.Namespace) -> int:
    """Create what is missing; says what it created."""
    del arguments
    settings = settings_here(scope=BROKER)
    if not settings.kafka.hosts:
        raise Misconfigured("KAFKA_HOSTS is missing: there is no cluster to create topics on")
    created = asyncio.run(create_topics(kafka_of(settings), (*TOPICS_IN, *TOPICS_OUT)))
    print("\n".join(f"created {name}" for name in created) or "nothing to do: every topic exists")
    return 0
