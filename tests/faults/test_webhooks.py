"""Webhooks at their worst, over HTTP: early, late, twice, forged, by the thousand. Rows 15, 16, 17, 19 and 20."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from aiohttp.test_utils import TestClient, TestServer
from attrs import define, evolve
from tests.services.reports import Posted, SendGridWebhookPosts, Told, TwilioWebhookPosts, Webhook, doors

from fn_notifications import EMAIL, SMS, NotificationType, Outcome, OutcomeKind
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.postgres.pool import Database, fetch
from fn_notifications.adapters.transport.aiohttp import open_transport
from fn_notifications.adapters.transport.http import HttpTransport
from fn_notifications.application.ports.receipts import Receipts
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.identity import attempt_id
from fn_notifications.domain.lifecycle import Status
from fn_notifications.entrypoints.http.app import application
from fn_notifications.entrypoints.library import MemoryEngine
from fn_notifications.testing.contracts.stores import Stores

SENDGRID, TWILIO = SendGridWebhookPosts(), TwilioWebhookPosts()
PEOPLE = {EMAIL: {"email": "ana@example.com"}, SMS: {"phone": "+15005550100"}}
TYPES = tuple(NotificationType(name=f"by-{channel}", channels=(channel,)) for channel in PEOPLE)
TEXTS = {type_.name: {"subject": "A note", "text": "A note for you."} for type_ in TYPES}
ORDERS = {
    "sendgrid": ("processed", "deferred", "delivered", "bounce"),
    "twilio": ("sent", "delivered", "undelivered", "read"),
}
FAILURES = {"sendgrid": ("processed", "deferred", "bounce"), "twilio": ("queued", "sent", "failed")}


@pytest.fixture(params=[SENDGRID, TWILIO], ids=lambda webhook: webhook.name)
def webhook(request: pytest.FixtureRequest) -> Webhook:
    found: Webhook = request.param
    return found


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    async with open_transport() as opened:
        yield opened


@define
class Site:
    """An engine, and its doors behind a real HTTP server."""

    engine: MemoryEngine
    client: TestClient
    telemetry: MemoryTelemetry

    async def post(self, posted: Posted) -> int:
        async with self.client.post(posted.path, data=posted.body, headers=posted.headers) as answer:
            return answer.status

    async def send(self, webhook: Webhook, name: str = "1") -> str:
        """Ask for a message by a provider's channel; the id its first attempt will have."""
        await self.engine.notifications.set_preferences("ana", PEOPLE[webhook.channel])
        sent = await self.engine.notifications.send("ana", f"by-{webhook.channel}", {}, id_=name)
        return attempt_id(sent.id, 1, 1)

    @property
    def deliveries(self) -> Sequence[Delivery]:
        return tuple(self.engine.store.state.deliveries.values())

    @property
    def statuses(self) -> list[Status | None]:
        return [delivery.status for delivery in self.deliveries]


@asynccontextmanager
async def opened(transport: HttpTransport, **more) -> AsyncIterator[Site]:
    telemetry = MemoryTelemetry()
    engine = MemoryEngine(types=TYPES, templates=TEXTS, telemetry=telemetry, **more)
    ways_in = doors(engine.store.receipts, telemetry, transport, sendgrid_key=SENDGRID.public_key)
    async with TestClient(TestServer(application(ways_in, None))) as client:
        yield Site(engine, client, telemetry)


@pytest.fixture
async def site(transport: HttpTransport) -> AsyncIterator[Site]:
    async with opened(transport) as site:
        yield site


def told(webhook: Webhook, word: str, attempt: str, key: str = "1", **more: str) -> Told:
    (to,) = PEOPLE[webhook.channel].values()
    return Told(word=word, attempt_id=attempt, key=key, to=to, more=more)


