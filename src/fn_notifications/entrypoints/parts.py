"""Settings to single parts, each by itself: what the composition root puts together and some commands need alone."""

import tomllib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from importlib import resources
from pathlib import Path
from typing import Final

from attrs import evolve

from fn_notifications.adapters.addresses.canonical import CanonicalAddresses
from fn_notifications.adapters.jmespath.paths import JmesPaths
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.adapters.postgres.pool import Database, open_pool
from fn_notifications.adapters.postgres.store import PostgresStore
from fn_notifications.adapters.templates.jinja import JinjaRenderer
from fn_notifications.adapters.vault.aes import AesVault
from fn_notifications.adapters.vault.keys import Keys
from fn_notifications.adapters.zones.numbers import zones_of
from fn_notifications.adapters.zones.tz import zone
from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.loading import load
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import CHANNELS, AllowList, Policy
from fn_notifications.entrypoints.settings import Settings

_CATALOGUE: Final = Path(str(resources.files("fn_notifications") / "catalogue"))


def vault_of(settings: Settings) -> AesVault:
    """The vault the settings' keys make."""
    keys = Keys(
        sealing=tuple((key.id, key.key.reveal()) for key in settings.vault.contact_keys),
        lookup=settings.vault.lookup_key.reveal(),
    )
    return AesVault(keys)


def policy_of(settings: Settings) -> Policy:
    """The rules' surroundings: which channels somebody carries, whom we may reach, how long to wait for contacts."""
    allowed, grace = settings.allowlist, settings.queue.doubt_grace
    return Policy(
        zones=zone,
        zones_of=zones_of,
        channels={
            channel: evolve(
                rules,
                has_sender=channel in settings.lanes and settings.lanes[channel].on,
                grace=rules.grace if grace is None else timedelta(seconds=grace),
            )
            for channel, rules in CHANNELS.items()
        },
        contact_grace=timedelta(seconds=settings.intake.contact_grace),
        allowlist=AllowList(entries=allowed.addresses | allowed.domains) if allowed else None,
    )


def load_catalogue() -> Catalogue:
    """The shipped catalogue. Raises CatalogueError, naming every mistake."""
    document = tomllib.loads((_CATALOGUE / "findly.toml").read_text(encoding="utf-8"))
    return load(document, JmesPaths(), CanonicalAddresses(), zone)


def renderer_of(catalogue: Catalogue, *, checked: bool = False) -> JinjaRenderer:
    """The shipped templates. `checked`: reads them all; raises Misconfigured, naming what would go wrong later."""
    renderer = JinjaRenderer(catalogue, [_CATALOGUE / "templates"], zone)
    if checked and (problems := renderer.problems()):
        raise Misconfigured("templates: " + "; ".join(problems))
    return renderer


def kafka_of(settings: Settings) -> KafkaSettings:
    """The broker as its adapter wants to be told."""
    kafka = settings.kafka
    return KafkaSettings(
        bootstrap=",".join(kafka.hosts),
        group_id=kafka.group,
        topics=kafka.topics,
        username=kafka.username.reveal() if kafka.username else None,
        password=kafka.password.reveal() if kafka.password else None,
        ssl=kafka.tls,
        sasl_mechanism=kafka.mechanism,
        intake_start=settings.intake.start,
        group_protocol=kafka.group_protocol,
        extra={name: value.reveal() for name, value in kafka.properties.items()},
    )


def routes_of(settings: Settings) -> Mapping[Channel, Sequence[str]]:
    """Each channel's routes in order of failover: a provider's account carrying the channel."""
    return {
        channel: tuple(f"{name}/{channel}" for name in lane.adapters)
        for channel, lane in settings.lanes.items()
        if lane.on
    }


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator[Database]:
    """The configured database. Raises Unavailable when it cannot be reached."""
    if settings.database.url is None:
        raise Misconfigured("DATABASE_URL is missing")
    async with open_pool(settings.database.url.reveal(), size=settings.database.pool_size) as database:
        yield database


def store_on(database: Database, settings: Settings) -> PostgresStore:
    """Every store port on a database."""
    return PostgresStore(
        database=database,
        vault=vault_of(settings),
        channels=policy_of(settings).channels,
        tenant=settings.tenant,
    )
