"""Who said no to a provider hears nothing more, from the provider's word to the row. Rows 21 and 25."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from attrs import define
from tests.services.providers import OURS, PROVIDERS, Provider
from tests.services.reports import doors

from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.transport.aiohttp import open_transport
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.reasons import Reason
from fn_notifications.entrypoints.embedded import free_port
from fn_notifications.entrypoints.http.app import application, serve
from fn_notifications.entrypoints.library import MemoryEngine
from fn_notifications.simulator.server import Simulator
from fn_notifications.testing.waiting import eventually


@define
class Town:
    """One provider's simulator with the service around it: what it reports comes in by the service's own doors."""

    provider: Provider
    simulator: Simulator
    engine: MemoryEngine
    base_url: str

    async def send(self, user: str, word: str, name: str) -> Delivery:
        """A note to somebody, and all that comes of it."""
        await self.engine.notifications.set_preferences(user, self.provider.person(word))
        sent = await self.engine.notifications.send(user, "note", {}, id_=name)
        await self.settle()
        return self.engine.store.state.whole(("default", sent.id)).deliveries[0]

    async def settle(self) -> None:
        await self.engine.run()
        await eventually(lambda: not self.simulator.reporting)
        await self.engine.run()

    @property
    def causes(self) -> set[str]:
        """Why addresses are suppressed."""
        found = self.engine.store.state.suppressions.values()
        return {cause for said in found for cause, (_, opted_out) in said.items() if opted_out}


@asynccontextmanager
async def town_of(provider: Provider) -> AsyncIterator[Town]:
    base_url = f"http://127.0.0.1:{free_port()}"
    async with Simulator() as simulator, open_transport() as transport:
        simulator.sendgrid_webhook_url = f"{base_url}/api/webhooks/sendgrid"
        engine = provider.engine(
            provider.sender(simulator, transport, callbacks=f"{base_url}/api/webhooks/twilio/status")
        )
        ways_in = doors(
            engine.store.receipts,
            MemoryTelemetry(),
            transport,
            sendgrid_key=simulator.sendgrid_public_key,
            twilio_token=simulator.twilio_auth_token,
            public_url=base_url,
        )
        async with serve(application(ways_in, None), "127.0.0.1", int(base_url.rpartition(":")[2])):
            yield Town(provider, simulator, engine, base_url)


EMAIL_BY, SMS_BY, WHATSAPP_BY = PROVIDERS[:3]


@pytest.mark.parametrize(
    ("provider", "word", "cause"),
    [
        (SMS_BY, "21610", "stop"),
        (SMS_BY, "reported-21610", "stop"),
        (WHATSAPP_BY, "21610", "stop"),
        (WHATSAPP_BY, "reported-63014", "stop"),
        (EMAIL_BY, "drop-unsubscribed", "unsubscribe"),
        (EMAIL_BY, "drop", "bounce"),
        (EMAIL_BY, "drop-spam", "complaint"),
    ],
    ids=str,
)
async def test_fault_25_who_does_not_want_it_is_not_asked_again(provider: Provider, word: str, cause: str) -> None:
    """The address is suppressed, whoever has it: not one request more, by whatever message."""
    async with town_of(provider) as town:
        first = await town.send("ana", word, "1")
        assert first.status is Status.FAILED
        assert len(first.attempts) == town.simulator.requests_total == 1
        assert town.causes == {cause}
        again = await town.send("ana", word, "2")
        neighbour = await town.send("ben", word, "3")
        for delivery in (again, neighbour):
            assert (delivery.status, delivery.reason) == (Status.SKIPPED, Reason.SUPPRESSED)
        assert town.simulator.requests_total == 1


@pytest.mark.parametrize("provider", [SMS_BY, WHATSAPP_BY], ids=str)
async def test_fault_21_a_stop_that_comes_while_the_message_waits_is_heeded(provider: Provider) -> None:
    """Somebody texts STOP between the request and the call."""
    async with town_of(provider) as town:
        await town.engine.notifications.set_preferences("ana", provider.person("accept"))
        sent = await town.engine.notifications.send("ana", "note", {}, id_="1")
        prefix = "whatsapp:" if provider is WHATSAPP_BY else ""
        sender, to = (f"{prefix}{one.value}" for one in (provider.address("accept"), OURS))
        status = await town.simulator.text_in(
            f"{town.base_url}/api/webhooks/twilio/inbound", sender=sender, to=to, body="Stop."
        )
        assert status == 204
        await town.engine.receipts.once()
        await town.settle()
        (delivery,) = town.engine.store.state.whole(("default", sent.id)).deliveries
        assert (delivery.status, delivery.reason) == (Status.SKIPPED, Reason.SUPPRESSED)
        assert town.simulator.requests_total == 0
