"""Channels and the addresses they reach people at. Canonical forms only: canonising is an adapter's work."""

import re
from typing import Final, NewType

from attrs import field, frozen

from fn_notifications.domain.errors import InvalidValue

Channel = NewType("Channel", str)
"""A way to reach somebody. Open: a new one is a row in the policy, not a change to a rule."""

EMAIL: Final = Channel("email")
SMS: Final = Channel("sms")
WHATSAPP: Final = Channel("whatsapp")

# No quoted local parts: in a header, a comma or an angle bracket would name somebody else, past their suppression.
_EMAIL = re.compile(
    r"(?=.{1,254}\Z)[A-Za-z0-9!#$%&'*+/=?^_`{|}~.-]{1,64}"
    r"@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z0-9][a-z0-9-]{0,61}[a-z0-9]"
)
_PHONE = re.compile(r"\+[1-9][0-9]{6,14}")


# ITU-T list of E.164 country codes: 1 and 7 alone, these of two digits, all others of three.
_CALLING_CODE = re.compile(r"1|7|2[07]|3[0-469]|4[013-9]|5[1-8]|6[0-6]|8[1246]|9[0-58]|[0-9]{3}")


def _must_match(pattern: re.Pattern[str], rule: str, value: str) -> None:
    if not pattern.fullmatch(value):
        raise InvalidValue(rule)


@frozen
class EmailAddress:
    """local@domain with a lower-case ASCII domain, 254 characters at most (RFC 5321 §4.1.2, IDNs as A-labels).

    Its repr is redacted. Raises InvalidValue.
    """

    value: str = field(repr=lambda _: "'…@…'")

    def __attrs_post_init__(self) -> None:
        _must_match(_EMAIL, "an email address is local@domain with a lower-case ASCII domain", self.value)

    @property
    def domain(self) -> str:
        """The part behind the @."""
        return self.value.rpartition("@")[2]

    @property
    def lookup(self) -> str:
        """The form in which two spellings of one mailbox are equal: letter case apart. Dots are kept."""
        return self.value.lower()

    def __str__(self) -> str:
        return "…@…"


@frozen
class PhoneNumber:
    """An E.164 number: + and 7 to 15 digits (ITU-T E.164). Its repr is redacted. Raises InvalidValue."""

    value: str = field(repr=lambda _: "'+…'")

    def __attrs_post_init__(self) -> None:
        _must_match(_PHONE, "a phone number is E.164: + and 7 to 15 digits", self.value)

    @property
    def lookup(self) -> str:
        """E.164 is its own canonical form."""
        return self.value

    @property
    def calling_code(self) -> str:
        """Its country's, or its network's, with the +: what a provider switches on and off."""
        found = _CALLING_CODE.match(self.value, 1)
        return f"+{found[0] if found else ''}"

    def __str__(self) -> str:
        return "+…"


Address = EmailAddress | PhoneNumber


def destination(address: Address | None) -> str | None:
    """What an answer about a destination is about: a number's calling code; mail has none."""
    return address.calling_code if isinstance(address, PhoneNumber) else None
