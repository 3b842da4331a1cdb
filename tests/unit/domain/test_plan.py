"""A request becomes a notification with a delivery per channel, as the gate says for now or for when it was asked."""

from datetime import UTC, datetime, time, timedelta

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.address import EMAIL, SMS, EmailAddress, PhoneNumber
from fn_notifications.domain.catalogue import NotificationType, Policy
from fn_notifications.domain.commands import Begin
from fn_notifications.domain.decision import Decision, Verdict
from fn_notifications.domain.delivery import Delivery, decide
from fn_notifications.domain.identity import notification_id
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification, Request
from fn_notifications.domain.preferences import ContactPoint, Person, UserRef
from fn_notifications.domain.quiet_hours import QuietHours
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routing import gate, plan
from fn_notifications.testing.strategies import (
    chances,
    notification_types,
    notifications,
    people,
    policies,
    requests,
    zone,
)

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
POLICY = Policy(zones=zone)
TYPE = NotificationType(name="match_detected", channels=(EMAIL, SMS), ttl=2 * DAY)
STRANGER = Person(user=UserRef(tenant="default", user_id="ada"))
ADA = evolve(
    STRANGER,
    contacts={
        EMAIL: ContactPoint(channel=EMAIL, address=EmailAddress("ada@example.com")),
        SMS: ContactPoint(channel=SMS, address=PhoneNumber("+15005550006")),
    },
)
REQUEST = Request(identity=b"event", user=ADA.user, type=TYPE.name, event_at=NOON)
ages = st.timedeltas(timedelta(), 4 * DAY)


def planned(
    person: Person = ADA,
    *,
    now: datetime = NOON,
    scheduled_at: datetime | None = None,
    policy: Policy = POLICY,
) -> Notification:
    """A match for Ada, happened at noon and planned then, unless told otherwise."""
    return plan(evolve(REQUEST, scheduled_at=scheduled_at), TYPE, person, policy, now, chance=0.0, catalogue="1")


def begun(delivery: Delivery, person: Person, now: datetime) -> Delivery:
    """The delivery after its call was to start at `now`."""
    again = gate(TYPE, delivery.channel, person, POLICY, now, expires_at=delivery.expires_at, chance=0.0)
    command = Begin(gate=again, attempt_id="1", route="first", epoch=0)
    return delivery.with_events(decide(delivery, command, now))


@given(requests(), notification_types(), people(), policies(), ages, chances())
def test_the_same_arguments_make_the_same_notification(
    request: Request, type_: NotificationType, person: Person, policy: Policy, age: timedelta, chance: float
) -> None:
    now = request.event_at + age
    one, other = (plan(request, type_, person, policy, now, chance=chance, catalogue="1") for _ in range(2))
    assert one == other


@given(requests(), notification_types(), people(), policies(), ages, ages, chances())
def test_the_id_depends_on_nothing_but_event_and_person(
    request: Request,
    type_: NotificationType,
    person: Person,
    policy: Policy,
    age: timedelta,
    later: timedelta,
    chance: float,
) -> None:
    """A rebuilt database makes the same ones."""
    one = plan(request, type_, person, policy, request.event_at + age, chance=chance, catalogue="1")
    other = plan(request, type_, STRANGER, POLICY, request.event_at + later, chance=0.0, catalogue="2")
    assert one.id == other.id
    user = request.user
    assert one.id == notification_id(request.event_at, user.tenant, user.user_id, request.type, request.identity)


@given(notifications())
def test_every_decision_has_its_delivery(notification: Notification) -> None:
    assert [one.channel for one in notification.decisions] == [one.channel for one in notification.deliveries]
    assert [one.key.no for one in notification.deliveries] == list(range(1, len(notification.deliveries) + 1))
    assert {one.expires_at for one in notification.deliveries} == {notification.expires_at}
    for decision, delivery in zip(notification.decisions, notification.deliveries, strict=True):
        assert delivery.key.notification_id == notification.id
        assert (delivery.version, delivery.attempts) == (1, ())
        assert delivery.reason is decision.reason
        match decision:
            case Decision(verdict=Verdict.SEND):
                assert (delivery.status, delivery.due_at) == (Status.PENDING, notification.created_at)
            case Decision(verdict=Verdict.DEFER):
                assert (delivery.status, delivery.due_at) == (Status.PENDING, decision.until)
            case Decision(reason=Reason.EXPIRED):
                assert (delivery.status, delivery.due_at) == (Status.EXPIRED, None)
            case _:
                assert (delivery.status, delivery.due_at) == (Status.SKIPPED, None)


