"""Rule 1, consent: who may be written to on a channel at all, whatever the priority."""

from collections.abc import Mapping
from datetime import UTC, datetime

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Address, Channel, EmailAddress, PhoneNumber
from fn_notifications.domain.catalogue import CHANNELS, AllowList, NotificationType, Priority
from fn_notifications.domain.consent import objection
from fn_notifications.domain.preferences import ContactPoint, Person, Suppression, UserRef
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.strategies import channels, contact_points, notification_types, people

ADA = Person(user=UserRef(tenant="default", user_id="ada"))
ADDRESSES: Mapping[Channel, Address] = {
    EMAIL: EmailAddress("ada@example.com"),
    SMS: PhoneNumber("+15005550006"),
    WHATSAPP: PhoneNumber("+15005550006"),
}
STOP = Suppression(cause="stop", at=datetime(2026, 1, 1, tzinfo=UTC))
points = channels().flatmap(contact_points)


def willing(channel: Channel) -> ContactPoint:
    """A contact point nothing speaks against."""
    return ContactPoint(channel=channel, address=ADDRESSES[channel], enabled=True, opt_in=True)


def asked(type_: NotificationType, point: ContactPoint, person: Person, *, explicit: bool = False) -> Reason | None:
    """The objection under the channel's own rules."""
    return objection(type_, CHANNELS[point.channel], point, person, None, explicit=explicit)


@given(notification_types(), channels())
def test_nothing_speaks_against_a_willing_person(type_: NotificationType, channel: Channel) -> None:
    assert asked(type_, willing(channel), ADA) is None


@given(notification_types(), points, people(), st.booleans())
def test_the_global_switch_off_skips_every_channel(
    type_: NotificationType, point: ContactPoint, person: Person, explicit: bool
) -> None:
    off = evolve(person, global_enabled=False)
    assert asked(type_, point, off, explicit=explicit) is Reason.GLOBAL_OFF


@given(notification_types(), points, people(), st.booleans())
def test_a_channel_switched_off_is_never_used(
    type_: NotificationType, point: ContactPoint, person: Person, explicit: bool
) -> None:
    reason = asked(type_, evolve(point, enabled=False), evolve(person, global_enabled=True), explicit=explicit)
    assert reason is Reason.CHANNEL_OFF


@given(notification_types(), points, people(), st.booleans())
def test_a_suppressed_address_is_never_written_to_whatever_the_priority(
    type_: NotificationType, point: ContactPoint, person: Person, explicit: bool
) -> None:
    assert asked(type_, evolve(point, suppression=STOP), person, explicit=explicit) is not None
    assert asked(type_, evolve(willing(point.channel), suppression=STOP), ADA) is Reason.SUPPRESSED


@given(notification_types(), contact_points(WHATSAPP), people(), st.booleans(), st.none() | st.just(False))
def test_whatsapp_needs_an_opt_in(
    type_: NotificationType, point: ContactPoint, person: Person, explicit: bool, opt_in: bool | None
) -> None:
    assert asked(type_, evolve(point, opt_in=opt_in), person, explicit=explicit) is not None
    assert asked(type_, evolve(willing(WHATSAPP), opt_in=opt_in), ADA) is Reason.NO_OPT_IN


@given(notification_types(), st.sampled_from((EMAIL, SMS)), st.none() | st.booleans())
def test_email_and_sms_need_none(type_: NotificationType, channel: Channel, opt_in: bool | None) -> None:
    assert asked(type_, evolve(willing(channel), opt_in=opt_in), ADA) is None


@given(notification_types(), channels())
def test_a_switch_nobody_set_is_on_for_email_and_sms_and_off_for_whatsapp(
    type_: NotificationType, channel: Channel
) -> None:
    reason = asked(type_, evolve(willing(channel), enabled=None), ADA)
    assert reason is (Reason.CHANNEL_OFF if channel == WHATSAPP else None)


@given(notification_types(), points, people(), st.booleans())
def test_without_an_address_there_is_nobody_to_write_to(
    type_: NotificationType, point: ContactPoint, person: Person, explicit: bool
) -> None:
    assert asked(type_, evolve(point, address=None), person, explicit=explicit) is not None
    assert asked(type_, evolve(willing(point.channel), address=None), ADA) is Reason.NO_CONTACT


@given(notification_types(), channels())
def test_a_channel_without_a_provider_is_skipped(type_: NotificationType, channel: Channel) -> None:
    rules = evolve(CHANNELS[channel], has_sender=False)
    assert objection(type_, rules, willing(channel), ADA, None, explicit=False) is Reason.NO_SENDER


@given(notification_types(), channels(), st.booleans())
def test_an_allow_list_holds_back_everybody_else(type_: NotificationType, channel: Channel, listed: bool) -> None:
    entries = frozenset({ADDRESSES[channel].lookup}) if listed else frozenset[str]()
    reason = objection(type_, CHANNELS[channel], willing(channel), ADA, AllowList(entries=entries), explicit=False)
    assert reason is (None if listed else Reason.NOT_ALLOWLISTED)


@given(notification_types(), channels(), st.lists(channels(), unique=True).map(tuple))
def test_a_choice_of_channels_for_a_type_holds_for_that_type(
    type_: NotificationType, channel: Channel, chosen: tuple[Channel, ...]
) -> None:
    calm = evolve(type_, priority=Priority.NORMAL)
    person = evolve(ADA, type_channels={type_.name: chosen})
    assert asked(calm, willing(channel), person) is (None if channel in chosen else Reason.TYPE_OFF)
    assert asked(evolve(calm, name="another"), willing(channel), person) is None


@given(notification_types(), channels(), st.lists(channels(), unique=True).map(tuple))
def test_channels_the_caller_named_stand_above_a_choice_per_type(
    type_: NotificationType, channel: Channel, chosen: tuple[Channel, ...]
) -> None:
    person = evolve(ADA, type_channels={type_.name: chosen})
    assert asked(type_, willing(channel), person, explicit=True) is None


@given(notification_types(), channels(), st.lists(channels(), unique=True).map(tuple))
def test_an_urgent_type_uses_every_allowed_channel_unless_the_choice_is_none_at_all(
    type_: NotificationType, channel: Channel, chosen: tuple[Channel, ...]
) -> None:
    urgent = evolve(type_, priority=Priority.URGENT)
    person = evolve(ADA, type_channels={type_.name: chosen})
    assert asked(urgent, willing(channel), person) is (None if chosen else Reason.TYPE_OFF)


@given(notification_types(), points, people(), st.booleans())
def test_priority_never_overrides_an_objection_but_a_choice_of_channels(
    type_: NotificationType, point: ContactPoint, person: Person, explicit: bool
) -> None:
    calm = asked(evolve(type_, priority=Priority.LOW), point, person, explicit=explicit)
    urgent = asked(evolve(type_, priority=Priority.URGENT), point, person, explicit=explicit)
    assert urgent == calm or calm is Reason.TYPE_OFF
