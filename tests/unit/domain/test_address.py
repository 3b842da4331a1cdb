"""Addresses are canonical or they are not made at all; they never show themselves (see test_redaction)."""

import re
from string import printable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.address import EmailAddress, PhoneNumber
from fn_notifications.domain.errors import InvalidValue
from fn_notifications.testing.strategies import emails, phones


@given(emails())
def test_an_email_address_knows_its_domain(address: EmailAddress) -> None:
    assert address.value.endswith("@" + address.domain)
    assert "@" not in address.domain


@given(emails())
def test_two_spellings_of_one_mailbox_are_looked_up_alike(address: EmailAddress) -> None:
    local, _, domain = address.value.rpartition("@")
    assert EmailAddress(f"{local.upper()}@{domain}").lookup == EmailAddress(f"{local.lower()}@{domain}").lookup


def test_dots_in_a_mailbox_are_kept() -> None:
    assert EmailAddress("a.b@example.com").lookup != EmailAddress("ab@example.com").lookup


@pytest.mark.parametrize(
    "value",
    [
        "",
        "example.com",
        "@example.com",
        "a@",
        "a@example",
        "a@example.c",
        "a@Example.com",
        "a@-example.com",
        "a@example-.com",
        "a@example..com",
        "a@bücher.example.com",
        "ä@example.com",
        "a b@example.com",
        "a@b@example.com",
        "a@example.com\n",
        "a@example.com\r\nBcc: b@example.com",
        "a\x00@example.com",
        "a\x7f@example.com",
        "x" * 65 + "@example.com",
        "a@" + "x" * 64 + ".com",
        "a@" + "x.x" * 84 + ".com",
    ],
)
def test_what_is_no_canonical_email_address_is_refused(value: str) -> None:
    with pytest.raises(InvalidValue):
        EmailAddress(value)


@pytest.mark.parametrize("mark", sorted('()<>[]:;,\\" '))
def test_what_would_name_somebody_else_in_a_header_is_refused(mark: str) -> None:
    """`victim,other@example.com` in a To header reaches other@example.com, past its suppression."""
    with pytest.raises(InvalidValue):
        EmailAddress(f"victim{mark}other@example.com")


def test_an_email_address_may_be_254_characters_long_and_no_longer() -> None:
    domain = ".".join(["x" * 61] * 3) + ".example.com"
    local = "a" * (254 - len(domain) - 1)
    assert len(EmailAddress(f"{local}@{domain}").value) == 254
    with pytest.raises(InvalidValue):
        EmailAddress(f"{local}a@{domain}")


@given(phones())
def test_a_phone_number_is_its_own_look_up(number: PhoneNumber) -> None:
    assert number.lookup == number.value


@pytest.mark.parametrize("value", ["+1500555", "+150055500061234"])
def test_a_phone_number_has_7_to_15_digits(value: str) -> None:
    assert PhoneNumber(value).value == value


@pytest.mark.parametrize(
    "value",
    [
        "",
        "+",
        "15005550006",
        "+05005550006",
        "+150055",
        "+1500555000612345",
        "+1 500 555",
        "+1500555\u0660\u0660\u0660\u0666",
        "+1500555\n",
    ],
)
def test_what_is_no_e164_number_is_refused(value: str) -> None:
    with pytest.raises(InvalidValue):
        PhoneNumber(value)


@given(st.text(printable, max_size=30).filter(lambda text: not re.search(r"^\+?\d{7,15}$|^\S+@\S+\.\S+$", text)))
def test_a_refusal_names_the_rule_and_never_the_value(value: str) -> None:
    for kind in (EmailAddress, PhoneNumber):
        with pytest.raises(InvalidValue) as refusal:
            kind(value)
        with pytest.raises(InvalidValue, match=f"^{re.escape(str(refusal.value))}$"):
            kind("")
