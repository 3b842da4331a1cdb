"""Canonical addresses out of whatever people and publishers write."""

from typing import Protocol

from fn_notifications.domain.address import EmailAddress, PhoneNumber


class Addresses(Protocol):
    """Reads addresses. Pure: looks nothing up, so the same text gives the same answer everywhere."""

    def email(self, raw: str) -> EmailAddress | None:
        """The address in canonical form, or None when it is none. White space around it does not count.

        The local part keeps its case. Idempotent: a canonical form is its own. Never raises.
        """
        ...

    def phone(self, raw: str, region: str | None = None) -> PhoneNumber | None:
        """The number in E.164, or None when it is none. White space around it does not count.

        `region` (ISO 3166, two letters) is where a number without a country code is dialled; without it such a
        number is none. Idempotent. Never raises.
        """
        ...
