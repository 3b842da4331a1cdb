"""`check`: can this configuration work? Says everything that is wrong, and what is missing for which feature."""

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Iterator

from fn_notifications.adapters.kafka.topics import TOPICS_OUT, missing_topics
from fn_notifications.adapters.postgres.migrate import pending
from fn_notifications.application.errors import PortError
from fn_notifications.entrypoints.cli.context import settings_here
from fn_notifications.entrypoints.parts import kafka_of, load_catalogue, open_database, renderer_of
from fn_notifications.entrypoints.registry import provider, resolve
from fn_notifications.entrypoints.settings import Embed, Settings


def run(arguments: argparse.Namespace) -> int:
    """0 when it can work, 1 when something cannot be reached. A wrong configuration is 2, by way of SettingsError."""
    settings = settings_here(Embed.MISSING if arguments.embedded else Embed.WHEN_EMPTY)
    for line in _described(settings):
        print(line)
    if arguments.offline:
        return 0
    return asyncio.run(_reach(settings))


def _described(settings: Settings) -> Iterator[str]:
    catalogue = load_catalogue()
    renderer_of(catalogue, checked=True)
    yield f"environment  {settings.environment}, roles {', '.join(sorted(settings.roles))}"
    yield f"catalogue    {len(catalogue.types)} notification types, {len(catalogue.events)} event types"
    for channel, lane in settings.lanes.items():
        for name in lane.adapters:
            provider(name)
        yield f"{channel:<12} {' then '.join(lane.adapters) or 'off'}"
    for warning in settings.warnings:
        yield f"warning      {warning}"
    for notice in settings.notices:
        yield f"note         {notice}"


async def _reach(settings: Settings) -> int:
    code = 0
    for name, probe in _probes(settings):
        try:
            print(f"{name:<12} {await probe()}")
        except PortError as error:
            print(f"{name:<12} {error}")
            code = 1
    return code


def _probes(settings: Settings) -> Iterator[tuple[str, Callable[[], Awaitable[str]]]]:
    if settings.database.url is not None:

        async def database() -> str:
            async with open_database(settings) as open_one:
                missing = await pending(open_one)
            return f"answers; run `migrate` for {', '.join(missing)}" if missing else "answers, schema up to date"

        yield "database", database
    if settings.kafka.hosts:

        async def kafka() -> str:
            topics = (*settings.kafka.topics, *(spec.name for spec in TOPICS_OUT))
            missing = await missing_topics(kafka_of(settings), topics)
            return f"answers; no topic {', '.join(missing)} yet" if missing else "answers, every topic exists"

        yield "kafka", kafka
    redis = settings.cache.redis_url
    if redis is not None:

        async def cache() -> str:
            await resolve("fn_notifications.adapters.redis.cache:ping")(redis.reveal())
            return "answers"

        yield "cache", cache
