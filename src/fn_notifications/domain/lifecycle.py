"""The delivery's state machine: one table. The code, the documentation's diagram and the tests read it."""

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from fn_notifications.domain import events as e


class Status(StrEnum):
    """Where a delivery stands."""

    PENDING = "pending"
    SENDING = "sending"
    SENT = "sent"
    DELIVERED = "delivered"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    SKIPPED = "skipped"
    IN_DOUBT = "in_doubt"
    UNCONFIRMED = "unconfirmed"


S = Status

OPEN: Final = frozenset({S.PENDING, S.SENDING, S.IN_DOUBT})
"""Whether these are sent is not settled, and each has a next wake-up. What is sent may have one: to ask about it."""

RELEASING: Final = frozenset({S.SKIPPED, S.CANCELLED, S.EXPIRED})
"""Nothing was said: a notification whose deliveries all ended so releases its deduplication key."""

_UNPROVED: Final = (S.PENDING, S.SENDING, S.IN_DOUBT, S.UNCONFIRMED, S.EXPIRED, S.CANCELLED, S.SKIPPED)
"""States that a late proof of acceptance, arrival or failure overrules. Skipped, cancelled and expired are among them
because a provider may report on an attempt it had told us it did not take."""

TRANSITIONS: Final[Mapping[tuple[Status | None, type[e.Event]], Status]] = MappingProxyType(
    {
        (None, e.Planned): S.PENDING,
        (None, e.Skipped): S.SKIPPED,
        (None, e.Expired): S.EXPIRED,
        (S.PENDING, e.Deferred): S.PENDING,
        (S.PENDING, e.Skipped): S.SKIPPED,
        (S.PENDING, e.Cancelled): S.CANCELLED,
        (S.PENDING, e.Expired): S.EXPIRED,
        (S.PENDING, e.Unconfirmed): S.UNCONFIRMED,
        (S.PENDING, e.Began): S.SENDING,
        (S.SENDING, e.Retried): S.PENDING,
        **{(status, e.Doubted): S.IN_DOUBT for status in (S.PENDING, S.SENDING, S.SENT)},
        (S.IN_DOUBT, e.Retried): S.PENDING,
        (S.IN_DOUBT, e.Asked): S.IN_DOUBT,
        (S.SENT, e.Asked): S.SENT,
        (S.IN_DOUBT, e.Resolved): S.IN_DOUBT,
        (S.FAILED, e.Resolved): S.FAILED,
        (S.IN_DOUBT, e.Resent): S.PENDING,
        (S.FAILED, e.Resent): S.PENDING,
        (S.IN_DOUBT, e.Held): S.IN_DOUBT,
        (S.IN_DOUBT, e.Unconfirmed): S.UNCONFIRMED,
        **{(status, e.Sent): S.SENT for status in (*_UNPROVED, S.FAILED)},
        **{(status, e.Delivered): S.DELIVERED for status in (*_UNPROVED, S.FAILED, S.SENT)},
        **{(status, e.Failed): S.FAILED for status in (*_UNPROVED, S.SENT)},
        **{(status, e.Noted): status for status in Status},
    }
)
