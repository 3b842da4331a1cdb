"""The rules for one channel at one moment: expiry, consent, urgency, quiet hours, caps. They run again at the call."""

from datetime import UTC, datetime, time, timedelta, tzinfo

import pytest
from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Channel, EmailAddress, PhoneNumber
from fn_notifications.domain.caps import Cap, capped_until
from fn_notifications.domain.catalogue import CHANNELS, NotificationType, OverCap, Policy, Priority
from fn_notifications.domain.consent import objection
from fn_notifications.domain.decision import Decision, Verdict
from fn_notifications.domain.preferences import ContactPoint, Person, Suppression, UserRef
from fn_notifications.domain.quiet_hours import QuietHours, quiet_until
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routing import doubt_grace, gate
from fn_notifications.testing.strategies import (
    ZONES,
    chances,
    channels,
    moments,
    notification_types,
    people,
    policies,
    quiet_hours,
    spans,
    zone,
)

POLICY = Policy(zones=zone)
TYPE = NotificationType(name="match_detected")
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
NIGHT = QuietHours(start=time(22), end=time(7))
MIDNIGHT = datetime(2026, 5, 4, tzinfo=UTC)
SEVEN = MIDNIGHT + 7 * HOUR
CONTACTS = {
    EMAIL: ContactPoint(channel=EMAIL, address=EmailAddress("ada@example.com")),
    SMS: ContactPoint(channel=SMS, address=PhoneNumber("+15005550006")),
    WHATSAPP: ContactPoint(channel=WHATSAPP, address=PhoneNumber("+15005550006"), enabled=True, opt_in=True),
}
ADA = Person(user=UserRef(tenant="default", user_id="ada"), contacts=CONTACTS, quiet_hours=NIGHT)


def ask(
    person: Person = ADA,
    channel: Channel = SMS,
    now: datetime = MIDNIGHT,
    *,
    type_: NotificationType = TYPE,
    left: timedelta = DAY,
    chance: float = 0.0,
    policy: Policy = POLICY,
) -> Decision:
    """What the gate says to Ada's text message at midnight, with a day to live, unless told otherwise."""
    return gate(type_, channel, person, policy, now, expires_at=now + left, chance=chance)


def with_point(channel: Channel, point: ContactPoint) -> Person:
    return evolve(ADA, contacts={**CONTACTS, channel: point})


def capped(count: int, *ages: timedelta) -> Person:
    """Ada without quiet hours, with a cap per hour on SMS and messages of these ages."""
    recent = tuple(MIDNIGHT - age for age in ages)
    point = evolve(CONTACTS[SMS], cap=Cap(count=count, window=HOUR), recent=recent)
    return evolve(with_point(SMS, point), quiet_hours=None)


@given(notification_types(), channels(), people(), policies(), moments(), spans(), chances(), st.booleans())
def test_every_answer_keeps_to_the_rules(
    type_: NotificationType,
    channel: Channel,
    person: Person,
    policy: Policy,
    now: datetime,
    left: timedelta,
    chance: float,
    explicit: bool,
) -> None:
    decision = gate(type_, channel, person, policy, now, expires_at=now + left, chance=chance, explicit=explicit)
    assert decision.channel == channel
    point = person.contacts.get(channel) or ContactPoint(channel=channel)
    objected = objection(type_, CHANNELS[channel], point, person, policy.allowlist, explicit=explicit)
    if objected:
        assert decision == Decision.skip(channel, objected)
    elif type_.priority is Priority.URGENT:
        assert decision == Decision.send(channel)
    if decision.until is not None:
        assert now < decision.until < now + left


@given(notification_types(), channels(), people(), policies(), moments(), st.timedeltas(-DAY, timedelta()))
def test_nothing_is_sent_once_its_time_has_passed(
    type_: NotificationType, channel: Channel, person: Person, policy: Policy, now: datetime, left: timedelta
) -> None:
    decision = gate(type_, channel, person, policy, now, expires_at=now + left, chance=0.0)
    assert decision == Decision.skip(channel, Reason.EXPIRED)


