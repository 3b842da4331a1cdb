"""What we know of a person: whose word counts for which field, and what the rules read out of it."""

from collections.abc import Mapping
from datetime import UTC, datetime, time, timedelta
from itertools import permutations
from typing import Any

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, EmailAddress, PhoneNumber
from fn_notifications.domain.caps import Cap
from fn_notifications.domain.catalogue import CHANNELS
from fn_notifications.domain.errors import InvalidValue
from fn_notifications.domain.preferences import (
    CONTACTS,
    ContactPoint,
    Fact,
    Known,
    Profile,
    Source,
    UserRef,
    contact_point,
    merge,
    person,
)
from fn_notifications.domain.quiet_hours import QuietHours
from fn_notifications.testing.strategies import facts, profiles

ADA = UserRef(tenant="default", user_id="ada")
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
EMPTY = Profile(user=ADA)
several_facts = st.lists(facts(ADA), max_size=4)
entitled = st.sampled_from((Source.EVENT, Source.USER))


def fact(source: Source, at: datetime, **fields: Any) -> Fact:
    """A fact about Ada; `enabled_sms` stands for the field `enabled.sms`."""
    return Fact(user=ADA, source=source, at=at, fields={name.replace("_", ".", 1): v for name, v in fields.items()})


@given(several_facts)
def test_facts_end_in_the_same_profile_whatever_order_they_come_in(said: list[Fact]) -> None:
    assert len({repr(sorted_fields(merge(EMPTY, order))) for order in permutations(said)}) == 1


@given(several_facts, several_facts)
def test_it_does_not_matter_how_facts_are_batched(first: list[Fact], then: list[Fact]) -> None:
    assert merge(merge(EMPTY, first), then) == merge(EMPTY, [*then, *first])


@given(profiles(), several_facts)
def test_facts_heard_again_change_nothing_and_give_the_very_same_profile(profile: Profile, said: list[Fact]) -> None:
    known = merge(profile, said)
    assert merge(known, said) is known


@given(several_facts)
def test_another_partys_event_never_gives_an_address_nor_an_opt_in(said: list[Fact]) -> None:
    merged = merge(EMPTY, [evolve(one, source=Source.PROVISIONAL) for one in said])
    assert not [name for name in merged.fields if name in CONTACTS or name.startswith("opt_in.")]


@given(profiles(), several_facts)
def test_another_partys_event_changes_only_what_nobody_better_has_said(profile: Profile, said: list[Fact]) -> None:
    merged = merge(profile, [evolve(one, source=Source.PROVISIONAL) for one in said])
    for name, known in profile.fields.items():
        if known.source is not Source.PROVISIONAL:
            assert merged.fields[name] == known


@given(several_facts)
def test_a_field_holds_the_word_that_counts_most(said: list[Fact]) -> None:
    for name, known in merge(EMPTY, said).fields.items():
        heard = [one for one in said if name in one.fields]
        if name in CONTACTS:
            best = max((one.at, one.source) for one in heard if one.source is not Source.PROVISIONAL)
            assert (known.at, known.source) == best
        elif not name.startswith("opt_in."):
            assert (known.source, known.at) == max((one.source, one.at) for one in heard)


@pytest.mark.parametrize("name", CONTACTS)
@given(older=entitled, newer=entitled)
def test_the_newest_word_of_somebody_entitled_gives_the_address(name: str, older: Source, newer: Source) -> None:
    said = [fact(newer, NOON + HOUR, **{name: "new"}), fact(older, NOON, **{name: "old"})]
    assert merge(EMPTY, said).get(name) == "new"


def test_what_a_person_set_stands_against_later_events() -> None:
    said = [fact(Source.USER, NOON, enabled_sms=False), fact(Source.EVENT, NOON + HOUR, enabled_sms=True)]
    assert merge(EMPTY, said).get("enabled.sms") is False


def test_events_fill_gaps() -> None:
    said = [fact(Source.USER, NOON, enabled_sms=False), fact(Source.EVENT, NOON, language="es")]
    assert merge(EMPTY, said).get("language") == "es"


def test_at_one_moment_an_address_is_the_more_entitled_ones_and_else_one_and_the_same() -> None:
    said = [fact(Source.USER, NOON, email="a"), fact(Source.EVENT, NOON, email="b"), fact(Source.USER, NOON, email="c")]
    assert {merge(EMPTY, order).get("email") for order in permutations(said)} == {"c"}


