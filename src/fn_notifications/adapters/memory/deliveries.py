"""The queue, and every change to a delivery, in memory."""

import asyncio
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from operator import attrgetter
from uuid import UUID

from attrs import evolve, frozen

from fn_notifications.adapters.memory.people import person_of, suppress
from fn_notifications.adapters.memory.state import Due, State
from fn_notifications.adapters.memory.transitions import write
from fn_notifications.application.changes import late_answer
from fn_notifications.application.ports.deliveries import Answer, Begun, Candidate, Choice, Gate, Lease, Waiting
from fn_notifications.domain import events as e
from fn_notifications.domain.address import Channel, destination
from fn_notifications.domain.commands import Record
from fn_notifications.domain.delivery import Delivery, DeliveryKey, decide
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification


@frozen
class MemoryDeliveries:
    """The Deliveries port over a `State`."""

    state: State

    async def claim(self, wanted: Mapping[Channel, int], *, worker: str, lease: timedelta) -> Sequence[Lease]:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            now = self.state.clock()
            leases: list[Lease] = []
            for channel, limit in wanted.items():
                for key, place in sorted(self._claimable(channel, now), key=self._order)[:limit]:
                    self.state.tokens += 1
                    leased = evolve(place, token=self.state.tokens, worker=worker, lease_until=now + lease)
                    self.state.due[key] = leased
                    leases.append(Lease(key=key, channel=channel, token=leased.token, until=now + lease))
            return leases

    async def begin(self, leases: Sequence[Lease], gate: Gate) -> Sequence[Begun]:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            return [begun for lease in leases if self._is_live(lease) and (begun := self._begin(lease, gate))]

    async def finish(self, answers: Sequence[Answer]) -> Sequence[Delivery]:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            return [self._finish(answer) for answer in answers]

    async def release(self, leases: Sequence[Lease]) -> None:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            for lease in leases:
                if self._holds(lease) and self.state.deliveries[lease.key].status is Status.PENDING:
                    self._give_back(lease.key)

    async def change(self, keys: Collection[DeliveryKey], choose: Choice) -> Sequence[Delivery]:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            now = self.state.clock()
            changed = []
            for key in keys:
                before = self.state.deliveries.get(key)
                if before is None or self._is_on_the_wire(before, now):
                    continue
                notification = self._notification(key)
                command = choose(notification, before, now)
                if command and (events := decide(before, command, now)):
                    changed.append(write(self.state, notification, before, events))
                    if key in self.state.due:
                        self._give_back(key)
            return changed

    async def waiting(
        self, tenant: str, type_: str, before: datetime, *, after: DeliveryKey | None = None, limit: int = 1000
    ) -> Waiting:
        """See the port."""
        await asyncio.sleep(0)
        keys = sorted((key for key in self.state.due if key.tenant == tenant), key=_in_order)
        page = [key for key in keys if after is None or _in_order(key) > _in_order(after)][:limit]
        found = tuple(
            key
            for key in page
            if self.state.deliveries[key].status is Status.PENDING
            and (one := self.state.notifications[key.tenant, key.notification_id]).type == type_
            and one.created_at < before
        )
        return Waiting(keys=found, next=page[-1] if len(page) == limit else None)

    async def overdue(self, limit: int) -> Sequence[DeliveryKey]:
        """See the port."""
        await asyncio.sleep(0)
        now = self.state.clock()
        return [key for key, place in self.state.due.items() if self._is_overdue(key, place, now)][:limit]

    async def outlived(self, limit: int) -> Sequence[DeliveryKey]:
        """See the port."""
        await asyncio.sleep(0)
        now = self.state.clock()
        free = (key for key, place in self.state.due.items() if (place.lease_until or now) <= now)
        pending = (one for one in map(self.state.deliveries.__getitem__, free) if one.status is Status.PENDING)
        return [one.key for one in sorted(pending, key=attrgetter("expires_at")) if one.expires_at <= now][:limit]

    def _is_on_the_wire(self, delivery: Delivery, now: datetime) -> bool:
        """Whether a call of a worker with a living lease is under way."""
        place = self.state.due.get(delivery.key)
        return delivery.calling and place is not None and (place.lease_until or now) > now

    def _is_overdue(self, key: DeliveryKey, place: Due, now: datetime) -> bool:
        delivery = self.state.deliveries[key]
        match delivery.status:
            case Status.SENDING | Status.DELIVERED:
                return not self._is_on_the_wire(delivery, now)
            case Status.IN_DOUBT | Status.SENT:
                return place.at is not None and place.at <= now
            case _:
                return False

    def _claimable(self, channel: Channel, now: datetime) -> Iterator[tuple[DeliveryKey, Due]]:
        for key, place in self.state.due.items():
            delivery = self.state.deliveries[key]
            free = place.lease_until is None or place.lease_until <= now
            due = place.at is not None and place.at <= now
            if delivery.channel == channel and delivery.status is Status.PENDING and free and due:
                yield key, place

    def _order(self, item: tuple[DeliveryKey, Due]) -> tuple[int, int, datetime]:
        key, place = item
        notification = self.state.notifications[key.tenant, key.notification_id]
        return notification.priority.rank, place.rank, place.at or notification.created_at

    def _holds(self, lease: Lease) -> bool:
        place = self.state.due.get(lease.key)
        return place is not None and place.token == lease.token and place.worker is not None

    def _is_live(self, lease: Lease) -> bool:
        until = self.state.due[lease.key].lease_until if self._holds(lease) else None
        return until is not None and until > self.state.clock()

    def _give_back(self, key: DeliveryKey) -> None:
        self.state.due[key] = evolve(self.state.due[key], worker=None, lease_until=None)

    def _notification(self, key: DeliveryKey) -> Notification:
        return self.state.whole((key.tenant, key.notification_id))

    def _begin(self, lease: Lease, gate: Gate) -> Begun | None:
        now = self.state.clock()
        before = self.state.deliveries[lease.key]
        if before.status is not Status.PENDING:
            return None
        notification = self._notification(lease.key)
        person = person_of(self.state, notification.user)
        board = self.state.board
        candidate = Candidate(notification=notification, delivery=before, person=person, board=board)
        command = gate(candidate, now)
        events = decide(before, command, now)
        after = write(self.state, notification, before, events)
        if not any(isinstance(event, e.Began) for event in events):
            if lease.key in self.state.due:
                self._give_back(lease.key)
            return None
        point = person.contacts[before.channel]
        self.state.board = board.probed(command.route, destination(point.address), now)
        if point.cap:
            recent = (*point.recent, now)[-point.cap.count :]
            self.state.points[notification.user, before.channel] = evolve(point, recent=recent)
        return Begun(lease=lease, notification=notification, delivery=after, person=person)

    def _finish(self, answer: Answer) -> Delivery:
        now = self.state.clock()
        lease = answer.begun.lease
        key = lease.key
        before = self.state.deliveries[key]
        held = self._holds(lease)
        if answer.opt_out:
            suppress(self.state, answer.opt_out)
        if not held and now >= lease.until:
            self._keep_late(before, answer.record, now)
        after = write(self.state, self._notification(key), before, decide(before, answer.record, now))
        if held and key in self.state.due:
            self._give_back(key)
        return after

    def _keep_late(self, delivery: Delivery, record: Record, now: datetime) -> None:
        key = (delivery.key.tenant, delivery.key.notification_id)
        known = self.state.changes.get(key, ())
        if change := late_answer(delivery, record, now, known):
            self.state.changes[key] = (*known, change)


def _in_order(key: DeliveryKey) -> tuple[UUID, int]:
    return key.notification_id, key.no
