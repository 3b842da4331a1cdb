"""What is told of a notification: that it is true now, and that what was told once stays told."""

import json
from datetime import datetime, timedelta
from random import Random

import pytest
from attrs import asdict, evolve
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications import EMAIL, Outcome, OutcomeKind, Priority, Scope, Status
from fn_notifications.application.changes import overruled, second_thoughts
from fn_notifications.application.explain import Step, explain
from fn_notifications.application.outward import FAILED
from fn_notifications.application.ports.history import Story
from fn_notifications.domain.commands import Report
from fn_notifications.domain.events import Evidence, Finding, Ruling
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.preferences import UserRef
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.domain.routes import HoldKind
from fn_notifications.entrypoints.cli.explain import _text
from fn_notifications.testing.histories import START, TTL, history

ANA = {"email": "ana@example.com", "phone": "+15005550006"}
DOUBT = Outcome(kind=OutcomeKind.IN_DOUBT, code="timeout")
KINDS = {
    Evidence.ACCEPTED: ReceiptKind.ACCEPTED,
    Evidence.UNDELIVERED: ReceiptKind.BOUNCED,
    Evidence.DELIVERED: ReceiptKind.DELIVERED,
}


class Answers:
    """A provider whose calls come to this, one after the other."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.outcomes = list(outcomes)

    async def send(self, messages):
        return [self.outcomes.pop(0) for _ in messages]


async def sent(engine, type_="invoice"):
    await engine.notifications.set_preferences("ana", ANA)
    one = await engine.notifications.send("ana", type_, {"order": 1}, id_="1")
    await engine.run()
    return one


def texts(explanation, what):
    return [step.text for step in explanation.steps if step.what == what]


def is_within(fewer: list[Step], more: list[Step]) -> bool:
    """Whether they are all there still, in this order."""
    left = iter(more)
    return all(step in left for step in fewer)


@given(st.randoms(use_true_random=False))
def test_a_timeline_only_grows(chance: Random) -> None:
    notification = None
    kept, changes, reports, told = [], [], [], []
    for number, step in enumerate(history(chance.choice, 25)):
        kind = KINDS.get(step.command.finding.evidence) if isinstance(step.command, Report) else None
        reported = kind is not None and chance.choice((True, False))
        kept += overruled(step.before.states(step.events), step.events, reported=reported)
        changes += second_thoughts(1, step.events)
        if reported and not step.refused:
            attempt = step.before.attempts[step.command.finding.no - 1]
            code = step.command.finding.code
            report = Receipt(provider="p", key=str(number), kind=kind, at=step.at, attempt_id=attempt.id, code=code)
            reports.append((1, report))
        notification = Notification(
            id=step.after.key.notification_id,
            user=UserRef(tenant="default", user_id="ada"),
            type="urgent_claim",
            priority=Priority.NORMAL,
            event_at=START,
            created_at=START,
            expires_at=START + TTL,
            catalogue="1",
            identity=b"event",
            deliveries=(step.after,),
        )
        story = Story(
            notification=notification,
            read_at=step.at,
            queue={1: step.after.due_at} if step.after.queued else {},
            changes=tuple(changes),
            overruled=tuple(kept),
            receipts=tuple(reports),
        )
        before, told = told, list(explain(story).steps)
        assert is_within(before, told), (before, told)


@pytest.mark.parametrize("kind", [ReceiptKind.DELIVERED, ReceiptKind.BOUNCED])
async def test_what_was_said_of_an_attempt_stays_said_when_it_is_reported_on(engine_with, clock, kind):
    engine = engine_with(Answers(DOUBT))
    one = await sent(engine)
    doubted = await engine.notifications.explain(one.id)
    clock.advance(seconds=3)
    (attempt,) = (await engine.store.history.story("default", one.id)).notification.deliveries[0].attempts
    report = Receipt(provider="p", key="1", kind=kind, at=clock.now, attempt_id=attempt.id, channel=EMAIL, code="5.1.1")
    await engine.store.receipts.receive([report])
    await engine.run()
    told = await engine.notifications.explain(one.id)
    assert is_within(list(doubted.steps), list(told.steps))
    assert texts(told, "result") == [
        "attempt 1: nobody can know whether it was taken (timeout)",
        "attempt 1: taken by the provider",
    ]
    assert texts(told, "report") == [f"p reported {kind} (5.1.1)"]


async def test_each_thing_that_was_found_out_by_asking_stands_by_itself(engine_with):
    engine = engine_with(Answers(DOUBT))
    one = await sent(engine)

    def arrived(_notification, _delivery, now):
        return Report(finding=Finding(no=1, evidence=Evidence.DELIVERED, at=now))

    await engine.store.deliveries.change([one.deliveries[0].key], arrived)
    assert texts(await engine.notifications.explain(one.id), "result") == [
        "attempt 1: nobody can know whether it was taken (timeout)",
        "attempt 1: taken by the provider",
        "attempt 1: delivered",
    ]


async def test_what_an_operator_ruled_stands_beside_what_was_known(engine_with, clock):
    engine = engine_with(Answers(DOUBT))
    one = await sent(engine)
    clock.advance(minutes=1)
    await engine.notifications.resolve(one.id, Ruling.SENT, "seen it", no=1)
    told = await engine.notifications.explain(one.id)
    assert [(step.at, step.text) for step in told.steps if step.what == "result"] == [
        (clock.now - timedelta(minutes=1), "attempt 1: nobody can know whether it was taken (timeout)"),
        (clock.now, "attempt 1: taken by the provider (operator)"),
    ]


async def test_a_time_that_has_passed_is_said_to_have(engine, clock):
    await engine.notifications.set_preferences("ana", ANA)
    one = await engine.notifications.send("ana", "invoice", {"order": 1}, id_="1")
    clock.advance(minutes=5)
    assert (await engine.notifications.explain(one.id)).summary == (
        "email: pending, due since 2026-06-01 12:00:00 UTC",
    )


async def test_what_is_due_earlier_than_it_was_put_off_to_is_said_to_be(engine, clock):
    """Its place in the queue says when: something it waited for may have come."""
    await engine.notifications.set_preferences("ana", {**ANA, "quiet_hours": {"start": "11:00", "end": "13:00"}})
    one = await engine.notifications.send("ana", "invoice", {"order": 1}, id_="1")
    ((key, place),) = engine.store.state.due.items()
    engine.store.state.due[key] = evolve(place, at=clock.now)
    explanation = await engine.notifications.explain(one.id)
    assert explanation.summary[0].endswith(", due since 2026-06-01 12:00:00 UTC")
    assert explanation.waits == ("email: others are before it: it goes as soon as there is room",)


@pytest.mark.parametrize("outcome", [None, DOUBT])
async def test_nobody_promises_anything_for_what_has_lost_its_place(engine_with, outcome):
    engine = engine_with(Answers(outcome))
    await engine.notifications.set_preferences("ana", ANA)
    one = await engine.notifications.send("ana", "invoice", {"order": 1}, id_="1")
    if outcome:
        await engine.run()
    engine.store.state.due.clear()
    explanation = await engine.notifications.explain(one.id)
    assert explanation.waits == ()
    assert explanation.summary[0].endswith("it has lost its place in the queue: nobody comes back for it")


async def test_what_is_settled_waits_for_nothing(engine):
    one = await sent(engine)
    explanation = await engine.notifications.explain(one.id)
    assert (explanation.summary, explanation.waits) == (("email: sent",), ())


async def test_one_more_try_for_what_failed_is_not_lost_on_a_lane_that_refuses(engine_with, clock):
    """It fails again when the message is refused, and only then: a lane's refusal costs no try."""
    unsent, shut = (Outcome(kind=OutcomeKind.UNSENT, scope=scope) for scope in (Scope.RECIPIENT, Scope.ACCOUNT))
    engine = engine_with(Answers(unsent, unsent, unsent, shut, unsent))
    one = await sent(engine)
    for _ in range(2):
        clock.advance(minutes=1)
        await engine.run()
    assert (await engine.notifications.explain(one.id)).status is Status.FAILED
    await engine.notifications.resolve(one.id, Ruling.RESEND, "try again", no=1)
    await engine.run()
    explanation = await engine.notifications.explain(one.id)
    assert explanation.summary[0].startswith("email: pending: the provider cannot take anything now")
    assert "account memory is shut until" in explanation.waits[0]
    clock.advance(minutes=6)
    await engine.run()
    assert (await engine.notifications.explain(one.id)).summary == ("email: failed: every try was answered with a no",)


