"""Addresses as people write them, by email-validator (RFC 5321, IDNA) and phonenumbers (ITU-T E.164)."""

from typing import Final

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from fn_notifications.domain.address import EmailAddress, PhoneNumber
from fn_notifications.domain.errors import InvalidValue

_LONGEST: Final = 320
"""Characters that are looked at: no address is longer, and parsing must not cost by what a stranger sent."""


class CanonicalAddresses:
    """International domains become A-labels; numbers may be written with spaces, brackets, or without country."""

    def email(self, raw: str) -> EmailAddress | None:
        """See `Addresses`. A local part beyond ASCII is none: hardly a provider delivers it."""
        written = raw.strip()
        if len(written) > _LONGEST:
            return None
        try:
            valid = validate_email(written, check_deliverability=False, allow_smtputf8=False)
            return EmailAddress(valid.ascii_email or "")
        except (EmailNotValidError, ValueError):
            return None

    def phone(self, raw: str, region: str | None = None) -> PhoneNumber | None:
        """See `Addresses`. Possible is enough: dialling plans change more often than their tables.

        A number that only works within its area, or has an extension, is none: no text message reaches it.
        """
        written = raw.strip()
        if len(written) > _LONGEST:
            return None
        try:
            number = phonenumbers.parse(written, region)
            if number.extension or phonenumbers.is_possible_number_with_reason(number) != _POSSIBLE:
                return None
            return PhoneNumber(phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164))
        except (phonenumbers.NumberParseException, InvalidValue):
            return None


_POSSIBLE: Final = phonenumbers.ValidationResult.IS_POSSIBLE
