"""The use cases together, over memory: from a request to an explained end."""

import asyncio
from datetime import timedelta

import pytest
from attrs import evolve

from fn_notifications import EMAIL, SMS, Duplicate, MissingVariables, Outcome, OutcomeKind, Scope, Status, UnknownType
from fn_notifications.application.preferences import InvalidPreferences
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.entrypoints.library import MemoryEngine

ANA = {"email": "ana@example.com", "phone": "+15005550006"}


class Scripted:
    """A sender that gives the answers it was told to, then accepts."""

    def __init__(self, *answers: Outcome | Exception) -> None:
        self.answers = list(answers)
        self.sent = []

    async def send(self, messages):
        self.sent += messages
        answer = self.answers.pop(0) if self.answers else Outcome(kind=OutcomeKind.ACCEPTED, provider_id="p-1")
        await asyncio.sleep(0)
        if isinstance(answer, Exception):
            raise answer
        return [answer] * len(messages)


async def send(engine: MemoryEngine, type_: str = "invoice", id_: str = "1", **more):
    return await engine.notifications.send("ana", type_, {"order": "42"}, id_=id_, **more)


async def state(engine: MemoryEngine, notification):
    story = await engine.store.history.story("default", notification.id)
    return story.notification


async def test_a_message_is_sent_once_on_every_channel_of_its_type(engine):
    await engine.notifications.set_preferences("ana", ANA)
    sent = await send(engine, "shipped")
    await engine.run()
    await engine.run()
    assert sorted(call.channel for call in engine.mailbox.messages()) == [EMAIL, SMS]
    assert (await state(engine, sent)).status is Status.SENT


async def test_the_same_request_again_is_the_same_notification(engine):
    await engine.notifications.set_preferences("ana", ANA)
    assert (await send(engine)).id == (await send(engine)).id
    await engine.run()
    assert len(engine.mailbox.messages()) == 1


async def test_a_repetition_within_the_window_names_the_first(engine, clock):
    await engine.notifications.set_preferences("ana", ANA)
    first = await send(engine, key="42")
    clock.advance(minutes=59)
    with pytest.raises(Duplicate) as repeated:
        await send(engine, id_="2", key="42")
    assert repeated.value.first == first.id
    clock.advance(minutes=1)
    assert (await send(engine, id_="3", key="42")).id != first.id


async def test_what_was_never_said_does_not_silence_what_follows(engine):
    await engine.notifications.set_preferences("ana", ANA)
    first = await send(engine, key="42")
    await engine.notifications.cancel(first.id)
    assert (await state(engine, first)).status is Status.CANCELLED
    second = await send(engine, id_="2", key="42")
    assert second.id != first.id


async def test_an_opt_out_after_planning_is_never_overtaken(engine):
    await engine.notifications.set_preferences("ana", ANA)
    sent = await send(engine)
    await engine.notifications.set_preferences("ana", {"channel_preferences": {"email": {"enabled": False}}})
    await engine.run()
    assert engine.mailbox.messages() == ()
    (delivery,) = (await state(engine, sent)).deliveries
    assert (delivery.status, delivery.reason) == (Status.SKIPPED, "channel_off")


async def test_an_attempt_records_the_consent_epoch_it_was_allowed_under(engine):
    await engine.notifications.set_preferences("ana", ANA)
    await engine.notifications.set_preferences("ana", {"email": "ana.new@example.com"})
    sent = await send(engine)
    await engine.run()
    (delivery,) = (await state(engine, sent)).deliveries
    assert delivery.attempts[0].epoch == 2


async def test_quiet_hours_hold_back_texts_until_they_end(engine, clock):
    quiet = {"quiet_hours": {"start": "11:00", "end": "13:00"}, **ANA}
    await engine.notifications.set_preferences("ana", quiet)
    await send(engine, "shipped")
    await engine.run()
    assert [call.channel for call in engine.mailbox.messages()] == [EMAIL]
    clock.advance(hours=1, minutes=6)
    await engine.run()
    assert [call.channel for call in engine.mailbox.messages()] == [EMAIL, SMS]


async def test_quiet_hours_that_were_set_after_planning_still_count(engine):
    await engine.notifications.set_preferences("ana", ANA)
    sent = await send(engine, "shipped")
    await engine.notifications.set_preferences("ana", {"quiet_hours": {"start": "11:00", "end": "13:00"}})
    await engine.run()
    sms = (await state(engine, sent)).deliveries[1]
    assert (sms.status, sms.reason) == (Status.PENDING, "quiet_hours")