def test_merging_leaves_version_and_user_alone() -> None:
    merged = merge(evolve(EMPTY, version=7), [fact(Source.USER, NOON, language="es")])
    assert (merged.user, merged.version) == (ADA, 7)


def test_a_field_nobody_spoke_of_is_none() -> None:
    assert EMPTY.get("language") is None


def test_a_contact_point_is_read_out_of_the_profile() -> None:
    point = contact_point(
        profile(
            {
                "phone": "+15005550006",
                "enabled.sms": False,
                "opt_in.sms": True,
                "quiet.sms": False,
                "cap.sms": {"count": 3, "window_s": 3600},
            }
        ),
        SMS,
        "phone",
    )
    assert point == ContactPoint(
        channel=SMS,
        address=PhoneNumber("+15005550006"),
        enabled=False,
        opt_in=True,
        respects_quiet_hours=False,
        cap=Cap(count=3, window=HOUR),
    )


def test_sms_and_whatsapp_share_a_number_and_email_has_its_own_address() -> None:
    known = profile({"phone": "+15005550006", "email": "ada@example.com"})
    points = {channel: contact_point(known, channel, rules.address) for channel, rules in CHANNELS.items()}
    assert points[SMS].address == points[WHATSAPP].address == PhoneNumber("+15005550006")
    assert points[EMAIL].address == EmailAddress("ada@example.com")


@pytest.mark.parametrize("nothing", [None, ""])
def test_an_address_that_was_taken_back_is_none(nothing: str | None) -> None:
    assert contact_point(profile({"email": nothing}), EMAIL, "email").address is None


def test_an_address_that_is_none_is_refused() -> None:
    with pytest.raises(InvalidValue):
        contact_point(profile({"email": "ada"}), EMAIL, "email")


def test_of_an_empty_profile_everything_is_open() -> None:
    ada = person(EMPTY.user, EMPTY.said, {})
    assert (ada.global_enabled, ada.quiet_hours, ada.type_channels, ada.known) == (True, None, {}, False)


def test_a_person_is_read_out_of_the_profile() -> None:
    known = profile(
        {
            "global_enabled": False,
            "timezone": "Europe/Berlin",
            "language": "de",
            "quiet_hours": {"start": "22:00", "end": "07:30", "timezone": "Asia/Kathmandu"},
            "channels.reminder": ["email"],
            "channels.welcome": None,
        }
    )
    ada = person(
        known.user,
        known.said,
        {EMAIL: ContactPoint(channel=EMAIL, address=EmailAddress("ada@example.com"))},
    )
    assert (ada.global_enabled, ada.timezone, ada.language) == (False, "Europe/Berlin", "de")
    assert ada.quiet_hours == QuietHours(start=time(22), end=time(7, 30), zone="Asia/Kathmandu")
    assert ada.type_channels == {"reminder": (EMAIL,)}
    assert ada.known


def test_a_person_without_any_address_is_not_known() -> None:
    assert not person(EMPTY.user, EMPTY.said, {SMS: ContactPoint(channel=SMS, enabled=True)}).known


def test_quiet_hours_switched_off_are_none() -> None:
    off = profile({"quiet_hours": {"enabled": False, "start": "22:00", "end": "07:00"}})
    assert person(off.user, off.said, {}).quiet_hours is None


@given(profiles())
def test_every_profile_that_facts_can_lead_to_can_be_read(known: Profile) -> None:
    points = {channel: contact_point(known, channel, rules.address) for channel, rules in CHANNELS.items()}
    ada = person(known.user, known.said, points)
    assert ada.user == known.user
    assert ada.known == bool(known.get("email") or known.get("phone"))


def profile(values: Mapping[str, Any]) -> Profile:
    """A profile with these fields, all set by the person."""
    return evolve(EMPTY, fields={name: Known(value, Source.USER, NOON) for name, value in values.items()})


def sorted_fields(known: Profile) -> list[tuple[str, Any, Source, datetime]]:
    """The fields with their values, which a profile's own repr leaves out."""
    return [(name, one.value, one.source, one.at) for name, one in sorted(known.fields.items())]
