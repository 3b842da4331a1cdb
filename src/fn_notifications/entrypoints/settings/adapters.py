"""Which adapters a channel may name. The one place that says so."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Channel

LOCAL: Final = "local"
"""The mailbox of this process: what a message reaches when it must reach nobody."""
SENDGRID: Final = "sendgrid"
TWILIO: Final = "twilio"

AVAILABLE: Final[Mapping[Channel, frozenset[str]]] = MappingProxyType(
    {
        EMAIL: frozenset({SENDGRID, LOCAL}),
        SMS: frozenset({TWILIO, LOCAL}),
        WHATSAPP: frozenset({TWILIO, LOCAL}),
    }
)

ANNOUNCED: Final = frozenset({"mailgun", "ses", "smtp"})
"""Names the configuration understands and this version cannot serve."""

SPELLINGS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "swoosh.adapters.sendgrid": SENDGRID,
        "swoosh.adapters.mailgun": "mailgun",
        "swoosh.adapters.amazonses": "ses",
        "swoosh.adapters.smtp": "smtp",
        "swoosh.adapters.local": LOCAL,
    }
)
