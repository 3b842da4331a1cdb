"""What an operator does to the whole, and what people are told of what waits."""

from datetime import timedelta

import pytest

from fn_notifications import EMAIL, SMS, Outcome, OutcomeKind, Scope, Status
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.operating import Operating
from fn_notifications.application.waiting import waiting_channels
from fn_notifications.domain.commands import Remedy, Settle
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routes import HoldKind


def operating(engine):
    return Operating(
        routes=engine.store.routes,
        deliveries=engine.store.deliveries,
        telemetry=MemoryTelemetry(),
        tenant="default",
        by="eve",
    )


@pytest.fixture
def operator(engine):
    return operating(engine)


async def planned(engine, count=1, type_="invoice"):
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com", "phone": "+15005550006"})
    return [await engine.notifications.send("ana", type_, {"order": n}, id_=f"{type_}-{n}") for n in range(count)]


async def test_a_bad_template_is_stopped_cancelled_and_goes_on(engine, operator, clock):
    await operator.pause(HoldKind.TYPE, "invoice", "bad template")
    await planned(engine, 3)
    await engine.run()
    clock.advance(minutes=1)
    cut = clock.now
    clock.advance(minutes=1)
    await engine.notifications.send("ana", "invoice", {"order": 9}, id_="mended")
    assert await operator.cancel("invoice", cut, "bad template") == {Status.CANCELLED: 3}
    assert await operator.cancel("invoice", cut, "again") == {}
    await operator.resume(HoldKind.TYPE, "invoice")
    await engine.run()
    states = [(one.status, one.reason) for one in engine.store.state.deliveries.values()]
    assert states == [(Status.CANCELLED, Reason.OPERATOR)] * 3 + [(Status.SENT, None)]
    said = [line.event for line in operator.telemetry.lines]
    assert said == ["operator.pause", "operator.cancel", "operator.cancel", "operator.resume"]
    assert all(line.fields["by"] == "eve" for line in operator.telemetry.lines)


async def test_explain_says_who_cancelled_it_and_why(engine, operator, clock):
    (one,) = await planned(engine)
    clock.advance(minutes=1)
    await operator.cancel("invoice", clock.now, "bad template")
    steps = (await engine.notifications.explain(one.id)).steps
    assert [step.text for step in steps if step.what == "changed"] == [
        "cancelled: an operator decided: bad template (by eve)"
    ]


async def test_what_may_have_gone_out_is_not_counted_as_cancelled(engine_with, clock):
    class Lost:
        async def send(self, messages):
            return [Outcome(kind=OutcomeKind.IN_DOUBT, code="timeout")] * len(messages)

    engine = engine_with(Lost())
    await planned(engine)
    await engine.run()
    (key,) = engine.store.state.deliveries
    await engine.store.deliveries.change([key], lambda *_: Settle(remedy=Remedy.RESEND))
    clock.advance(minutes=1)
    assert await operating(engine).cancel("invoice", clock.now, "") == {Status.UNCONFIRMED: 1}


async def test_the_first_pause_stays_and_is_told(engine, operator):
    assert await operator.pause(HoldKind.TYPE, "invoice", "bad template") is None
    hold = await operator.pause(HoldKind.TYPE, "invoice", "another reason")
    assert (hold.by, hold.reason) == ("eve", "bad template")
    assert [line.fields["why"] for line in operator.telemetry.lines] == ["bad template"]


async def test_a_cancellation_goes_through_every_page(engine, operator, clock):
    await planned(engine, 7)
    clock.advance(minutes=1)
    real, pages = engine.store.deliveries, []

    class Small:
        def __getattr__(self, name):
            return getattr(real, name)

        async def waiting(self, *arguments, after=None):
            pages.append(after)
            return await real.waiting(*arguments, after=after, limit=2)

    whole = Operating(
        routes=operator.routes, deliveries=Small(), telemetry=operator.telemetry, tenant="default", by="eve"
    )
    assert await whole.count("invoice", clock.now) == 7
    assert len(pages) == 4
    assert await whole.cancel("invoice", clock.now, "") == {Status.CANCELLED: 7}
    assert len(pages) == 8
    assert await whole.count("invoice", clock.now) == 0


async def test_a_pin_says_until_when(engine, operator, clock):
    assert await operator.pin("memory/email", timedelta(hours=2), "cheaper") == clock.now + timedelta(hours=2)
    assert await operator.unpin("memory/email")
    assert not await operator.unpin("memory/email")


async def test_explain_says_who_holds_it_and_why(engine, operator):
    (one,) = await planned(engine)
    await operator.pause(HoldKind.CHANNEL, EMAIL, "bounces")
    await engine.run()
    (sentence,) = (await engine.notifications.explain(one.id)).waits
    assert sentence.startswith("email: channel email is held back by eve since 2026-06-01")
    assert sentence.endswith(": bounces")


async def test_explain_says_what_is_shut_until_when_and_by_which_answer(engine_with, clock):
    class Refused:
        async def send(self, messages):
            return [Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT, code="http_401")] * len(messages)

    engine = engine_with(Refused())
    (one,) = await planned(engine)
    await engine.run()
    (sentence,) = (await engine.notifications.explain(one.id)).waits
    assert sentence == "email: account memory is shut until 2026-06-01 12:05:00 UTC (it said http_401)"
    clock.advance(minutes=5)
    (sentence,) = (await engine.notifications.explain(one.id)).waits
    assert "the next call tries it" in sentence


async def test_explain_says_that_others_are_before_it(engine):
    (one,) = await planned(engine)
    assert (await engine.notifications.explain(one.id)).waits == (
        "email: others are before it: it goes as soon as there is room",
    )
    await engine.run()
    assert (await engine.notifications.explain(one.id)).waits == ()


async def test_what_cannot_go_within_the_horizon_is_not_due(engine, operator):
    await planned(engine, 2, "shipped")
    await operator.pause(HoldKind.CHANNEL, EMAIL, "")
    lanes = {EMAIL: ("memory/email",), SMS: ("memory/sms",)}
    waiting = waiting_channels(lanes, await operator.board(), timedelta(minutes=1))
    assert list(waiting) == [EMAIL]
    unsettled = await engine.store.history.unsettled(timedelta(minutes=1), waiting)
    assert unsettled.due_soon == 2
