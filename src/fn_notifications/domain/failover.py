"""Which of a channel's routes carries the next attempt."""

from collections.abc import Collection, Sequence

from fn_notifications.domain.catalogue import NotificationType
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.events import Evidence


def next_route(
    delivery: Delivery, type_: NotificationType, order: Sequence[str], usable: Collection[str]
) -> str | None:
    """The route for the next attempt, or None when it has to wait.

    In this order, which is the board's (see `Board.ordered`), past routes that cannot be used now; a route that proved
    this message unsent, and not for another's sake, goes behind those that did not yet. While an attempt is in doubt
    only its own route may be tried again, unless the type accepts duplicates: the provider that may already have it is
    the only one that can notice.
    """
    candidates = [route for route in order if route in usable]
    doubtful = {one.route for one in delivery.attempts if one.evidence is Evidence.IN_DOUBT}
    if doubtful and not type_.duplicates_allowed:
        candidates = [route for route in candidates if route in doubtful]
    refusals = [one.route for one in delivery.attempts if one.evidence is Evidence.UNSENT and not one.outvoted]
    return min(candidates, key=refusals.count, default=None)