async def test_fault_15_a_report_that_overtakes_our_commit_is_kept(transport: HttpTransport, webhook: Webhook) -> None:
    """It comes while the call is still on the wire, before the provider's own id is stored."""

    class Overtaken:
        async def send(self, messages):
            (message,) = messages
            assert await site.post(webhook.post([told(webhook, "delivered", message.attempt_id)])) == 204
            await site.engine.receipts.once()
            return [Outcome(kind=OutcomeKind.ACCEPTED, provider_id="p-1")]

    async with opened(transport, senders={webhook.channel: Overtaken()}) as site:
        await site.send(webhook)
        await site.engine.run()
    assert site.statuses == [Status.DELIVERED]


async def test_fault_15_a_report_ahead_of_everything_waits_for_its_attempt(site: Site, webhook: Webhook) -> None:
    """It is about an attempt that nobody has begun yet."""
    attempt = await site.send(webhook)
    assert await site.post(webhook.post([told(webhook, "delivered", attempt)])) == 204
    assert (await site.engine.receipts.once()).waiting == 1
    assert site.statuses == [Status.PENDING]
    await site.engine.run()
    await site.engine.receipts.once()
    assert site.statuses == [Status.DELIVERED]


async def test_fault_16_a_report_that_comes_ten_times_at_once_is_one(site: Site, webhook: Webhook) -> None:
    """One receipt, one change, one event."""
    attempt = await site.send(webhook)
    await site.engine.run()
    report = webhook.post([told(webhook, "delivered", attempt)])
    assert await asyncio.gather(*[site.post(report) for _ in range(10)]) == [204] * 10
    assert len(site.engine.store.state.inbox) == 1
    await site.engine.run()
    assert site.statuses == [Status.DELIVERED]
    entries = await site.engine.store.eventlog.take("reader", 100)
    assert [entry.topic for entry in entries].count("fn-notifications.notification.delivered") == 1


@pytest.mark.parametrize(("words", "end"), [(ORDERS, Status.DELIVERED), (FAILURES, Status.FAILED)])
async def test_fault_17_every_order_of_reports_comes_to_the_same_end(
    site: Site, webhook: Webhook, words: dict[str, tuple[str, ...]], end: Status
) -> None:
    """A delivery that was confirmed stays one, whatever is said after or was said before."""
    for number, order in enumerate(permutations(words[webhook.name])):
        attempt = await site.send(webhook, str(number))
        await site.engine.run()
        for word in order:
            more = {"type": "blocked", "reason": "421 later"} if word == "bounce" else {}
            posted = webhook.post([told(webhook, word, attempt, f"{number}-{word}", **more)])
            assert await site.post(posted) == 204
            await site.engine.receipts.once()
        assert site.statuses[-1] is end, order


def _altered(posted: Posted) -> Posted:
    assert b"delivered" in posted.body
    return evolve(posted, body=posted.body.replace(b"delivered", b"processed"))


def _resigned(posted: Posted) -> Posted:
    """The signature of another request."""
    stranger = {"sendgrid": SendGridWebhookPosts(), "twilio": TwilioWebhookPosts(token="somebody else's")}
    name = posted.path.split("/")[3].partition("?")[0]
    others = stranger[name].post([Told(word="delivered", attempt_id="1-1-1", key="1", to="x")])
    signatures = {header: value for header, value in others.headers.items() if "Signature" in header}
    return evolve(posted, headers={**posted.headers, **signatures})


def _unsigned(posted: Posted) -> Posted:
    return evolve(posted, headers={"Content-Type": posted.headers["Content-Type"]})


@pytest.mark.parametrize("forge", [_altered, _resigned, _unsigned])
async def test_fault_19_what_is_not_signed_by_the_provider_changes_nothing(
    site: Site, webhook: Webhook, forge: Callable[[Posted], Posted]
) -> None:
    attempt = await site.send(webhook)
    await site.engine.run()
    genuine = webhook.post([told(webhook, "delivered", attempt)])
    assert await site.post(forge(genuine)) == 401
    assert site.engine.store.state.inbox == []
    assert site.telemetry.total("webhooks.refused", provider=webhook.name) == 1
    assert await site.post(genuine) == 204


