"""What every `Addresses` keeps to. Subclass, provide the `subject` fixture, and pytest runs the rules."""

from typing import Final

from hypothesis import example, given
from hypothesis import strategies as st

from fn_notifications.application.ports.addresses import Addresses
from fn_notifications.domain.address import EmailAddress, PhoneNumber
from fn_notifications.testing.properties import over_subjects

_anything: Final = st.text(max_size=80) | st.text("+0123456789 ()-@.ab\0\ud800", max_size=30)


class AddressesContract:
    """Rules for the forms that everybody reads."""

    def test_canonical_addresses_stay_as_they_are(self, subject: Addresses) -> None:
        """Reading is the identity on canonical forms."""
        for email in ("ana@example.com", "a.b+c@mail.example.com", "O'Hara@example.com", "x@xn--bcher-kva.example.com"):
            assert subject.email(email) == EmailAddress(email)
        for phone in ("+15005550006", "+14155550110"):
            assert subject.phone(phone) == PhoneNumber(phone)

    def test_spelling_that_means_nothing_is_normalised(self, subject: Addresses) -> None:
        """Space around it and the case of the domain go; the case of the local part stays."""
        assert subject.email("  Ana@EXAMPLE.Com\n") == EmailAddress("Ana@example.com")
        assert subject.phone("\t+15005550006 ") == PhoneNumber("+15005550006")

    def test_what_is_no_email_address_is_none(self, subject: Addresses) -> None:
        """A name without a host, a host without a name, lists, display names, comments, control characters."""
        for raw in (
            *("", "@", "ana", "@example.com", "ana@", "ana@localhost", "a b@example.com", "a@b@example.com"),
            *("a..b@example.com", ".a@example.com", "a.@example.com", "a@-example.com", "a@example..com"),
            *("a@example.com,b@example.com", "Ana <ana@example.com>", "a@example.com\r\nBcc: b@example.com"),
            *("a\0@example.com", "a@exam\u200bple.com", "a" * 65 + "@example.com", "a@" + "b" * 64 + ".com"),
            *("x@" + ".".join(["a" * 60] * 5) + ".com", "\ud800@example.com", "a@example.com" * 10_000),
        ):
            assert subject.email(raw) is None, ascii(raw[:60])

    def test_what_is_no_number_is_none(self, subject: Addresses) -> None:
        """Words, local numbers without a region, extensions, numbers longer than E.164 allows."""
        for raw in ("", "+", "phone", "4155550110", "+0123456789", "+1415555011a", "+14155550110;ext=5", "+1" * 5_000):
            assert subject.phone(raw) is None, raw[:60]
        assert subject.phone("+12345678901234567890") is None

    @over_subjects
    @given(raw=_anything, region=st.none() | st.sampled_from(("US", "CO", "XX", "")))
    @example(raw="+15005550006", region=None)
    @example(raw="ana@example.com", region=None)
    def test_any_text_is_an_address_or_none_and_reading_twice_is_reading_once(
        self, subject: Addresses, raw: str, region: str | None
    ) -> None:
        """Nothing raises, and what was read is canonical."""
        email, phone = subject.email(raw), subject.phone(raw, region)
        assert email is None or subject.email(email.value) == email
        assert phone is None or subject.phone(phone.value) == phone
