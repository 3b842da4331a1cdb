"""Strict syntax, no libraries: what is not written canonically, letter case of the domain apart, is no address."""

import re
from typing import Final

from fn_notifications.domain.address import EmailAddress, PhoneNumber
from fn_notifications.domain.errors import InvalidValue

_DOT_ATOM: Final = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*")


class StrictAddresses:
    """Dot-atom local parts (RFC 5321 §4.1.2) at ASCII domains; numbers in E.164 already."""

    def email(self, raw: str) -> EmailAddress | None:
        """See `Addresses`."""
        local, _, domain = raw.strip().rpartition("@")
        if not domain.isascii() or not _DOT_ATOM.fullmatch(local):
            return None
        try:
            return EmailAddress(f"{local}@{domain.lower()}")
        except ValueError:
            return None

    def phone(self, raw: str, region: str | None = None) -> PhoneNumber | None:
        """See `Addresses`. Knows no dialling plans: `region` does not help here."""
        del region
        try:
            return PhoneNumber(raw.strip())
        except InvalidValue:
            return None