async def test_an_urgent_message_ignores_quiet_hours_but_not_a_no(engine):
    quiet = {"quiet_hours": {"start": "00:00", "end": "23:59"}, **ANA}
    await engine.notifications.set_preferences("ana", quiet)
    await engine.notifications.set_preferences("ana", {"channel_preferences": {"email": {"enabled": False}}})
    await engine.notifications.send("ana", "alarm", {}, id_="1")
    await engine.run()
    assert [call.channel for call in engine.mailbox.messages()] == [SMS]


async def test_somebody_unknown_is_waited_for_and_woken(engine):
    sent = await send(engine)
    await engine.run()
    assert (await state(engine, sent)).deliveries[0].reason == "awaiting_contact"
    await engine.notifications.set_preferences("ana", ANA)
    await engine.run()
    assert len(engine.mailbox.messages()) == 1


async def test_somebody_unknown_is_not_waited_for_for_ever(engine, clock):
    sent = await send(engine)
    clock.advance(minutes=15)
    await engine.run()
    (delivery,) = (await state(engine, sent)).deliveries
    assert (delivery.status, delivery.reason) == (Status.SKIPPED, "no_contact")


async def test_too_late_is_expired_not_sent(engine, clock):
    await engine.notifications.set_preferences("ana", ANA)
    sent = await send(engine)
    clock.advance(hours=25)
    await engine.run()
    assert engine.mailbox.messages() == ()
    assert (await state(engine, sent)).status is Status.EXPIRED


async def test_a_scheduled_message_waits_for_its_time(engine, clock):
    await engine.notifications.set_preferences("ana", ANA)
    await send(engine, scheduled_at=clock.now + timedelta(hours=2))
    await engine.run()
    assert engine.mailbox.messages() == ()
    clock.advance(hours=2)
    await engine.run()
    assert len(engine.mailbox.messages()) == 1


UNSENT = Outcome(kind=OutcomeKind.UNSENT, code="later")
BUSY = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="busy", retry_after=timedelta(seconds=40))
DOUBT = Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="http_500")


async def test_what_is_proved_unsent_is_tried_three_times(engine_with, clock):
    sender = Scripted(UNSENT, UNSENT, UNSENT)
    engine = engine_with(sender)
    await engine.notifications.set_preferences("ana", ANA)
    sent = await send(engine)
    for _ in range(5):
        await engine.run()
        clock.advance(seconds=10)
    assert len(sender.sent) == 3
    (delivery,) = (await state(engine, sent)).deliveries
    assert (delivery.status, delivery.reason) == (Status.FAILED, "tries_spent")


async def test_a_busy_lane_waits_and_spends_nothing(engine_with, clock):
    sender = Scripted(BUSY, BUSY, BUSY, BUSY)
    engine = engine_with(sender)
    await engine.notifications.set_preferences("ana", ANA)
    sent = await send(engine)
    for _ in range(6):
        await engine.run()
        clock.advance(minutes=6)
    assert len(sender.sent) == 5
    assert (await state(engine, sent)).status is Status.SENT


async def test_a_doubt_is_held_for_a_report_and_never_resent_blindly(engine_with, clock):
    sender = Scripted(DOUBT)
    engine = engine_with(sender)
    await engine.notifications.set_preferences("ana", ANA)
    sent = await send(engine)
    await engine.run()
    assert (await state(engine, sent)).status is Status.IN_DOUBT
    attempt = (await state(engine, sent)).deliveries[0].attempts[0]
    report = Receipt(
        provider="p", key="r-1", kind=ReceiptKind.DELIVERED, at=clock.now, attempt_id=attempt.id, channel=EMAIL
    )
    assert await engine.store.receipts.receive([report, report]) == 1
    await engine.run()
    assert (await state(engine, sent)).status is Status.DELIVERED
    assert len(sender.sent) == 1


async def test_a_doubt_nobody_clears_up_is_resent_once_where_the_type_allows_it(engine_with, clock):
    sender = Scripted(DOUBT, DOUBT)
    engine = engine_with(sender)
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com"})
    sent = await send(engine, "shipped")
    for _ in range(60):
        await engine.run()
        clock.advance(hours=1)
    assert len(sender.sent) == 2
    assert (await state(engine, sent)).deliveries[0].status is Status.UNCONFIRMED


async def test_a_doubt_is_held_until_it_expires_where_the_type_says_so(engine_with, clock):
    sender = Scripted(DOUBT)
    engine = engine_with(sender)
    await engine.notifications.set_preferences("ana", ANA)
    sent = await send(engine)
    for _ in range(30):
        await engine.run()
        clock.advance(hours=1)
    assert len(sender.sent) == 1
    assert (await state(engine, sent)).status is Status.UNCONFIRMED


async def test_a_sender_that_breaks_its_contract_leaves_a_doubt_not_a_loss(engine_with, clock):
    engine = engine_with(Scripted(RuntimeError("ana@example.com")))
    await engine.notifications.set_preferences("ana", ANA)
    sent = await send(engine)
    await engine.run()
    assert (await state(engine, sent)).status is Status.IN_DOUBT


