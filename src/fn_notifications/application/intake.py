"""Events in: a batch of records to one transaction.

Every record ends as a stored notification, a recorded duplicate, a recorded skip, held in quarantine, or a dead letter;
which one is decided here and in the store, and only afterwards does the caller report the records as done.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import Final

from attrs import evolve, field, frozen

from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.errors import Conflict, Refused
from fn_notifications.application.ports.events import Record
from fn_notifications.application.ports.intake import (
    Batch,
    DeadEvent,
    DeadReason,
    Event,
    EventOutcome,
    Hold,
    IntakeStore,
    Proposal,
    Report,
)
from fn_notifications.application.ports.people import Dossier, Loaded, People, PreferenceCache
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.application.understand import Understood, understand
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import Policy
from fn_notifications.domain.preferences import (
    ContactPoint,
    Fact,
    Person,
    Profile,
    UserRef,
    contact_point,
    merge,
    person,
)
from fn_notifications.domain.quarantine import jumped, limit_of, replayed
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routing import plan

_DECISIONS: Final = 8
"""How often a batch is decided anew because somebody changed a profile under it."""


@frozen(kw_only=True)
class Intake:
    """Plans events and stores them."""

    catalogue: Catalogue
    people: People
    store: IntakeStore
    policy: Policy
    telemetry: Telemetry
    chance: Callable[[], float]
    tenant: str = "default"
    cache: PreferenceCache | None = None
    _unknown: set[str] = field(factory=set, init=False, repr=False)

    async def handle(self, records: Sequence[Record]) -> Mapping[EventOutcome, int]:
        """Store a batch of records, each as what it turns out to be. Returns how many became what.

        Idempotent. A value the store cannot take costs its own record alone: the batch is halved until that one is
        a dead letter. Raises Unavailable when the store cannot be reached; nothing is stored then.
        """
        if not records:
            return {}
        return await self.take([self._understand(record) for record in records])

    async def plan(self, events: Sequence[Understood], *, fresh: bool = True) -> Batch:
        """What would be stored for these events, decided on what is known of the people now. Stores nothing."""
        loaded = await self._load({user for event in events for user in _people_of(event)}, fresh=fresh)
        facts: dict[UserRef, list[Fact]] = {}
        for fact in (fact for event in events for fact in event.facts):
            facts.setdefault(fact.user, []).append(fact)
        people = {user: one.person for user, one in loaded.dossiers.items()}
        profiles = []
        for user, told in facts.items():
            if user not in people:
                continue
            known = loaded.dossiers[user]
            profile = merge(known.profile, told)
            if profile is not known.profile:
                profiles.append(profile)
                people[user] = self._person(profile, known)
        return Batch(
            tenant=self.tenant,
            events=tuple(self._planned(event, people, loaded) for event in events),
            profiles=tuple(profiles),
        )

    def _understand(self, record: Record) -> Understood | DeadEvent:
        understood = understand(record, self.catalogue, self.tenant)
        if isinstance(understood, Understood) and not understood.known_type:
            type_ = understood.envelope.type[:100]
            if type_ not in self._unknown and len(self._unknown) < 1000:
                self._unknown.add(type_)
                self.telemetry.log("info", "intake.unknown_type", type=type_, topic=record.topic)
        return understood

    async def take(self, events: Sequence[Understood | DeadEvent]) -> Mapping[EventOutcome, int]:
        """Store what records were understood as; as `handle`. What is released and cannot be stored stays held."""
        try:
            return await self._store_whole(events)
        except Refused:
            if len(events) > 1:
                middle = len(events) // 2
                halves = [await self.take(events[:middle]), await self.take(events[middle:])]
                return {
                    outcome: amount
                    for outcome in EventOutcome
                    if (amount := sum(half.get(outcome, 0) for half in halves))
                }
            (only,) = events
            if isinstance(only, DeadEvent):
                raise
            if only.released is not None:
                return {EventOutcome.HELD: 1}
            return await self._store_whole([DeadEvent(reason=DeadReason.REJECTED, original=only.original)])

    async def _store_whole(self, events: Sequence[Understood | DeadEvent]) -> Mapping[EventOutcome, int]:
        understood = [event for event in events if isinstance(event, Understood)]
        dead = [event for event in events if isinstance(event, DeadEvent)]
        return self._counted((await self.submit(understood, dead)).outcomes)

    async def submit(self, events: Sequence[Understood], dead: Sequence[DeadEvent] = ()) -> Report:
        """Plan and store, in one transaction; decided anew when somebody changes a profile under it.

        Raises Conflict when that does not end, Refused when the store cannot take some value.
        """
        for decision in range(1, _DECISIONS + 1):
            batch = evolve(await self.plan(events, fresh=decision > 1), dead=tuple(dead))
            try:
                report = await self.store.store(batch)
            except Conflict:
                if decision == _DECISIONS:
                    raise
                self.telemetry.count("intake.conflicts")
            else:
                if self.cache and batch.profiles:
                    await self.cache.drop([profile.user for profile in batch.profiles])
                self._watch(report)
                return report
        raise AssertionError  # pragma: no cover - the loop returns or raises

    def _watch(self, report: Report) -> None:
        """Say what was held, and which type came in far greater numbers than it usually does: once an hour each."""
        for (type_, reason), amount in Counter((hold.type, hold.reason) for hold in report.holds).items():
            self.telemetry.count("intake.held", amount, type=type_, cause=reason)
            self.telemetry.log("warning", "intake.held", type=type_, reason=reason, amount=amount)
        for one in report.volumes:
            if jumped(one.recent, one.amount) and not jumped(one.recent, one.amount - one.added):
                self.telemetry.count("intake.jumps", type=one.type)
                usual = max(one.recent)
                self.telemetry.log("warning", "intake.jump", type=one.type, this_hour=one.amount, usual=usual)

    def _counted(self, outcomes: Sequence[EventOutcome]) -> Mapping[EventOutcome, int]:
        counts = {outcome: outcomes.count(outcome) for outcome in EventOutcome if outcome in outcomes}
        for outcome, amount in counts.items():
            self.telemetry.count("intake.events", amount, outcome=outcome)
        return counts

    async def _load(self, users: set[UserRef], *, fresh: bool) -> Loaded:
        held: Mapping[UserRef, Dossier] = {}
        if self.cache and users and not fresh:
            held = await self.cache.get(users)
        loaded = await self.people.load(users - held.keys())
        if self.cache and loaded.dossiers:
            await self.cache.put(loaded.dossiers.values())
        return evolve(loaded, dossiers={**held, **loaded.dossiers})

    def _person(self, profile: Profile, dossier: Dossier) -> Person:
        """The person with what this very batch teaches; a changed address is not yet known to be suppressed."""
        contacts: dict[Channel, ContactPoint] = {}
        for channel, rules in self.policy.channels.items():
            new = contact_point(profile, channel, rules.address)
            old = dossier.person.contacts.get(channel)
            if old is not None and old.address == new.address:
                new = evolve(new, suppression=old.suppression, epoch=old.epoch, recent=old.recent)
            contacts[channel] = new
        return person(profile.user, profile.said, contacts)

    def _planned(self, event: Understood, people: Mapping[UserRef, Person], loaded: Loaded) -> Event:
        proposals, holds = list[Proposal](), list[Hold]()
        for request in event.requests:
            type_ = self.catalogue.types[request.type]
            if request.user in loaded.unreadable:
                if event.direct and event.released is None:
                    loaded.of(request.user)
                holds.append(Hold(request.user, request.type, request.event_at, Reason.UNREADABLE))
                continue
            notification = plan(
                request,
                type_,
                people[request.user],
                self.policy,
                loaded.now,
                chance=self.chance(),
                catalogue=self.catalogue.version,
            )
            limit = None if event.direct else limit_of(type_)
            proposal = Proposal(notification=notification, window=type_.window, limit=limit)
            reason = None if event.direct else replayed(type_, request.event_at, event.original.timestamp)
            if reason and not proposal.silent:
                holds.append(Hold(request.user, request.type, request.event_at, reason))
            else:
                proposals.append(proposal)
        asked = {request.user for request in event.requests}
        for user in {fact.user for fact in event.facts} & loaded.unreadable - asked:
            holds.append(Hold(user, event.envelope.type[:100], event.envelope.at, Reason.UNREADABLE))
        return Event(
            identity=event.envelope.identity,
            digest=event.envelope.digest,
            type=event.envelope.type,
            original=event.original,
            proposals=tuple(proposals),
            holds=tuple(holds),
            released=event.released,
        )


def _people_of(event: Understood) -> set[UserRef]:
    return {request.user for request in event.requests} | {fact.user for fact in event.facts}
