"""Storing planned events in memory."""

import asyncio
from collections.abc import Sequence
from uuid import UUID

from attrs import define, field, frozen

from fn_notifications.adapters.memory.people import store_profiles
from fn_notifications.adapters.memory.quarantine import hold, settle
from fn_notifications.adapters.memory.ranks import Ranks
from fn_notifications.adapters.memory.state import DedupKey, Due, Intake, State
from fn_notifications.application.outward import DEAD_LETTER, planned
from fn_notifications.application.ports.history import DeadLetter
from fn_notifications.application.ports.intake import (
    Batch,
    DeadEvent,
    DeadReason,
    Event,
    EventOutcome,
    Report,
    Volume,
)
from fn_notifications.application.sieve import Sieve
from fn_notifications.application.taken import taken
from fn_notifications.domain.lifecycle import OPEN
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.quarantine import HOUR, REMEMBERED


@define
class _Storing:
    """One transaction on its way."""

    state: State
    batch: Batch
    identities: int = 0
    letters: int = 0
    held: int = 0
    new: list[Event] = field(factory=list)
    repeated: dict[bytes, tuple[UUID, ...]] = field(factory=dict)

    def report(self) -> Report:
        """Store the batch and say what became of it."""
        tenant = self.batch.tenant
        sieve = Sieve(now=self.state.clock(), key_of=_key_of, kept=self.state.kept, received=self.state.received)
        outcomes = (
            *(self._event(event, sieve) for event in self.batch.events),
            *(self._dead(dead) for dead in self.batch.dead),
        )
        self._store(sieve)
        for event, one in sieve.held.values():
            self.held += hold(self.state, tenant, event, one)
        for event, outcome in zip(self.batch.events, outcomes, strict=False):
            if event.released is not None and outcome is not EventOutcome.HELD:
                settle(self.state, event.released, outcome)
        volumes = self._count(sieve)
        self._account(sieve, outcomes)
        return Report(
            outcomes=outcomes,
            notifications=tuple(sieve.stored),
            duplicates=sieve.duplicates,
            repeated=self.repeated,
            holds=tuple(one for _, one in sieve.held.values()),
            volumes=volumes,
        )

    def _event(self, event: Event, sieve: Sieve[DedupKey]) -> EventOutcome:
        """Decide about one event."""
        place = (self.batch.tenant, event.identity)
        if event.released is not None:
            held = self.state.quarantine.get(event.released)
            if held is None or held.outcome is not None or held.tenant != self.batch.tenant:
                return EventOutcome.DUPLICATE
        elif (known := self.state.identities.get(place)) is not None:
            if known != event.digest:
                return self._dead(DeadEvent(reason=DeadReason.EVENT_ID_REUSED, original=event.original))
            self.repeated[event.identity] = self.state.became.get(place, ())
            return EventOutcome.DUPLICATE
        else:
            self.state.identities[place] = event.digest
            self.state.became[place] = ()
            self.state.identified[place] = self.state.clock()
            self.identities += 1
        self.new.append(event)
        sieve.sift([event])
        asked = [one.notification.id for one in event.proposals]
        sieve.repeats_itself(
            [id_ for id_ in asked if id_ in sieve.stored and (self.batch.tenant, id_) in self.state.notifications]
        )
        self.state.became[place] = (
            *self.state.became.get(place, ()),
            *(sieve.duplicates.get(id_, id_) for id_ in asked if id_ in sieve.stored or id_ in sieve.duplicates),
        )
        return sieve.outcome(event)

    def _dead(self, dead: DeadEvent) -> EventOutcome:
        """Keep what could not be used, and say so outside. A record that is dead already does not die twice."""
        if dead.original in self.state.originals.values():
            return EventOutcome.DEAD_LETTERED
        letter = DeadLetter(
            id=max(self.state.originals, default=0) + 1,
            reason=dead.reason,
            position=dead.original.position,
            at=self.state.clock(),
            detail=dead.detail,
        )
        self.state.dead_letters.append((self.batch.tenant, letter))
        self.state.originals[letter.id] = dead.original
        self.letters += 1
        key = f"{letter.position.topic}-{letter.position.partition}"
        self.state.tell(
            self.batch.tenant,
            id_=f"dead-letter-{letter.id}",
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
        )
        return EventOutcome.DEAD_LETTERED

    def _store(self, sieve: Sieve[DedupKey]) -> None:
        """Write down what the sieve let through."""
        self.state.kept |= sieve.keys
        self.state.received |= sieve.told
        for first in _repeated(sieve):
            key = (self.batch.tenant, first)
            self.state.repeats[key] = self.state.repeats.get(key, 0) + 1
        ranks = Ranks(self.state) if sieve.stored else None
        for one in sieve.stored.values():
            self.state.notifications[one.user.tenant, one.id] = one
            for each in planned(one):
                self.state.keep(each, one.user)
            for delivery in one.deliveries:
                self.state.deliveries[delivery.key] = delivery
                if ranks and delivery.status in OPEN:
                    self.state.due[delivery.key] = Due(rank=ranks.rank(one, delivery), at=delivery.due_at)

    def _count(self, sieve: Sieve[DedupKey]) -> tuple[Volume, ...]:
        """Add to the volume of types."""
        hour = sieve.now.replace(minute=0, second=0, microsecond=0)
        volumes = []
        for type_, added in sorted(sieve.asked(self.new).items()):
            was, amount, recent = self.state.volumes.get((self.batch.tenant, type_), (hour, 0, ()))
            if was < hour:
                empty = min((hour - was) // HOUR, REMEMBERED) - 1
                amount, recent = 0, ((0,) * empty + (amount, *recent))[:REMEMBERED]
            self.state.volumes[self.batch.tenant, type_] = (max(was, hour), amount + added, recent)
            volumes.append(Volume(type=type_, added=added, amount=amount + added, recent=recent))
        return tuple(volumes)

    def _account(self, sieve: Sieve[DedupKey], outcomes: Sequence[EventOutcome]) -> None:
        """Count what became of the batch, apart from what was stored."""
        intakes = taken(
            self.batch,
            outcomes,
            identities=self.identities,
            dead_letters=self.letters,
            held=self.held,
            stored=sieve.stored.values(),
            repeated=_repeated(sieve),
        )
        self.state.intakes += [Intake(tenant=self.batch.tenant, at=sieve.now, taken=one) for one in intakes]


def _repeated(sieve: Sieve[DedupKey]) -> list[UUID]:
    """What is said again by somebody else; who repeats himself is on record."""
    return [first for id_, first in sieve.duplicates.items() if id_ != first]


def _key_of(notification: Notification) -> DedupKey:
    return notification.user, notification.type, notification.key or ""


@frozen
class MemoryIntake:
    """The IntakeStore port over a `State`."""

    state: State

    async def store(self, batch: Batch) -> Report:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            store_profiles(self.state, batch.profiles)
            originals = [*(event.original for event in batch.events), *(dead.original for dead in batch.dead)]
            self.state.topics.update((batch.tenant, original.position.topic) for original in originals)
            return _Storing(self.state, batch).report()