async def test_a_stop_the_provider_knows_of_is_kept(engine_with, clock):
    engine = engine_with(Scripted(Outcome(kind=OutcomeKind.OPTED_OUT, code="21610")))
    await engine.notifications.set_preferences("ana", ANA)
    await send(engine)
    await engine.run()
    second = await send(engine, id_="2")
    assert (await state(engine, second)).deliveries[0].reason == "suppressed"


async def test_a_message_that_cannot_be_made_fails_without_a_call(engine_with):
    sender = Scripted()
    broken = engine_with(sender, templates={"invoice": {"text": "{nothing}"}})
    await broken.notifications.set_preferences("ana", ANA)
    sent = await send(broken)
    await broken.run()
    assert sender.sent == []
    (delivery,) = (await state(broken, sent)).deliveries
    assert (delivery.status, delivery.attempts[0].code) == (Status.FAILED, "template")


async def test_a_type_that_left_the_catalogue_is_skipped_and_stops_nobody_else(engine):
    await engine.notifications.set_preferences("ana", ANA)
    gone, kept = await send(engine), await send(engine, "shipped", id_="2")
    engine.dispatch.switchboard.catalogue = evolve(
        engine.dispatch.switchboard.catalogue,
        types={name: type_ for name, type_ in engine.dispatch.switchboard.catalogue.types.items() if name != "invoice"},
    )
    await engine.run()
    (delivery,) = (await state(engine, gone)).deliveries
    assert (delivery.status, delivery.reason) == (Status.SKIPPED, "unknown_type")
    assert (await state(engine, kept)).status is Status.SENT


async def test_explain_says_why_not_and_why(engine):
    await engine.notifications.set_preferences("ana", {**ANA, "channel_preferences": {"sms": {"enabled": False}}})
    sent = await send(engine, "shipped")
    await engine.run()
    explanation = await engine.notifications.explain(sent.id)
    why_not = "sms: skipped: this channel is off for the person, by their own choice or by default"
    assert explanation.summary == ("email: sent", why_not)
    assert [step.what for step in explanation.steps] == ["decided", "decided", "attempt", "result"]


async def test_wrong_requests_are_refused_by_name(engine):
    with pytest.raises(UnknownType):
        await send(engine, "nonsense")
    with pytest.raises(MissingVariables, match="order"):
        await engine.notifications.send("ana", "invoice", {}, id_="1")


async def test_wrong_preferences_name_every_field_and_store_nothing(engine):
    with pytest.raises(InvalidPreferences) as refused:
        await engine.notifications.set_preferences(
            "ana",
            {
                "email": "nobody",
                "phone": 5,
                "timezone": "Mars/Olympus",
                "quiet_hours": {"start": "25:00", "end": 8},
                "channel_preferences": {"fax": {}, "sms": {"enabled": "no", "frequency_limit": {"count": 0}}},
                "notification_type_preferences": {"shipped": ["fax"], "other": []},
                "shoe_size": 42,
            },
        )
    assert set(refused.value.problems) == {
        "email",
        "phone",
        "timezone",
        "quiet_hours.start",
        "channel_preferences.fax",
        "channel_preferences.sms.enabled",
        "channel_preferences.sms.frequency_limit",
        "notification_type_preferences.shipped",
        "notification_type_preferences.other",
        "shoe_size",
    }
    assert await engine.notifications.get_preferences("ana") is None


async def test_preferences_come_back_as_they_were_set(engine):
    document = {
        "email": "ana@example.com",
        "timezone": "America/Bogota",
        "quiet_hours": {"enabled": True, "start": "22:00", "end": "07:00"},
        "channel_preferences": {"sms": {"enabled": True, "frequency_limit": {"count": 3, "window_s": 3600}}},
        "notification_type_preferences": {"shipped": ["email"]},
    }
    assert await engine.notifications.set_preferences("ana", document) == {"user_id": "ana", **document}
    assert await engine.notifications.set_preferences("ana", {"language": "es"}, replace=True) == {
        "user_id": "ana",
        "language": "es",
    }


async def test_a_frequency_cap_defers_what_exceeds_it(engine, clock):
    limit = {"channel_preferences": {"email": {"frequency_limit": {"count": 1, "window_s": 3600}}}}
    await engine.notifications.set_preferences("ana", {**ANA, **limit})
    await send(engine)
    await engine.run()
    second = await send(engine, id_="2")
    await engine.run()
    assert (await state(engine, second)).deliveries[0].reason == "frequency_cap"
    clock.advance(hours=1)
    await engine.run()
    assert len(engine.mailbox.messages()) == 2
