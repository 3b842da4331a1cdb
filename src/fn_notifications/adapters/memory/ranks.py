"""Ranks of new places in the queue, in memory."""

from collections.abc import Iterable

from attrs import define, field

from fn_notifications.adapters.memory.state import Lane, State
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.fairness import next_turn
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.preferences import UserRef


@define
class Ranks:
    """The ranks of one batch, from how the queue stands when it is made."""

    state: State
    ready: dict[Lane, int] = field(factory=dict, init=False)
    pending: dict[Lane, int] = field(factory=dict, init=False)
    highest: dict[tuple[Lane, UserRef], int] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        now = self.state.clock()
        for key, place in self.state.due.items():
            delivery, one = self.state.deliveries[key], self.state.notifications[key.tenant, key.notification_id]
            if delivery.status in (Status.SENT, Status.DELIVERED):  # it waits for no turn
                continue
            lane = (delivery.channel, one.priority.rank)
            self.highest[lane, one.user] = max(place.rank, self.highest.get((lane, one.user), 0))
            if delivery.status is Status.PENDING:
                self.pending[lane] = min(place.rank, self.pending.get(lane, place.rank))
                if place.at is not None and place.at <= now and (place.lease_until is None or place.lease_until <= now):
                    self.ready[lane] = min(place.rank, self.ready.get(lane, place.rank))

    def rank(self, notification: Notification, delivery: Delivery) -> int:
        """Of the next delivery of the batch."""
        lane, flow = (delivery.channel, notification.priority.rank), (notification.user.tenant, notification.type)
        turns = self.state.turns.setdefault(lane, {})
        last, furthest = turns.get(flow, (-1, -1))
        turn = next_turn(self._floor(lane, turns.values()), last, self.highest.get((lane, notification.user)))
        self.highest[lane, notification.user] = turn.rank
        turns[flow] = turn.last, max(turn.rank, furthest)
        return turn.rank

    def _floor(self, lane: Lane, turns: Iterable[tuple[int, int]]) -> int:
        """Where the lane has got to; decided once, however much of it this batch fills."""
        if lane not in self.ready:
            behind = max((furthest for _, furthest in turns), default=0)
            self.ready[lane] = self.pending.get(lane, behind)
        return self.ready[lane]
