"""Writing a delivery's change down with everything that follows from it: queue, log, history, key."""

from collections.abc import Sequence

from attrs import evolve as changed

from fn_notifications.adapters.memory.state import Due, State
from fn_notifications.application.changes import overruled, second_thoughts
from fn_notifications.application.outward import transitions
from fn_notifications.domain import events as e
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.lifecycle import RELEASING
from fn_notifications.domain.notification import Notification


def write(
    state: State, notification: Notification, before: Delivery, events: Sequence[e.Event], *, reported: bool = False
) -> Delivery:
    """Apply events to a stored delivery. Returns its new state. `reported`: a report made them, which is kept too."""
    states = before.states(events)
    after = states[-1]
    key = (before.key.tenant, before.key.notification_id)
    state.deliveries[before.key] = after
    for one in transitions(notification, states, events):
        state.keep(one, notification.user)
    state.changes[key] = (*state.changes.get(key, ()), *second_thoughts(before.key.no, events))
    if known := overruled(states, events, reported=reported):
        state.overruled[key] = (*state.overruled.get(key, ()), *known)
    if not after.queued:
        state.due.pop(before.key, None)
    else:
        place = state.due.get(before.key)
        state.due[before.key] = changed(place, at=after.due_at) if place else Due(rank=0, at=after.due_at)
    if after.status in RELEASING:
        _release_key(state, notification)
    return after


def _release_key(state: State, notification: Notification) -> None:
    """Nothing was said on any channel: the next request with this key is no repetition."""
    if notification.key is None or any(
        state.deliveries[one.key].status not in RELEASING for one in notification.deliveries
    ):
        return
    key = (notification.user, notification.type, notification.key)
    state.kept[key] = tuple(kept for kept in state.kept.get(key, ()) if kept.notification_id != notification.id)
