"""Storing planned events in memory."""

import asyncio
from uuid import UUID

from attrs import define, field, frozen

from fn_notifications.adapters.memory.people import store_profiles
from fn_notifications.adapters.memory.state import Due, State
from fn_notifications.application.outward import DEAD_LETTER, Outward
from fn_notifications.application.ports.history import DeadLetter
from fn_notifications.application.ports.intake import (
    Batch,
    DeadEvent,
    DeadReason,
    Event,
    EventOutcome,
    Proposal,
    Report,
)
from fn_notifications.domain.deduplication import Kept, duplicate_of
from fn_notifications.domain.identity import shard_of
from fn_notifications.domain.lifecycle import OPEN, RELEASING
from fn_notifications.domain.reasons import Reason


@define
class _Storing:
    """One transaction on its way."""

    state: State
    tenant: str
    stored: list[UUID] = field(factory=list)
    duplicates: dict[UUID, UUID] = field(factory=dict)

    def event(self, event: Event) -> EventOutcome:
        """Store one event as what it is."""
        known = self.state.identities.get((self.tenant, event.identity))
        if known is not None and known != event.digest:
            return self.dead(DeadEvent(reason=DeadReason.EVENT_ID_REUSED, original=event.original))
        if known is not None:
            return EventOutcome.DUPLICATE
        self.state.identities[self.tenant, event.identity] = event.digest
        kept = [proposal for proposal in event.proposals if self._keep(proposal)]
        if not event.proposals:
            return EventOutcome.IGNORED
        if not kept:
            return EventOutcome.DUPLICATE
        stale = all(
            decision.reason is Reason.STALE for proposal in kept for decision in proposal.notification.decisions
        )
        return EventOutcome.STALE if stale else EventOutcome.PLANNED

    def dead(self, dead: DeadEvent) -> EventOutcome:
        """Keep what could not be used, and say so outside."""
        letter = DeadLetter(
            id=len(self.state.dead_letters) + 1,
            reason=dead.reason,
            position=dead.original.position,
            at=self.state.clock(),
            detail=dead.detail,
        )
        self.state.dead_letters.append((self.tenant, letter))
        self.state.originals[letter.id] = dead.original
        key = f"{letter.position.topic}-{letter.position.partition}"
        self.state.append(
            Outward(
                id=f"dead-letter-{letter.id}",
                topic=DEAD_LETTER,
                key=key,
                at=letter.at,
                data={
                    "id": letter.id,
                    "reason": letter.reason,
                    "topic": letter.position.topic,
                    "partition": letter.position.partition,
                    "offset": letter.position.offset,
                },
            ),
            shard_of(self.tenant, key),
        )
        return EventOutcome.DEAD_LETTERED

    def _keep(self, proposal: Proposal) -> bool:
        notification = proposal.notification
        key = (notification.user.tenant, notification.id)
        silent = all(delivery.status in RELEASING for delivery in notification.deliveries)
        if notification.key is not None:
            dedup = (notification.user, notification.type, notification.key)
            held = self.state.kept.get(dedup, ())
            first = duplicate_of(held, notification.event_at, proposal.window)
            if first is not None:
                self.duplicates[notification.id] = first
                first_key = (notification.user.tenant, first)
                self.state.repeats[first_key] = self.state.repeats.get(first_key, 0) + 1
                return False
            if not silent:
                self.state.kept[dedup] = (*held, Kept(notification.event_at, notification.id))
        self.state.notifications[key] = notification
        for delivery in notification.deliveries:
            self.state.deliveries[delivery.key] = delivery
            if delivery.status in OPEN:
                rank = sum(
                    self.state.notifications[one.tenant, one.notification_id].user == notification.user
                    for one in self.state.due
                    if self.state.deliveries[one].channel == delivery.channel
                )
                self.state.due[delivery.key] = Due(rank=rank, at=delivery.due_at)
        self.stored.append(notification.id)
        return True


@frozen
class MemoryIntake:
    """The IntakeStore port over a `State`."""

    state: State

    async def store(self, batch: Batch) -> Report:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            store_profiles(self.state, batch.profiles)
            storing = _Storing(self.state, batch.tenant)
            outcomes = (
                *(storing.event(event) for event in batch.events),
                *(storing.dead(dead) for dead in batch.dead),
            )
            for outcome in outcomes:
                self.state.outcomes[outcome] = self.state.outcomes.get(outcome, 0) + 1
            return Report(outcomes=outcomes, notifications=tuple(storing.stored), duplicates=storing.duplicates)
