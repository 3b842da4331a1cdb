"""What is done about what nobody reports on: the type's remedy for a doubt, and when a provider is asked."""

from datetime import timedelta
from typing import Final, assert_never

from fn_notifications.domain.catalogue import InDoubt
from fn_notifications.domain.commands import Remedy
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.events import Attempt, Evidence
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification


def remedy(policy: InDoubt, notification: Notification, delivery: Delivery) -> Remedy:
    """Resend or hold. `resend_if_alone` resends only when no other channel of the notification got through."""
    match policy:
        case InDoubt.RESEND:
            return Remedy.RESEND
        case InDoubt.RESEND_IF_ALONE:
            others = (one for one in notification.deliveries if one.key != delivery.key)
            arrived = any(one.status in (Status.SENT, Status.DELIVERED) for one in others)
            return Remedy.HOLD if arrived else Remedy.RESEND
        case InDoubt.HOLD:
            return Remedy.HOLD
        case _:
            assert_never(policy)


POLLS: Final = (timedelta(hours=1), timedelta(hours=6), timedelta(hours=24))
"""How long after it was taken a provider is asked about what it does not report on; a lost callback is normal."""

PATIENCE: Final = timedelta(minutes=30)
"""How long past its grace a doubt waits for a provider that cannot be asked: an outage must not suspend the policy."""


def unreported(delivery: Delivery) -> tuple[Attempt, ...]:
    """The attempts a provider may be asked about: those in doubt, or the one by which the delivery counts as sent."""
    match delivery.status:
        case Status.IN_DOUBT:
            return tuple(one for one in delivery.attempts if one.evidence is Evidence.IN_DOUBT)
        case Status.SENT:
            return tuple(one for one in delivery.attempts if one.evidence is Evidence.ACCEPTED)[-1:]
        case _:
            return ()


def next_poll(age: timedelta) -> timedelta | None:
    """How long until a provider is asked (again) about what it took this long ago; None when it was asked enough."""
    return next((poll - age for poll in POLLS if poll > age), None)


def wait_for_answer(overdue: timedelta, left: timedelta) -> timedelta | None:
    """How long a doubt goes on waiting for a provider that could not be asked; None when it is time to do without.

    `overdue`: since its grace ended; the wait doubles, from a minute. `left`: from then until the delivery expires, of
    which a quarter may be waited.
    """
    patience = min(PATIENCE, left / 4)
    overdue = max(overdue, timedelta())
    return min(max(overdue, timedelta(minutes=1)), patience - overdue) if overdue < patience else None
