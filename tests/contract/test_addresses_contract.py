"""Both readers of addresses keep to the contract, and the contract notices those that do not."""

import pytest

from fn_notifications.adapters.addresses.canonical import CanonicalAddresses
from fn_notifications.adapters.memory.addresses import StrictAddresses
from fn_notifications.domain.address import EmailAddress, PhoneNumber
from fn_notifications.testing.contracts.addresses import AddressesContract
from fn_notifications.testing.planted import broken_rules


class TestStrictAddresses(AddressesContract):
    @pytest.fixture
    def subject(self):
        return StrictAddresses()

    def test_a_letter_that_only_looks_ascii_is_none(self):
        """The Kelvin sign is a k once it is written small."""
        assert StrictAddresses().email("a@boo\u212as.example.com") is None

    def test_only_e164_is_a_number(self):
        assert StrictAddresses().phone("+1 (500) 555-0006") is None
        assert StrictAddresses().phone("5005550006", "US") is None


class TestCanonicalAddresses(AddressesContract):
    @pytest.fixture
    def subject(self):
        return CanonicalAddresses()

    @pytest.mark.parametrize(
        ("raw", "canonical"),
        [
            ("x@b\u00fccher.example.com", "x@xn--bcher-kva.example.com"),
            ("a@\u4f8b\u3048.jp", "a@xn--r8jz45g.jp"),
            ("x@XN--BCHER-KVA.example.com", "x@xn--bcher-kva.example.com"),
        ],
    )
    def test_international_domains_become_a_labels(self, raw, canonical):
        assert CanonicalAddresses().email(raw) == EmailAddress(canonical)

    @pytest.mark.parametrize("raw", ["j\u00fcrgen@example.com", '"q u"@example.com', "a@[192.0.2.1]"])
    def test_mailboxes_that_hardly_a_provider_reaches_are_none(self, raw):
        assert CanonicalAddresses().email(raw) is None

    @pytest.mark.parametrize(
        ("raw", "region", "canonical"),
        [
            ("+1 (500) 555-0006", None, "+15005550006"),
            ("tel:+15005550006", None, "+15005550006"),
            ("(500) 555-0006", "US", "+15005550006"),
            ("\uff0b\uff11\uff15\uff10\uff10\uff15\uff15\uff15\uff10\uff10\uff10\uff16", None, "+15005550006"),
        ],
    )
    def test_numbers_as_people_write_them(self, raw, region, canonical):
        assert CanonicalAddresses().phone(raw, region) == PhoneNumber(canonical)

    @pytest.mark.parametrize(
        ("raw", "region"), [("555-0006", "US"), ("112", "DE"), ("+1 500 555 0006 x5", None), ("5005550006", "XX")]
    )
    def test_numbers_that_no_text_message_reaches_are_none(self, raw, region):
        assert CanonicalAddresses().phone(raw, region) is None


class _Raises(StrictAddresses):
    def email(self, raw):
        return EmailAddress(raw.strip().lower())


class _Lowers(StrictAddresses):
    def email(self, raw):
        return super().email(raw.lower())


class _Guesses(StrictAddresses):
    def phone(self, raw, region=None):
        return super().phone(raw, region) or super().phone(f"+1{raw.strip()}", region)


class _Unstable(StrictAddresses):
    def phone(self, raw, region=None):
        number = super().phone(raw, region)
        return number and super().phone(number.value[:-1], region)


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (_Raises(), "test_any_text_is_an_address_or_none_and_reading_twice_is_reading_once"),
        (_Raises(), "test_what_is_no_email_address_is_none"),
        (_Lowers(), "test_spelling_that_means_nothing_is_normalised"),
        (_Guesses(), "test_what_is_no_number_is_none"),
        (_Unstable(), "test_canonical_addresses_stay_as_they_are"),
    ],
)
def test_the_contract_rejects(broken, rule):
    assert rule in broken_rules(AddressesContract, broken)


def test_the_contract_accepts_what_is_whole():
    assert not broken_rules(AddressesContract, StrictAddresses())