@given(requests(), notification_types(), people(), policies(), ages, chances())
def test_planning_a_known_person_for_now_says_what_the_gate_says(
    request: Request, type_: NotificationType, person: Person, policy: Policy, age: timedelta, chance: float
) -> None:
    """One function for both: what is planned to be sent is sent, if nothing changes until the call."""
    request = evolve(request, scheduled_at=None)
    policy = evolve(policy, contact_grace=timedelta())
    now, expires_at = request.event_at + age, request.event_at + type_.ttl
    notification = plan(request, type_, person, policy, now, chance=chance, catalogue="1")
    for decision in notification.decisions:
        explicit = request.channels is not None
        gated = gate(
            type_, decision.channel, person, policy, now, expires_at=expires_at, chance=chance, explicit=explicit
        )
        assert decision == gated or decision.reason is Reason.STALE


@given(requests(), notification_types(), people(), policies(), ages, chances())
def test_an_event_older_than_the_types_time_to_live_is_skipped_as_stale(
    request: Request, type_: NotificationType, person: Person, policy: Policy, age: timedelta, chance: float
) -> None:
    notification = plan(request, type_, person, policy, request.event_at + age, chance=chance, catalogue="1")
    assert notification.expires_at == request.event_at + type_.ttl
    for decision in notification.decisions:
        assert (decision == Decision.skip(decision.channel, Reason.STALE)) == (age >= type_.ttl)


@given(requests(), notification_types(), people(), policies(), ages, chances())
def test_nothing_is_due_before_its_schedule_nor_after_it_expires(
    request: Request, type_: NotificationType, person: Person, policy: Policy, age: timedelta, chance: float
) -> None:
    now = request.event_at + age
    notification = plan(request, type_, person, policy, now, chance=chance, catalogue="1")
    for delivery in notification.deliveries:
        if delivery.due_at is not None:
            assert max(now, request.scheduled_at or now) <= delivery.due_at <= delivery.expires_at


def test_a_notification_remembers_what_it_was_planned_with() -> None:
    person = evolve(ADA, language="es", timezone="America/Bogota")
    request = evolve(
        REQUEST, key="m1", variables={"title": "keys"}, metadata={"a": 1}, correlation_id="c", channels=(SMS,)
    )
    made = plan(request, TYPE, person, POLICY, NOON + MINUTE, chance=0.0, catalogue="7")
    assert (made.key, made.variables, made.metadata) == ("m1", {"title": "keys"}, {"a": 1})
    assert (made.correlation_id, made.language, made.timezone) == ("c", "es", "America/Bogota")
    assert (made.catalogue, made.priority, made.created_at) == ("7", TYPE.priority, NOON + MINUTE)
    assert (made.event_at, made.identity, made.explicit) == (NOON, b"event", True)


def test_a_schedule_defers() -> None:
    later = NOON + 3 * HOUR
    assert set(planned(scheduled_at=later).decisions) == {
        Decision.defer(channel, Reason.SCHEDULED, later) for channel in (EMAIL, SMS)
    }


def test_a_schedule_that_has_passed_is_no_schedule() -> None:
    assert planned(scheduled_at=NOON - HOUR).decisions == (Decision.send(EMAIL), Decision.send(SMS))


def test_the_gates_are_those_of_the_scheduled_time() -> None:
    person = evolve(ADA, quiet_hours=QuietHours(start=time(22), end=time(7)))
    at_night = NOON + 11 * HOUR
    assert planned(person, scheduled_at=at_night).decisions == (
        Decision.defer(EMAIL, Reason.SCHEDULED, at_night),
        Decision.defer(SMS, Reason.QUIET_HOURS, NOON + 19 * HOUR),
    )


