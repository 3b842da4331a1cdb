"""No address shows in any text made of a value, however deep it lies, nor in what a refusal says."""

from collections.abc import Callable
from datetime import UTC, datetime
from traceback import format_exception_only

import pytest
from hypothesis import given

from fn_notifications.domain.address import EMAIL, SMS, Address, Channel, EmailAddress, PhoneNumber
from fn_notifications.domain.catalogue import CHANNELS, AllowList, Policy
from fn_notifications.domain.errors import InvalidValue
from fn_notifications.domain.preferences import (
    ContactPoint,
    Fact,
    Known,
    Person,
    Profile,
    Source,
    UserRef,
    contact_point,
    merge,
)
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.testing.strategies import emails, phones, zone

ADA = UserRef(tenant="default", user_id="ada")
NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
LOCAL = "very.unusual.name"
Holder = Callable[[Channel, Address], object]


def fact(channel: Channel, address: Address) -> Fact:
    """An event that gives this address."""
    return Fact(user=ADA, source=Source.EVENT, at=NOON, fields={CHANNELS[channel].address: address.value})


HOLDERS: dict[str, Holder] = {
    "address": lambda _, address: address,
    "contact point": lambda channel, address: ContactPoint(channel=channel, address=address),
    "person": lambda channel, address: Person(
        user=ADA, contacts={channel: ContactPoint(channel=channel, address=address)}
    ),
    "known": lambda _, address: Known(address.value, Source.USER, NOON),
    "fact": fact,
    "profile": lambda channel, address: merge(Profile(user=ADA), [fact(channel, address)]),
    "read from a profile": lambda channel, address: contact_point(
        merge(Profile(user=ADA), [fact(channel, address)]), channel, CHANNELS[channel].address
    ),
    "receipt": lambda channel, address: Receipt(
        provider="twilio", key="1", kind=ReceiptKind.OPTED_OUT, at=NOON, channel=channel, address=address
    ),
    "allow-list": lambda _, address: Policy(zones=zone, allowlist=AllowList(entries=frozenset({address.lookup}))),
}


def shown(value: object) -> str:
    """Every text Python makes of a value by itself."""
    return f"{value!r} {value} {[value]}"


@pytest.mark.parametrize("holder", HOLDERS.values(), ids=HOLDERS)
@given(address=emails().map(lambda one: EmailAddress(f"{LOCAL}.{one.value[-50:]}")), number=phones())
def test_nothing_that_holds_an_address_shows_it(holder: Holder, address: EmailAddress, number: PhoneNumber) -> None:
    by_email, by_phone = shown(holder(EMAIL, address)), shown(holder(SMS, number))
    assert LOCAL not in by_email.lower()
    assert "example" not in by_email
    assert number.value[1:] not in by_phone


@pytest.mark.parametrize("value", [f"{LOCAL} @example.com", f"{LOCAL}@Example.com", f"{LOCAL}@" + "x" * 300 + ".com"])
def test_a_refused_address_does_not_show_in_the_refusal(value: str) -> None:
    for kind in (EmailAddress, PhoneNumber):
        with pytest.raises(InvalidValue) as refusal:
            kind(value)
        assert LOCAL not in format_exception_only(refusal.value)[0]