async def test_a_text_that_cannot_be_made_is_blamed_on_nobody_else(engine_with):
    unsent = Outcome(kind=OutcomeKind.UNSENT, code="try_later")
    calls = Answers(unsent)
    engine = engine_with(calls, {"invoice": {"subject": "Invoice", "text": "For {nobody}.", "html": ""}})
    explanation = await engine.notifications.explain((await sent(engine)).id)
    assert calls.outcomes == [unsent]
    assert explanation.summary == ("email: failed: the message could not be made from its template; nothing was sent",)
    assert texts(explanation, "result") == [
        "attempt 1: no call was made: the message could not be made from its template"
    ]
    (told,) = [one.transition for one in engine.store.state.log if one.entry]
    assert (told.topic, told.data()["reason"], told.data()["provider"]) == (FAILED, "content", None)


async def test_a_call_that_was_not_made_says_nothing_of_the_provider(engine):
    whole = engine.dispatch.pace
    engine.dispatch.pace = evolve(whole, lease=timedelta(seconds=10))
    await engine.notifications.set_preferences("ana", ANA)
    one = await engine.notifications.send("ana", "invoice", {"order": 1}, id_="1")
    await engine.dispatch.once()
    explanation = await engine.notifications.explain(one.id)
    assert explanation.summary[0].startswith("email: pending: the call was never made")
    assert texts(explanation, "result") == [
        "attempt 1: no call was made: somebody else might have taken it over",
    ]


