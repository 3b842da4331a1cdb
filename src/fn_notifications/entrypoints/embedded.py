"""Everything the service needs, on this machine: a database, a broker and providers that it cannot tell from real ones.

The service itself has no embedded mode. It is given settings that lead here.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from attrs import evolve, frozen

from fn_notifications.adapters.kafka.embedded import EmbeddedBroker
from fn_notifications.adapters.kafka.topics import TOPICS_OUT
from fn_notifications.adapters.postgres.embedded import embedded_postgres
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, PhoneNumber
from fn_notifications.entrypoints.providers.sendgrid import PATH as SENDGRID_PATH
from fn_notifications.entrypoints.settings import Secret, Settings
from fn_notifications.simulator.server import Simulator

_PARTITIONS: Final = 4
_CARRIED: Final = MappingProxyType({EMAIL: ("sendgrid",), SMS: ("twilio",), WHATSAPP: ("twilio",)})
_NUMBER: Final = PhoneNumber("+15005550006")
_HOST: Final = "127.0.0.1"


@frozen(kw_only=True)
class Embedded:
    """Settings that lead to the parts, and the mailbox in which everything ends."""

    settings: Settings
    simulator: Simulator | None
    parts: tuple[str, ...]


@asynccontextmanager
async def embedded(settings: Settings, directory: Path) -> AsyncIterator[Embedded]:
    """Start the parts that `settings` leaves open and fill them in. Data is kept under `directory`."""
    parts: list[str] = []
    async with AsyncExitStack() as stack:
        if settings.embeds_database:
            url = await stack.enter_async_context(embedded_postgres(directory / "postgres"))
            settings = evolve(settings, database=evolve(settings.database, url=Secret(url)))
            parts.append("PostgreSQL")
        if settings.embeds_kafka:
            broker = stack.enter_context(EmbeddedBroker())
            for topic in (*settings.kafka.topics, *(spec.name for spec in TOPICS_OUT)):
                broker.create_topic(topic, _PARTITIONS)
            settings = evolve(settings, kafka=evolve(settings.kafka, hosts=(broker.bootstrap,), forgets=True))
            parts.append("Kafka")
        simulator = None
        if all(set(lane.adapters) <= {"local"} for lane in settings.lanes.values()):
            simulator = await stack.enter_async_context(Simulator())
            simulator.sendgrid_webhook_url = settings.http.public_url + SENDGRID_PATH
            settings = _led_to(simulator, settings)
            parts.append("SendGrid and Twilio")
        yield Embedded(settings=settings, simulator=simulator, parts=tuple(parts))


def _led_to(simulator: Simulator, settings: Settings) -> Settings:
    return evolve(
        settings,
        lanes={channel: evolve(lane, adapters=_CARRIED[channel]) for channel, lane in settings.lanes.items()},
        sendgrid=evolve(
            settings.sendgrid,
            api_key=Secret(simulator.sendgrid_api_key),
            webhook_key=simulator.sendgrid_public_key,
            base_url=simulator.base_url,
        ),
        twilio=evolve(
            settings.twilio,
            account_sid=Secret(simulator.twilio_account_sid),
            auth_token=Secret(simulator.twilio_auth_token),
            phone_number=_NUMBER,
            whatsapp_number=_NUMBER,
            messaging_service=None,
            base_url=simulator.base_url,
        ),
        allowlist=None,
    )


def on_this_machine(settings: Settings, port: int) -> Settings:
    """The same, listening on loopback only and known by that name."""
    return evolve(settings, http=evolve(settings.http, bind=_HOST, public_host=_HOST, port=port))


def free_port() -> int:
    """A port nobody listens on at this moment."""
    with socket.socket() as probe:
        probe.bind((_HOST, 0))
        return int(probe.getsockname()[1])
