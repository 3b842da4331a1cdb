"""The shape of the catalogue: priorities have an order, an allow-list allows what it lists."""

from hypothesis import given

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, EmailAddress, PhoneNumber
from fn_notifications.domain.catalogue import CHANNELS, AllowList, Priority
from fn_notifications.testing.strategies import emails, phones


def test_urgent_comes_first_and_low_last() -> None:
    assert sorted(Priority, key=lambda priority: priority.rank) == ["urgent", "high", "normal", "low"]


def test_a_channel_nobody_set_is_on_for_email_and_sms_and_off_for_whatsapp() -> None:
    assert {name: rules.on_by_default for name, rules in CHANNELS.items()} == {EMAIL: True, SMS: True, WHATSAPP: False}


def test_quiet_hours_are_for_sms_and_whatsapp() -> None:
    assert [name for name, rules in CHANNELS.items() if rules.respects_quiet_hours] == [SMS, WHATSAPP]


@given(emails())
def test_an_allow_list_allows_addresses_and_domains_it_lists(address: EmailAddress) -> None:
    assert AllowList(entries=frozenset({address.domain})).allows(address)
    assert AllowList(entries=frozenset({address.lookup})).allows(address)
    assert not AllowList(entries=frozenset({"another.example"})).allows(address)


@given(phones())
def test_an_allow_list_allows_numbers_it_lists(number: PhoneNumber) -> None:
    assert AllowList(entries=frozenset({number.value})).allows(number)
    assert not AllowList(entries=frozenset()).allows(number)
