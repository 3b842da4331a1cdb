"""What is held for an operator instead of being said: events that look replayed, and more than a person should get.

A held event is no loss and no answer: it waits, whole, until somebody releases, thins or discards it.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final

from fn_notifications.domain.catalogue import NotificationType, Priority
from fn_notifications.domain.reasons import Reason

HOUR: Final = timedelta(hours=1)

_SHARE: Final = 4
"""An event older than this part of its type's time to live when it was published did not come by the usual way."""
_JUMP: Final = 4
_QUIET: Final = 200
"""A type's hour is a jump beyond `_JUMP` times the busiest of its recent hours, and never below this many."""
REMEMBERED: Final = 24
"""Hours of a type's volume that a new one is compared with."""


def replayed(type_: NotificationType, event_at: datetime, published_at: datetime) -> Reason | None:
    """Whether an event was already old when it was published, which is how a replay or a backfill looks.

    It is compared with its own publication and not with now: what waited for us while we were down, and what
    INTAKE_START asks for, was published when it happened, and is told as long as its time to live allows.
    """
    usual = type_.hold_older_than if type_.hold_older_than is not None else type_.ttl / _SHARE
    return Reason.REPLAYED if published_at - event_at > usual else None


def limit_of(type_: NotificationType) -> int | None:
    """How many of a type one person may get within an hour; None: any number. Urgent types are never held for it."""
    return None if type_.priority is Priority.URGENT else type_.hold_more_than


def flooded(limit: int, recent: Sequence[datetime], now: datetime) -> Reason | None:
    """Whether one more at `now` would be more than `limit` within an hour; `recent` are the times of those before."""
    return Reason.FLOODED if len(within_hour(recent, now)) >= limit else None


def within_hour(recent: Sequence[datetime], now: datetime) -> tuple[datetime, ...]:
    """Those of these times that still count."""
    return tuple(at for at in recent if now - at < HOUR)


def jumped(recent: Sequence[int], amount: int) -> bool:
    """Whether a type's events of this hour are out of all proportion to its recent hours. Says nothing of one without
    any: a new type, or a new deployment, has no usual volume yet.
    """
    return bool(recent) and amount >= max(_QUIET, _JUMP * max(recent))
