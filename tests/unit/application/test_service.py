"""What callers meet at the edges: conflicts, cancellation, explanations of every turn a delivery takes."""

import asyncio
from datetime import timedelta

import pytest

from fn_notifications import EMAIL, Outcome, OutcomeKind, Status
from fn_notifications.application.errors import Conflict
from fn_notifications.domain.receipts import Receipt, ReceiptKind

ANA = {"email": "ana@example.com", "phone": "+15005550006"}


class Once:
    """A sender with one answer."""

    def __init__(self, answer: Outcome) -> None:
        self.answer = answer

    async def send(self, messages):
        return [self.answer] * len(messages)


async def told(engine, notification):
    return await engine.notifications.explain(notification.id)


async def test_two_who_change_one_profile_at_once_both_succeed(engine):
    await asyncio.gather(
        engine.notifications.set_preferences("ana", {"email": "ana@example.com"}),
        engine.notifications.set_preferences("ana", {"phone": "+15005550006"}),
        engine.notifications.set_preferences("ana", {"language": "es"}),
    )
    assert await engine.notifications.get_preferences("ana") == {"user_id": "ana", **ANA, "language": "es"}


async def test_a_conflict_without_end_is_loud(engine, monkeypatch):
    async def never(_, profiles):
        raise Conflict("always")

    monkeypatch.setattr(type(engine.store.people), "save", never)
    with pytest.raises(Conflict):
        await engine.notifications.set_preferences("ana", ANA)


async def test_setting_what_already_holds_stores_nothing(engine):
    await engine.notifications.set_preferences("ana", ANA)
    before = engine.store.state.profiles.copy()
    assert await engine.notifications.set_preferences("ana", {}) == {"user_id": "ana", **ANA}
    assert engine.store.state.profiles == before


async def test_what_is_not_there_cannot_be_cancelled_or_explained(engine):
    from uuid import UUID

    assert await engine.notifications.cancel(UUID(int=1)) == ()
    assert await engine.notifications.explain(UUID(int=1)) is None


async def test_cancelling_twice_cancels_once(engine):
    await engine.notifications.set_preferences("ana", ANA)
    sent = await engine.notifications.send("ana", "invoice", {"order": 1}, id_="1")
    assert [one.status for one in await engine.notifications.cancel(sent.id)] == [Status.CANCELLED]
    assert await engine.notifications.cancel(sent.id) == []
    assert (await told(engine, sent)).summary == ("email: cancelled: it was cancelled",)


async def test_only_the_channels_that_were_asked_for_are_used(engine):
    await engine.notifications.set_preferences("ana", ANA)
    sent = await engine.notifications.send("ana", "shipped", {"order": 1}, id_="1", channels=[EMAIL])
    assert [one.channel for one in sent.decisions] == [EMAIL]


async def test_a_deferral_is_explained_with_its_time(engine):
    await engine.notifications.set_preferences("ana", {**ANA, "quiet_hours": {"start": "11:00", "end": "13:00"}})
    sent = await engine.notifications.send("ana", "shipped", {"order": 1}, id_="1")
    explanation = await told(engine, sent)
    assert explanation.summary[1] == (
        "sms: pending: it is the person's quiet hours, to be looked at again 2026-06-01 13:02:30 UTC"
    )
    assert any("sms: not before 2026-06-01 13:02:30 UTC" in step.text for step in explanation.steps)


async def test_a_refusal_is_explained_with_the_providers_code(engine_with):
    engine = engine_with(Once(Outcome(kind=OutcomeKind.REFUSED, code="21211")))
    await engine.notifications.set_preferences("ana", ANA)
    sent = await engine.notifications.send("ana", "invoice", {"order": 1}, id_="1")
    await engine.run()
    assert (await told(engine, sent)).summary == (
        "email: failed: the provider refused it for good (the provider said 21211)",
    )


