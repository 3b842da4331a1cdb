"""One thing said to one person: an immutable record and its deliveries."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from attrs import field, frozen

from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import Priority
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.preferences import UserRef


@frozen(kw_only=True)
class Request:
    """Somebody should be told something. What an event, or an API call, comes down to."""

    identity: bytes
    """Of the event that asked (see `identity`)."""
    user: UserRef
    type: str
    event_at: datetime
    key: str | None = None
    """Deduplication: equal user, type and key within the type's window say the same thing."""
    variables: Mapping[str, Any] = field(factory=dict, repr=False)
    channels: tuple[Channel, ...] | None = None
    scheduled_at: datetime | None = None
    correlation_id: str | None = None
    metadata: Mapping[str, Any] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class Notification:
    """The aggregate. Its text is not stored: template version and variables render the same bytes every time."""

    id: UUID
    user: UserRef
    type: str
    priority: Priority
    event_at: datetime
    created_at: datetime
    expires_at: datetime
    catalogue: str
    """Version of the catalogue whose templates it renders with."""
    identity: bytes = field(repr=False)
    key: str | None = None
    explicit: bool = False
    """Whether the caller named the channels."""
    variables: Mapping[str, Any] = field(factory=dict, repr=False)
    language: str | None = None
    timezone: str | None = None
    correlation_id: str | None = None
    metadata: Mapping[str, Any] = field(factory=dict, repr=False)
    decisions: tuple[Decision, ...] = ()
    """What the rules said when it was planned."""
    deliveries: tuple[Delivery, ...] = ()

    @property
    def status(self) -> Status:
        """Derived from the deliveries, never stored."""
        return notification_status(frozenset(delivery.status for delivery in self.deliveries))


_FIRST_THAT_FITS = (
    (Status.PENDING, frozenset({Status.PENDING, Status.SENDING})),
    (Status.IN_DOUBT, frozenset({Status.IN_DOUBT})),
    (Status.DELIVERED, frozenset({Status.DELIVERED})),
    (Status.SENT, frozenset({Status.SENT})),
    (Status.UNCONFIRMED, frozenset({Status.UNCONFIRMED})),
    (Status.FAILED, frozenset({Status.FAILED})),
    (Status.EXPIRED, frozenset({Status.EXPIRED})),
    (Status.CANCELLED, frozenset({Status.CANCELLED})),
)


def notification_status(deliveries: frozenset[Status | None]) -> Status:
    """The first status that fits any delivery, in the order a person would want to know it."""
    for status, fitting in _FIRST_THAT_FITS:
        if deliveries & fitting:
            return status
    return Status.SKIPPED