@pytest.mark.parametrize(
    ("channel", "decision"),
    [
        (EMAIL, Decision.send(EMAIL)),
        (SMS, Decision.defer(SMS, Reason.QUIET_HOURS, SEVEN)),
        (WHATSAPP, Decision.defer(WHATSAPP, Reason.QUIET_HOURS, SEVEN)),
    ],
)
def test_sms_and_whatsapp_wait_for_the_end_of_quiet_hours_and_email_does_not(
    channel: Channel, decision: Decision
) -> None:
    assert ask(channel=channel) == decision


def test_a_person_may_say_so_otherwise_for_each_channel() -> None:
    assert ask(with_point(SMS, evolve(CONTACTS[SMS], respects_quiet_hours=False))).verdict is Verdict.SEND
    quiet_email = with_point(EMAIL, evolve(CONTACTS[EMAIL], respects_quiet_hours=True))
    assert ask(quiet_email, EMAIL).reason is Reason.QUIET_HOURS


def test_a_choice_of_channels_holds_unless_the_caller_named_them() -> None:
    by_email = evolve(ADA, quiet_hours=None, type_channels={TYPE.name: (EMAIL,)})
    end = MIDNIGHT + DAY
    assert gate(TYPE, SMS, by_email, POLICY, MIDNIGHT, expires_at=end, chance=0.0).reason is Reason.TYPE_OFF
    named = gate(TYPE, SMS, by_email, POLICY, MIDNIGHT, expires_at=end, chance=0.0, explicit=True)
    assert named == Decision.send(SMS)


def test_there_are_no_quiet_hours_unless_set() -> None:
    assert ask(evolve(ADA, quiet_hours=None)).verdict is Verdict.SEND


@pytest.mark.parametrize(
    ("own", "theirs", "end"),
    [
        ("Asia/Kathmandu", "America/Bogota", MIDNIGHT + timedelta(hours=1, minutes=15)),
        (None, "America/Bogota", None),
        (None, None, SEVEN),
        ("No/Where", "Asia/Kathmandu", MIDNIGHT + timedelta(hours=1, minutes=15)),
        ("No/Where", "No/Where", SEVEN),
    ],
)
def test_quiet_hours_are_in_their_own_zone_else_the_persons_else_utc(
    own: str | None, theirs: str | None, end: datetime | None
) -> None:
    asked: list[str] = []

    def zones(name: str) -> tzinfo | None:
        asked.append(name)
        return zone(name)

    person = evolve(ADA, timezone=theirs, quiet_hours=evolve(NIGHT, zone=own))
    assert ask(person, policy=evolve(POLICY, zones=zones)).until == end
    assert set(asked) <= {own, theirs} - {None}


@given(chances())
def test_the_end_of_quiet_hours_is_spread_over_five_minutes(chance: float) -> None:
    until = ask(chance=chance).until
    assert until is not None
    assert abs(until - (SEVEN + chance * 5 * MINUTE)) <= timedelta(microseconds=1)


@given(quiet_hours(), st.sampled_from(ZONES), moments(), spans(), chances(), policies())
def test_a_deferral_ends_neither_within_quiet_hours_nor_more_than_the_spread_after_them(
    hours: QuietHours, theirs: str, now: datetime, left: timedelta, chance: float, policy: Policy
) -> None:
    person = evolve(ADA, timezone=theirs, quiet_hours=hours)
    where = zone(hours.zone or theirs)
    assert where is not None
    end = quiet_until(hours, where, now)
    assume(end is not None)
    assert end is not None
    decision = ask(person, now=now, left=left, chance=chance, policy=evolve(policy, allowlist=None))
    if end >= now + left:
        assert decision == Decision.skip(SMS, Reason.EXPIRED)
    else:
        assert decision.reason is Reason.QUIET_HOURS
        assert decision.until is not None
        assert end <= decision.until <= end + policy.quiet_spread
        assert quiet_until(hours, where, decision.until) is None


def test_what_would_expire_before_quiet_hours_end_is_expired() -> None:
    assert ask(left=7 * HOUR) == Decision.skip(SMS, Reason.EXPIRED)
    assert ask(left=7 * HOUR + MINUTE).until == SEVEN


