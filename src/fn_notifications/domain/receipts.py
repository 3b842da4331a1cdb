"""What providers report, in one vocabulary (after django-anymail's)."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from attrs import field, frozen

from fn_notifications.domain.address import Address, Channel
from fn_notifications.domain.events import Evidence


class ReceiptKind(StrEnum):
    """What was reported."""

    ACCEPTED = "accepted"
    DELIVERED = "delivered"
    DEFERRED = "deferred"
    BOUNCED = "bounced"
    DROPPED = "dropped"
    COMPLAINED = "complained"
    UNSUBSCRIBED = "unsubscribed"
    OPENED = "opened"
    CLICKED = "clicked"
    FAILED = "failed"
    OPTED_OUT = "opted_out"
    OPTED_IN = "opted_in"


EVIDENCE: Final[Mapping[ReceiptKind, Evidence]] = MappingProxyType(
    {
        ReceiptKind.ACCEPTED: Evidence.ACCEPTED,
        ReceiptKind.DEFERRED: Evidence.ACCEPTED,
        ReceiptKind.DELIVERED: Evidence.DELIVERED,
        ReceiptKind.OPENED: Evidence.DELIVERED,
        ReceiptKind.CLICKED: Evidence.DELIVERED,
        ReceiptKind.COMPLAINED: Evidence.DELIVERED,
        ReceiptKind.UNSUBSCRIBED: Evidence.DELIVERED,
        ReceiptKind.BOUNCED: Evidence.UNDELIVERED,
        ReceiptKind.DROPPED: Evidence.UNDELIVERED,
        ReceiptKind.FAILED: Evidence.UNDELIVERED,
        ReceiptKind.OPTED_OUT: Evidence.UNDELIVERED,
    }
)
"""What a report proves of the attempt it names. A complaint proves arrival: nobody complains of what did not come.
`opted_out` names an attempt when that is why it failed; a STOP that somebody texts names none.
"""

SUPPRESSES: Final = frozenset(
    {ReceiptKind.COMPLAINED, ReceiptKind.UNSUBSCRIBED, ReceiptKind.OPTED_OUT, ReceiptKind.BOUNCED}
)
"""Kinds that may suppress the address; a bounce only when the adapter knows it to be permanent (`Receipt.hard`)."""


@frozen(kw_only=True)
class Receipt:
    """One normalised report."""

    provider: str
    key: str
    """The provider's name for this very report: the same key is the same report."""
    kind: ReceiptKind
    at: datetime
    """By the provider's clock."""
    attempt_id: str | None = None
    """Our id, echoed back; None for reports about an address alone (STOP)."""
    provider_id: str | None = None
    channel: Channel | None = None
    address: Address | None = field(default=None, repr=False)
    code: str | None = None
    hard: bool = True
    """Whether a bounce means that the address is no good."""

    @property
    def suppresses(self) -> bool:
        """Whether this address must not be written to again."""
        return self.kind in SUPPRESSES and (self.kind is not ReceiptKind.BOUNCED or self.hard)


CAUSES: Final[Mapping[ReceiptKind, str]] = MappingProxyType(
    {
        ReceiptKind.BOUNCED: "bounce",
        ReceiptKind.COMPLAINED: "complaint",
        ReceiptKind.UNSUBSCRIBED: "unsubscribe",
        ReceiptKind.OPTED_OUT: "stop",
        ReceiptKind.OPTED_IN: "stop",
    }
)
"""The cause a kind suppresses for. START (`opted_in`) lifts a STOP and nothing else, so they share theirs."""
