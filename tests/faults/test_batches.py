"""Several messages in one call, and one of them is at fault. Row 13."""

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from tests.faults.acts import RESEND, event, holds, in_status, rows, told
from tests.services.deployment import until

from fn_notifications import EMAIL, InDoubt, NotificationType
from fn_notifications.adapters.sendgrid.sender import SendGridSender
from fn_notifications.adapters.sendgrid.settings import SendGridSettings
from fn_notifications.adapters.transport.aiohttp import open_transport
from fn_notifications.application.call import Lane
from fn_notifications.application.ports.intake import Original, Position
from fn_notifications.application.translate import Envelope
from fn_notifications.application.understand import Understood
from fn_notifications.domain.address import EmailAddress
from fn_notifications.domain.identity import attempt_id, event_identity
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Request
from fn_notifications.domain.preferences import UserRef
from fn_notifications.entrypoints.library import MemoryEngine
from fn_notifications.simulator.behaviour import EMAILS
from fn_notifications.simulator.server import Simulator


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture
async def engine(simulator: Simulator, batch: int) -> AsyncIterator[MemoryEngine]:
    """Sends through SendGrid, a whole batch in its first wave; its clock stands still."""
    async with open_transport() as transport:
        settings = SendGridSettings(
            api_key=simulator.sendgrid_api_key,
            from_email=EmailAddress("hello@example.com"),
            base_url=simulator.base_url,
        )
        engine = MemoryEngine(
            types=[NotificationType(name="news", in_doubt=InDoubt.RESEND, optional=("name",))],
            templates={"news": {"subject": "News, {name}", "text": "For {name}.", "html": "<p>For {name}.</p>"}},
            clock=lambda: datetime(2026, 6, 1, 12, tzinfo=UTC),
            chance=lambda: 0.5,
        )
        engine.dispatch.switchboard.wave = batch
        route = "sendgrid/email"
        routes = {route: SendGridSender(settings, transport)}
        engine.dispatch.switchboard.lanes = {
            EMAIL: Lane(channel=EMAIL, routes=routes, slots=batch, batches={route: batch})
        }
        yield engine


async def tell(engine: MemoryEngine, *words: str) -> None:
    """One event about them all."""
    for word in words:
        await engine.notifications.set_preferences(word, {"email": f"{word}@example.com"})
    identity, at = event_identity("test", "news", "1"), engine.clock()
    requests = [
        Request(
            identity=identity,
            user=UserRef(tenant="default", user_id=word),
            type="news",
            event_at=at,
            variables={"name": word},
        )
        for word in words
    ]
    envelope = Envelope(type="news", identity=identity, digest=identity, at=at, correlation_id=None, body={})
    original = Original(position=Position(topic="test", partition=0, offset=0), timestamp=at, value=b"{}")
    event = Understood(envelope=envelope, original=original, requests=tuple(requests), direct=True)
    await engine.notifications.intake.submit([event])
    await engine.run()


def statuses(engine: MemoryEngine) -> Counter[Status | None]:
    return Counter(delivery.status for delivery in engine.store.state.deliveries.values())


def tried(engine: MemoryEngine) -> Counter[int]:
    """How many attempts deliveries took."""
    return Counter(len(delivery.attempts) for delivery in engine.store.state.deliveries.values())


def accepted(simulator: Simulator) -> Counter[str]:
    return Counter(kept.to for kept in simulator.messages() if kept.answer == "accepted")


def every_request_has_its_attempts(engine: MemoryEngine, simulator: Simulator) -> bool:
    """Each attempt there is was in one request, and nothing else was."""
    recorded = [attempt.id for delivery in engine.store.state.deliveries.values() for attempt in delivery.attempts]
    return Counter(recorded) == Counter(kept.attempt_id for kept in simulator.messages())


@pytest.mark.parametrize("batch", [1000])
async def test_fault_13_one_bad_address_fails_alone_and_999_go_out_once(engine, simulator) -> None:
    """Named by the answer, it is left behind; the others go again at once, in two halves, and lose no try."""
    people = [f"person-{number}" for number in range(999)]
    await tell(engine, *people[:500], "reject", *people[500:])
    assert statuses(engine) == {Status.SENT: 999, Status.FAILED: 1}
    assert accepted(simulator) == dict.fromkeys((f"{person}@example.com" for person in people), 1)
    assert simulator.requests_total == 3
    assert tried(engine) == {2: 999, 1: 1}
    assert all(delivery.spent == delivery.waits == 0 for delivery in engine.store.state.deliveries.values())
    assert every_request_has_its_attempts(engine, simulator)


@pytest.mark.parametrize("batch", [64])
async def test_fault_13_who_is_at_fault_without_being_named_soon_stands_alone(engine, simulator) -> None:
    """Halved six times at most, whatever company a message comes into."""
    people = [f"person-{number}" for number in range(61)]
    await tell(engine, "reject-content", *people, "reject-content+1", "reject-content+2")
    assert statuses(engine) == {Status.SENT: 61, Status.FAILED: 3}
    assert set(accepted(simulator).values()) == {1}
    assert max(tried(engine)) <= 7
    assert all(delivery.spent == 0 for delivery in engine.store.state.deliveries.values())
    assert every_request_has_its_attempts(engine, simulator)


@pytest.mark.parametrize("batch", [50])
async def test_fault_13_each_gets_its_own_words(engine, simulator) -> None:
    """What differs between people differs in what they get."""
    await tell(engine, *(f"person-{number}" for number in range(50)))
    assert simulator.requests_total == 1
    for kept in simulator.messages():
        name = kept.to.partition("@")[0]
        assert (kept.subject, kept.text, kept.html) == (f"News, {name}", f"For {name}.", f"<p>For {name}.</p>")


@pytest.mark.parametrize("batch", [10])
async def test_fault_13_a_call_without_an_answer_leaves_each_in_doubt_and_counts_once(engine, simulator) -> None:
    """None of them is sent again by itself, and for the way it is one failure, not ten."""
    await tell(engine, "reset-after", *(f"person-{number}" for number in range(9)))
    assert statuses(engine) == {Status.IN_DOUBT: 10}
    assert simulator.requests_total == 1
    assert not engine.dispatch.switchboard.board.stops


@pytest.mark.external
async def test_fault_13_a_running_service_shares_calls_and_a_refusal_fails_one(act) -> None:
    """With its own settings, on the shipped catalogue; each request and each attempt is the other's."""
    async with act({7: [EMAILS["reject"]]}, people=60) as scene:
        (worker,) = scene.workers
        scene.deployment.publish([event(number, RESEND) for number in range(1, 61)])
        await worker.start()
        await until(holds(scene, in_status("delivered"), 59))
        assert await rows(scene, in_status("failed")) == [(1,)]
        calls = scene.simulator.calls()
        carried = [attempt for call in calls for attempt in call.attempts]
        recorded = await rows(scene, "SELECT notification_id, delivery_no, no FROM attempts")
        assert Counter(carried) == Counter(attempt_id(*one) for one in recorded)
        assert len(calls) < 30
        assert await told(scene) == (0, 0)
