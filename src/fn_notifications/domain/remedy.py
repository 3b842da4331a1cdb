"""What is done about a doubt when the grace is over, as the type says."""

from typing import assert_never

from fn_notifications.domain.catalogue import InDoubt
from fn_notifications.domain.commands import Remedy
from fn_notifications.domain.delivery import Delivery
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
