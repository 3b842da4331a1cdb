"""Graces by what each account does, and what an operator can do about a doubt."""

from datetime import timedelta

import pytest
from attrs import define

from fn_notifications import EMAIL, SMS, Outcome, OutcomeKind, Status
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.doubts import Doubts, measure_doubts
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.explain import summary
from fn_notifications.domain.errors import IllegalTransition, InvalidValue
from fn_notifications.domain.events import Ruling
from fn_notifications.entrypoints.cli.in_doubt import _document
from fn_notifications.entrypoints.cli.resolve import _named

MINUTE = timedelta(minutes=1)


@define
class InDoubt:
    """Nobody knows what became of the first messages."""

    doubts: int = 1
    calls: int = 0

    async def send(self, messages):
        self.calls += 1
        kind = OutcomeKind.IN_DOUBT if self.calls <= self.doubts else OutcomeKind.ACCEPTED
        return [Outcome(kind=kind, code="timeout" if self.calls <= self.doubts else None)] * len(messages)


@define
class Inbox:
    providers: frozenset[str] = frozenset()
    down: bool = False

    async def reporting(self) -> frozenset[str]:
        if self.down:
            raise Unavailable("gone")
        return self.providers


@pytest.fixture
async def doubt(engine_with):
    engine = engine_with(InDoubt())
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com"})
    sent = await engine.notifications.send("ana", "invoice", {"order": "42"}, id_="1")
    await engine.run()
    story = await engine.store.history.story("default", sent.id)
    return engine, story.notification.deliveries[0]


async def test_a_provider_that_reported_gets_the_channels_grace(doubt):
    engine, delivery = doubt
    doubts = Doubts(policy=engine.policy, receipts=Inbox(frozenset({"memory"})))
    await doubts.look()
    assert doubts.grace(delivery, now=engine.clock()) == 60 * MINUTE


async def test_one_that_never_did_gets_none_but_a_moment_to_be_asked(doubt):
    engine, delivery = doubt
    silent = Doubts(policy=engine.policy, receipts=Inbox())
    askable = Doubts(policy=engine.policy, receipts=Inbox(), askable=["memory/email"])
    for doubts in (silent, askable):
        await doubts.look()
    assert silent.grace(delivery, now=engine.clock()) == timedelta()
    assert askable.grace(delivery, now=engine.clock()) == timedelta(seconds=30)
    assert (silent.ask_after("memory/email"), askable.ask_after("memory/email")) == (None, timedelta(hours=1))


async def test_as_long_as_nobody_knows_every_provider_is_waited_for(doubt):
    engine, delivery = doubt
    inbox = Inbox(down=True)
    doubts = Doubts(policy=engine.policy, receipts=inbox)
    await doubts.look()
    assert doubts.grace(delivery, now=engine.clock()) == 60 * MINUTE
    inbox.down = False
    await doubts.look()
    assert doubts.grace(delivery, now=engine.clock()) == timedelta()


async def test_what_is_open_is_said_for_every_channel(doubt):
    engine, _ = doubt
    telemetry = MemoryTelemetry()
    await measure_doubts(engine.store.history, "default", engine.policy, telemetry)
    assert [telemetry.level("doubts.open", channel=channel) for channel in (EMAIL, SMS)] == [1, 0]


@pytest.mark.parametrize(("by", "ruling"), [("no", Ruling.SENT), ("channel", Ruling.FAILED)])
async def test_an_operator_resolves_by_number_or_channel(doubt, by, ruling):
    engine, delivery = doubt
    named = {"no": delivery.key.no} if by == "no" else {"channel": EMAIL}
    resolved = await engine.notifications.resolve(delivery.key.notification_id, ruling, "seen it", **named)
    assert resolved.status == ruling
    assert "the provider said" not in summary(resolved)
    explanation = await engine.notifications.explain(delivery.key.notification_id)
    assert "resolved: an operator decided: seen it" in [step.text for step in explanation.steps]
    with pytest.raises(IllegalTransition):
        await engine.notifications.resolve(delivery.key.notification_id, ruling, "seen it", **named)


async def test_a_resend_goes_out_at_once_although_the_type_holds(doubt):
    engine, delivery = doubt
    await engine.notifications.resolve(delivery.key.notification_id, Ruling.RESEND, "they called", no=1)
    await engine.run()
    story = await engine.store.history.story("default", delivery.key.notification_id)
    assert (story.notification.status, len(story.notification.deliveries[0].attempts)) == (Status.SENT, 2)


async def test_there_is_nothing_to_resolve_where_there_is_nothing(doubt):
    engine, delivery = doubt
    id_ = delivery.key.notification_id
    assert await engine.notifications.resolve(id_, Ruling.SENT, "x", no=7) is None
    assert await engine.notifications.resolve(id_, Ruling.SENT, "x", channel=SMS) is None
    assert await engine.notifications.resolve(type(id_)(int=1), Ruling.SENT, "x", no=1) is None
    with pytest.raises(InvalidValue):
        await engine.notifications.resolve(id_, Ruling.SENT, "two\nlines", no=1)


async def test_what_waits_for_an_operator_is_listed(doubt, clock):
    engine, delivery = doubt
    assert await engine.notifications.in_doubt(9) == []
    (left,) = await engine.notifications.in_doubt(9, held=False)
    assert _document(left)["waits_for"] == "report"
    clock.advance(hours=2)
    await engine.run()
    (held,) = await engine.notifications.in_doubt(9)
    shown = _document(held)
    assert (shown["delivery_id"], shown["waits_for"], shown["code"]) == (delivery.key.event_key, "operator", "timeout")


@pytest.mark.parametrize(
    ("text", "no"),
    [
        ("01a20388697a8e1c838feb7997ee4647-2", 2),
        ("01a20388697a8e1c838feb7997ee4647", None),
        ("01a20388-697a-8e1c-838f-eb7997ee4647", None),
    ],
)
def test_a_delivery_is_named_by_its_id_or_its_notifications(text, no):
    assert _named(text)[1] == no


@pytest.mark.parametrize("text", ["", "nonsense", "01a20388697a8e1c838feb7997ee4647-0", "01a2-1", "-1"])
def test_what_names_none_is_none(text):
    assert _named(text) is None