async def test_what_expired_says_what_was_in_its_way(engine_with, clock):
    """A stop that others met: nothing ever claimed this one."""
    engine = engine_with(Answers(Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT, code="http_401")))
    await sent(engine)
    one = await engine.notifications.send("ana", "invoice", {"order": 2}, id_="2")
    clock.now = one.expires_at
    await engine.upkeep.once()
    explanation = await engine.notifications.explain(one.id)
    assert explanation.status is Status.EXPIRED
    assert texts(explanation, "changed") == [
        "expired: account memory was shut since 2026-06-01 12:00:00 UTC (it said http_401); the next call tries it"
    ]


async def test_what_expired_while_it_was_held_says_by_whom(engine, clock):
    await engine.store.routes.hold(HoldKind.TYPE, "invoice", reason="bad template", by="eve")
    one = await sent(engine)
    clock.now = one.expires_at
    await engine.upkeep.once()
    *_, text = texts(await engine.notifications.explain(one.id), "changed")
    assert text.endswith("type invoice is held back by eve since 2026-06-01 12:00:00 UTC: bad template")


async def test_what_was_put_off_until_it_expired_blames_no_hold(engine_with, clock):
    """Something is held, but it is not what kept this from going."""
    later = Outcome(kind=OutcomeKind.UNSENT, code="try_later", retry_after=timedelta(days=30))
    engine = engine_with(Answers(later))
    one = await sent(engine)
    await engine.store.routes.hold(HoldKind.ALL, "", reason="", by="eve")
    clock.now = one.expires_at
    await engine.upkeep.once()
    explanation = await engine.notifications.explain(one.id)
    assert texts(explanation, "changed")[-1] == "expired"


async def test_the_page_tells_what_the_document_does(engine_with, clock):
    engine = engine_with(Answers(Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT, code="http_401")))
    explanation = evolve(await engine.notifications.explain((await sent(engine)).id), repeats=2)
    page = "\n".join(_text(explanation))
    document = json.loads(json.dumps(asdict(explanation), default=datetime.isoformat))
    said = [document[name] for name in ("notification_id", "notification_type", "user_id", "status")]
    said += [f"repetitions recorded: {document['repeats']}", *document["summary"], *document["waits"]]
    for step in document["steps"]:
        said += [
            f"{datetime.fromisoformat(step['at']):%Y-%m-%d %H:%M:%S.%f}",
            step["channel"],
            step["what"],
            step["text"],
        ]
    assert document["waits"]
    assert [one for one in said if one not in page] == []
