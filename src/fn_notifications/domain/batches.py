"""How many messages share a call, where a provider takes several in one."""

from fn_notifications.domain.catalogue import InDoubt, NotificationType, Priority
from fn_notifications.domain.delivery import Delivery


def batch_size(type_: NotificationType, delivery: Delivery, most: int) -> int:
    """How many messages may be in the call that carries this delivery; `most` is its route's bound.

    Half as many after every call that was refused for another message's sake: whichever is at fault soon stands alone,
    and the others are rid of it.
    """
    alone = type_.priority is Priority.URGENT or type_.in_doubt is InDoubt.HOLD
    wanted = type_.batch or (1 if alone else most)
    return max(1, min(most, wanted) >> sum(attempt.outvoted for attempt in delivery.attempts))