async def test_second_thoughts_and_reports_stand_in_the_order_they_follow(engine_with, clock):
    engine = engine_with(Once(Outcome(kind=OutcomeKind.UNSENT, code="later")))
    await engine.notifications.set_preferences("ana", ANA)
    sent = await engine.notifications.send("ana", "invoice", {"order": 1}, id_="1")
    await engine.run()
    engine.senders = {}
    story = await engine.store.history.story("default", sent.id)
    (attempt,) = story.notification.deliveries[0].attempts
    early = clock.now - timedelta(seconds=5)
    reports = [
        Receipt(provider="p", key=kind, kind=kind, at=early, attempt_id=attempt.id, channel=EMAIL, code="x")
        for kind in (ReceiptKind.DELIVERED, ReceiptKind.ACCEPTED)
    ]
    await engine.store.receipts.receive(reports)
    await engine.run()
    explanation = await told(engine, sent)
    assert [step.code for step in explanation.steps if step.what == "report"] == ["accepted", "delivered"]
    assert [step.what for step in explanation.steps][:2] == ["decided", "attempt"]
    assert explanation.status is Status.DELIVERED
    assert any(step.what == "changed" and "not before" in step.text for step in explanation.steps)


async def test_a_report_nobody_knows_waits_and_is_parked_in_the_end(engine, clock):
    lost = Receipt(
        provider="p", key="k", kind=ReceiptKind.DELIVERED, at=clock.now, attempt_id=f"{'0' * 32}-1-1", channel=EMAIL
    )
    await engine.store.receipts.receive([lost])
    assert (await engine.receipts.once()).waiting == 1
    assert await engine.receipts.step() == 0
    clock.advance(minutes=6)
    assert await engine.receipts.step() == 1
    assert engine.store.state.inbox == []


async def test_a_stop_without_an_attempt_suppresses_the_address(engine, clock):
    from fn_notifications import PhoneNumber

    await engine.notifications.set_preferences("ana", ANA)
    stop = Receipt(
        provider="p",
        key="s",
        kind=ReceiptKind.OPTED_OUT,
        at=clock.now,
        channel="sms",
        address=PhoneNumber("+15005550006"),
    )
    await engine.store.receipts.receive([stop])
    await engine.run()
    sent = await engine.notifications.send("ana", "alarm", {}, id_="1")
    by_channel = {one.channel: one.reason for one in sent.decisions}
    assert by_channel["sms"] == "suppressed"
    assert by_channel["email"] is None


@pytest.mark.parametrize(
    ("document", "field"),
    [
        ({"quiet_hours": 5}, "quiet_hours"),
        ({"quiet_hours": {"enabled": "yes", "start": 1, "end": 2}}, "quiet_hours.enabled"),
        ({"quiet_hours": {"start": 1, "end": 2, "timezone": "Mars"}}, "quiet_hours.timezone"),
        ({"quiet_hours": {"start": True, "end": 2}}, "quiet_hours.start"),
        ({"channel_preferences": 5}, "channel_preferences"),
        ({"channel_preferences": {"sms": 5}}, "channel_preferences.sms"),
        ({"channel_preferences": {"sms": {"colour": 1}}}, "channel_preferences.sms.colour"),
        (
            {"channel_preferences": {"sms": {"frequency_limit": {"count": 1, "window_s": 10**30}}}},
            "channel_preferences.sms.frequency_limit",
        ),
        ({"notification_type_preferences": 5}, "notification_type_preferences"),
        ({"global_enabled": "no"}, "global_enabled"),
        ({"language": "???"}, "language"),
        ([], "(document)"),
    ],
)
async def test_every_wrong_field_is_named(engine, document, field):
    from fn_notifications.application.preferences import InvalidPreferences

    with pytest.raises(InvalidPreferences) as refused:
        await engine.notifications.set_preferences("ana", document)
    assert set(refused.value.problems) == {field}
    assert field in str(refused.value)


async def test_quiet_hours_may_be_given_in_hours_switched_off_and_taken_back(engine):
    document = {"quiet_hours": {"start_hour": 22, "end_hour": 7, "timezone": "Europe/Berlin"}}
    stored = await engine.notifications.set_preferences("ana", document)
    assert stored["quiet_hours"] == {"enabled": True, "start": "22:00", "end": "07:00", "timezone": "Europe/Berlin"}
    off = await engine.notifications.set_preferences("ana", {"quiet_hours": {"enabled": False}})
    assert off["quiet_hours"]["enabled"] is False
    assert "quiet_hours" not in await engine.notifications.set_preferences("ana", {"quiet_hours": None})