async def test_fault_19_a_callback_for_another_attempt_is_not_believed(site: Site) -> None:
    """Twilio signs the address it posts to: our id in it cannot be exchanged."""
    attempt = await site.send(TWILIO)
    await site.engine.run()
    genuine = TWILIO.post([told(TWILIO, "delivered", "0" * 32 + "-1-1")])
    assert await site.post(evolve(genuine, path=genuine.path.replace("0" * 32 + "-1-1", attempt))) == 401
    assert site.statuses == [Status.SENT]


@pytest.mark.parametrize("age", [timedelta(hours=26), timedelta(days=365), timedelta(hours=-1)])
async def test_fault_19_an_old_signature_is_not_believed(site: Site, age: timedelta) -> None:
    """SendGrid signs the time; what it repeats for a day is still taken."""
    attempt = await site.send(SENDGRID)
    await site.engine.run()
    now = datetime.now(UTC)
    report = [told(SENDGRID, "delivered", attempt)]
    assert await site.post(SENDGRID.post(report, at=now - age)) == 401
    assert site.engine.store.state.inbox == []
    assert await site.post(SENDGRID.post(report, at=now - timedelta(hours=23))) == 204


async def test_fault_19_a_replay_is_stored_once(site: Site, webhook: Webhook) -> None:
    """A signature that was seen before is what a provider's own repetition looks like: taken, and nothing new."""
    attempt = await site.send(webhook)
    await site.engine.run()
    report = webhook.post([told(webhook, "delivered", attempt)])
    assert await site.post(report) == 204
    await site.engine.run()
    before = site.deliveries
    assert await site.post(report) == 204
    assert site.engine.store.state.inbox == []
    await site.engine.run()
    assert site.deliveries == before


async def _flood(receipts: Receipts, transport: HttpTransport) -> tuple[int, int]:
    """Post 3,000 reports as SendGrid does and 200 as Twilio does, all at once and every request twice. Returns how
    many were told and how many answers were not 2xx.
    """
    reports = [Told(word="open", attempt_id=f"{n:032x}-1-1", key=str(n), to="ana@example.com") for n in range(3000)]
    batches = [SENDGRID.post(reports[start : start + 500]) for start in range(0, 3000, 500)]
    singles = [
        TWILIO.post([Told(word="sent", attempt_id=f"{n:032x}-1-1", key=str(n), to="+15005550100")]) for n in range(200)
    ]
    ways_in = doors(receipts, MemoryTelemetry(), transport, sendgrid_key=SENDGRID.public_key)
    async with TestClient(TestServer(application(ways_in, None))) as client:

        async def post(posted: Posted) -> bool:
            async with client.post(posted.path, data=posted.body, headers=posted.headers) as answer:
                return answer.status == 204

        taken = await asyncio.gather(*[post(posted) for posted in [*batches, *singles] * 2])
    return 3200, taken.count(False)


async def test_fault_20_a_flood_of_reports_is_stored_once_and_sending_goes_on(
    site: Site, transport: HttpTransport
) -> None:
    for number in range(50):
        await site.send(SENDGRID, f"mail-{number}")
        await site.send(TWILIO, f"text-{number}")
    (told_of, refused), _ = await asyncio.gather(
        _flood(site.engine.store.receipts, transport), site.engine.dispatch.once()
    )
    await site.engine.run()
    assert refused == 0
    assert len(site.engine.store.state.receipt_keys) == told_of
    assert len(site.engine.mailbox.messages()) == 100


@pytest.mark.external
async def test_fault_20_a_flood_of_reports_is_stored_once_in_postgresql(
    world: tuple[Stores, Database], transport: HttpTransport
) -> None:
    stores, database = world
    told_of, refused = await _flood(stores.receipts, transport)
    async with database.transaction() as connection:
        (row,) = await fetch(connection, "SELECT count(*) AS stored FROM receipts")
    assert (refused, row.stored) == (0, told_of)