def test_the_spread_costs_nobody_the_message() -> None:
    assert ask(left=7 * HOUR + MINUTE, chance=0.9).until == SEVEN
    assert ask(left=7 * HOUR + MINUTE, chance=0.2).until == SEVEN  # to be due when it expires is too late


def test_the_spread_does_not_run_into_the_next_quiet_hours() -> None:
    nearly_always = evolve(ADA, quiet_hours=QuietHours(start=time(7, 2), end=time(7)))
    assert ask(nearly_always, chance=0.9).until == SEVEN


def test_an_urgent_type_ignores_quiet_hours_and_caps_but_not_consent() -> None:
    urgent = evolve(TYPE, priority=Priority.URGENT)
    assert ask(type_=urgent) == Decision.send(SMS)
    assert ask(capped(1, MINUTE), type_=urgent) == Decision.send(SMS)
    stopped = evolve(CONTACTS[SMS], suppression=Suppression(cause="stop", at=MIDNIGHT))
    assert ask(with_point(SMS, stopped), type_=urgent) == Decision.skip(SMS, Reason.SUPPRESSED)


@pytest.mark.parametrize("priority", [Priority.HIGH, Priority.NORMAL, Priority.LOW])
def test_no_other_type_does(priority: Priority) -> None:
    assert ask(type_=evolve(TYPE, priority=priority)).reason is Reason.QUIET_HOURS
    assert ask(capped(1, MINUTE), type_=evolve(TYPE, priority=priority)).reason is Reason.FREQUENCY_CAP


def test_beyond_the_cap_a_message_waits_or_is_skipped_as_its_type_says() -> None:
    waits = Decision.defer(SMS, Reason.FREQUENCY_CAP, MIDNIGHT + 40 * MINUTE)
    assert ask(capped(2, 50 * MINUTE, 20 * MINUTE, MINUTE)) == waits
    skips = evolve(TYPE, over_cap=OverCap.SKIP)
    assert ask(capped(1, MINUTE), type_=skips) == Decision.skip(SMS, Reason.FREQUENCY_CAP)
    assert ask(capped(2, MINUTE)) == Decision.send(SMS)


def test_a_cap_is_of_one_channel() -> None:
    assert ask(capped(1, MINUTE), EMAIL) == Decision.send(EMAIL)


def test_what_would_expire_before_the_cap_lets_it_through_is_expired() -> None:
    assert ask(capped(1, 10 * MINUTE), left=50 * MINUTE) == Decision.skip(SMS, Reason.EXPIRED)


@given(notification_types(), channels(), people(), moments(), spans(), chances())
def test_a_deferral_is_for_a_reason_that_is_over_by_then(
    type_: NotificationType, channel: Channel, person: Person, now: datetime, left: timedelta, chance: float
) -> None:
    """The gate runs again when the call starts: the same reason holds no longer, so a delivery makes progress."""
    decision = ask(person, channel, now, type_=type_, left=left, chance=chance)
    if decision.until is None:
        return
    again = ask(person, channel, decision.until, type_=type_, left=now + left - decision.until, chance=chance)
    assert again.reason is not decision.reason
    point = person.contacts[channel]
    if decision.reason is Reason.FREQUENCY_CAP:
        assert point.cap is not None
        assert capped_until(point.cap, point.recent, decision.until) is None


@pytest.mark.parametrize(
    ("channel", "left", "grace"),
    [
        (SMS, DAY, 15 * MINUTE),
        (WHATSAPP, DAY, 15 * MINUTE),
        (EMAIL, DAY, HOUR),
        (EMAIL, HOUR, 15 * MINUTE),
        (SMS, 20 * MINUTE, 5 * MINUTE),
        (SMS, -HOUR, timedelta()),
    ],
)
def test_the_grace_of_a_doubt_is_the_channels_and_never_more_than_a_quarter_of_the_time_left(
    channel: Channel, left: timedelta, grace: timedelta
) -> None:
    assert doubt_grace(channel, POLICY, now=MIDNIGHT, expires_at=MIDNIGHT + left) == grace
