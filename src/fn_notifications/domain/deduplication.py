"""Saying a thing once: one notification per user, type and key within the type's window of event time."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from attrs import frozen


@frozen
class Kept:
    """A notification that holds its key: from the time of the event that made it, for the type's window."""

    at: datetime
    notification_id: UUID


def duplicate_of(kept: Sequence[Kept], at: datetime, window: timedelta) -> UUID | None:
    """The notification that an event at `at` would only repeat, if any; of several, the one kept for the earliest.

    The window counts from the first kept event and is not extended by duplicates. It reaches both ways, because
    topics are not ordered among themselves: what happened hours earlier is another thing, minutes earlier is not.
    """
    near = [one for one in kept if abs(at - one.at) < window]
    return min(near, key=lambda one: (one.at, one.notification_id)).notification_id if near else None
