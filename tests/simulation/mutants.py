"""Bugs planted one at a time. Each is the kind of mistake a later change could make; the simulation must notice."""

import asyncio
from collections.abc import Sequence

from attrs import evolve, frozen

from fn_notifications.adapters.memory.deliveries import MemoryDeliveries
from fn_notifications.adapters.memory.eventlog import MemoryEventLog
from fn_notifications.adapters.memory.people import person_of
from fn_notifications.application.call import Caller
from fn_notifications.application.ports.deliveries import Begun, Gate, Lease
from fn_notifications.application.ports.eventlog import Entry
from fn_notifications.application.ports.sending import Message, Sender
from fn_notifications.application.switchboard import Switchboard
from fn_notifications.domain.decision import Decision, Verdict
from fn_notifications.domain.delivery import DeliveryKey
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope
from fn_notifications.entrypoints.service import IntakeStep
from fn_notifications.testing.simulation.faults import Fault, Rates
from fn_notifications.testing.simulation.process import Make


class OffsetsBeforeCommit(IntakeStep):
    """Reports a batch done before it is stored: whoever dies between loses it."""

    async def __call__(self) -> int:
        records = self._pending or list(await self.source.take(self.batch, 0.5))
        self._pending = records
        await self.source.done(records)
        await self.intake.handle(records)
        self._pending = []
        return len(records)


class NoToken(MemoryDeliveries):
    """Lets whoever once held a lease go on as if it held it still."""

    def _holds(self, lease: Lease) -> bool:
        return lease.key in self.state.due

    def _is_live(self, lease: Lease) -> bool:
        return lease.key in self.state.due


class NoConsentLock(MemoryDeliveries):
    """Reads contact points first and commits the attempt later, without a lock that would hold an opt-out off."""

    async def begin(self, leases: Sequence[Lease], gate: Gate) -> Sequence[Begun]:
        keys = [(lease.key.tenant, lease.key.notification_id) for lease in leases]
        known = {key: self.state.notifications[key].user for key in keys if key in self.state.notifications}
        people = {key: person_of(self.state, user) for key, user in known.items()}
        await asyncio.sleep(0.5)

        def stale(candidate, now):
            key = (candidate.delivery.key.tenant, candidate.delivery.key.notification_id)
            return gate(evolve(candidate, person=people.get(key, candidate.person)), now)

        return await super().begin(leases, stale)


class NoGates(Switchboard):
    """Trusts what was decided when the event came in."""

    def _decide(self, candidate, now, room):
        decision, way = super()._decide(candidate, now, room)
        channel = candidate.delivery.channel
        if (
            decision.verdict is Verdict.SKIP
            and channel in candidate.person.contacts
            and now < candidate.delivery.expires_at
        ):
            return Decision.send(channel), (next(iter(self.lanes[channel].routes)), 1)
        return decision, way


class RetriesDoubts(Caller):
    """Takes an answer that never came for a no."""

    async def _send(self, sender: Sender, messages: Sequence[Message], deadline: float) -> Sequence[Outcome]:
        return [
            Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code=one.code)
            if one.kind is OutcomeKind.IN_DOUBT
            else one
            for one in await super()._send(sender, messages, deadline)
        ]


class NeverExpires(MemoryDeliveries):
    """Leaves what nobody may claim to whoever may claim it one day."""

    async def outlived(self, limit: int) -> Sequence[DeliveryKey]:
        return (await super().outlived(limit))[:0]


class OutOfOrder(MemoryEventLog):
    """Hands a shard's entries out as they happen to lie, not as they happened."""

    async def take(self, reader: str, limit: int) -> Sequence[Entry]:
        return list(await super().take(reader, limit))[::-1]


@frozen(kw_only=True)
class Mutant:
    """A planted bug, and within how many seeds it is found."""

    name: str
    make: Make
    found_by: tuple[str, ...]
    """How what the oracle says begins."""
    within: int
    rates: Rates | None = None
    """What goes wrong; None: what the seed says."""


MUTANTS = (
    Mutant(
        name="offset stored before commit",
        make=Make(intake_step=OffsetsBeforeCommit),
        found_by=("lost",),
        within=40,
    ),
    Mutant(
        name="no token check",
        make=Make(deliveries=lambda store: NoToken(store.state)),
        found_by=("in doubt", "fencing"),
        within=30,
        rates={Fault.FREEZE: 0.12, Fault.THROTTLED: 0.3, Fault.UNSENT: 0.2, Fault.HANG: 0.1},
    ),
    Mutant(
        name="no consent lock",
        make=Make(deliveries=lambda store: NoConsentLock(store.state)),
        found_by=("opt-out",),
        within=20,
        rates={Fault.LAST_MOMENT: 0.5},
    ),
    Mutant(name="gates not run again", make=Make(switchboard=NoGates), found_by=("opt-out",), within=30),
    Mutant(name="retry on in doubt", make=Make(caller=RetriesDoubts), found_by=("twice",), within=10),
    Mutant(
        name="no expiry of what is held",
        make=Make(deliveries=lambda store: NeverExpires(store.state)),
        found_by=("outlived",),
        within=20,
        rates={Fault.HOLD: 80},
    ),
    Mutant(
        name="relay without shard order",
        make=Make(eventlog=lambda store: OutOfOrder(store.state)),
        found_by=("order",),
        within=20,
    ),
)
"""Found first at the seeds 12, 0, 0, 0, 3, 0 and 1 when this was written."""