def test_a_schedule_past_its_time_to_live_expires_at_once() -> None:
    statuses = {delivery.status for delivery in planned(scheduled_at=NOON + 2 * DAY).deliveries}
    assert statuses == {Status.EXPIRED}


def test_somebody_of_whom_we_hold_nothing_yet_is_waited_for() -> None:
    until = NOON + 15 * MINUTE
    for delivery in planned(STRANGER).deliveries:
        assert (delivery.status, delivery.reason, delivery.due_at) == (Status.PENDING, Reason.AWAITING_CONTACT, until)


def test_the_wait_ends_with_the_time_to_live() -> None:
    late = NOON + 2 * DAY - MINUTE
    assert {one.due_at for one in planned(STRANGER, now=late).deliveries} == {NOON + 2 * DAY}


def test_nobody_is_waited_for_without_a_grace() -> None:
    decisions = planned(STRANGER, policy=evolve(POLICY, contact_grace=timedelta())).decisions
    assert {decision.reason for decision in decisions} == {Reason.NO_CONTACT}


def test_somebody_we_know_on_another_channel_is_not_waited_for() -> None:
    by_email = evolve(ADA, contacts={EMAIL: ADA.contacts[EMAIL]})
    assert planned(by_email).decisions == (Decision.send(EMAIL), Decision.skip(SMS, Reason.NO_CONTACT))


def test_somebody_who_wants_nothing_is_not_waited_for() -> None:
    decisions = planned(evolve(STRANGER, global_enabled=False)).decisions
    assert {decision.reason for decision in decisions} == {Reason.GLOBAL_OFF}


def test_woken_by_the_contact_data_it_is_sent_where_there_is_an_address_and_skipped_elsewhere() -> None:
    by_email = evolve(ADA, contacts={EMAIL: ADA.contacts[EMAIL]})
    email, sms = (begun(one, by_email, NOON + MINUTE) for one in planned(STRANGER).deliveries)
    assert email.status is Status.SENDING
    assert (sms.status, sms.reason) == (Status.SKIPPED, Reason.NO_CONTACT)


def test_when_nobody_came_the_wait_ends_in_a_skip() -> None:
    for delivery in planned(STRANGER).deliveries:
        ended = begun(delivery, STRANGER, NOON + 15 * MINUTE)
        assert (ended.status, ended.reason) == (Status.SKIPPED, Reason.NO_CONTACT)


@pytest.mark.parametrize("ahead", [MINUTE, 15 * MINUTE, 3 * HOUR])
def test_waiting_for_contact_data_never_ends_before_the_schedule(ahead: timedelta) -> None:
    """Whoever waits for contact data is woken when it comes; a schedule must not be woken early."""
    for delivery in planned(STRANGER, scheduled_at=NOON + ahead).deliveries:
        assert delivery.reason is Reason.SCHEDULED
        assert delivery.due_at == NOON + max(ahead, 15 * MINUTE)


def test_the_gates_run_again_when_the_call_starts() -> None:
    """Planned a second before quiet hours, begun two minutes later; planned for somebody who then left."""
    person = evolve(ADA, quiet_hours=QuietHours(start=time(12, 0, 1), end=time(13)))
    email, sms = planned(person).deliveries
    assert sms.status is Status.PENDING
    assert sms.reason is None
    deferred = begun(sms, person, NOON + 2 * MINUTE)
    assert (deferred.status, deferred.reason, deferred.due_at) == (Status.PENDING, Reason.QUIET_HOURS, NOON + HOUR)
    left = begun(email, evolve(person, global_enabled=False), NOON + 2 * MINUTE)
    assert (left.status, left.reason) == (Status.SKIPPED, Reason.GLOBAL_OFF)
    expired = begun(email, person, NOON + 2 * DAY)
    assert (expired.status, expired.reason) == (Status.EXPIRED, Reason.EXPIRED)
