"""What of a batch is said, what is held, and what only repeats something: decided on what its store has locked.

A store reads first (who holds the keys, what each person was told within the hour), lets the events through here one
after another, and writes down what came of it.
"""

from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from attrs import define, field

from fn_notifications.application.ports.intake import Event, EventOutcome, Hold, Proposal
from fn_notifications.domain.deduplication import Kept, duplicate_of
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.preferences import UserRef
from fn_notifications.domain.quarantine import flooded, within_hour
from fn_notifications.domain.reasons import Reason

K = TypeVar("K", bound=Hashable)
Flow = tuple[UserRef, str]
"""A person and a type."""


def flow_of(proposal: Proposal) -> Flow | None:
    """What a proposal counts for, if it counts: what is silent gives nobody too much."""
    one = proposal.notification
    return None if proposal.limit is None or proposal.silent else (one.user, one.type)


@define(kw_only=True)
class Sieve(Generic[K]):
    """One batch. `key_of` names the deduplication key of a notification that has one, as the store does."""

    now: datetime
    key_of: Callable[[Notification], K]
    kept: Mapping[K, tuple[Kept, ...]]
    """Who holds the keys. One that nobody held may be given to the first that asks for it already."""
    received: Mapping[Flow, tuple[datetime, ...]]
    stored: dict[UUID, Notification] = field(factory=dict)
    duplicates: dict[UUID, UUID] = field(factory=dict)
    held: dict[tuple[bytes, Flow], tuple[Event, Hold]] = field(factory=dict)
    keys: dict[K, tuple[Kept, ...]] = field(factory=dict)
    """Who holds those keys that changed hands."""
    told: dict[Flow, tuple[datetime, ...]] = field(factory=dict)
    """When those who are told something now were last told of its type, this time included."""

    def sift(self, events: Iterable[Event]) -> None:
        """Decide about new events, in order."""
        for event in events:
            for hold in event.holds:
                self.held[event.identity, (hold.user, hold.type)] = event, hold
            for proposal in event.proposals:
                self._sift(event, proposal)

    def repeats_itself(self, ids: Collection[UUID]) -> None:
        """These are there already: their event's identity was forgotten."""
        for id_ in ids:
            del self.stored[id_]
            self.duplicates[id_] = id_

    def outcome(self, event: Event) -> EventOutcome:
        """What became of an event that was let through."""
        flows = [(hold.user, hold.type) for hold in event.holds]
        flows += [(one.notification.user, one.notification.type) for one in event.proposals]
        if any((event.identity, flow) in self.held for flow in flows):
            return EventOutcome.HELD
        if not event.proposals:
            return EventOutcome.IGNORED
        said = [one.notification for one in event.proposals if one.notification.id in self.stored]
        if not said:
            return EventOutcome.DUPLICATE
        stale = all(decision.reason is Reason.STALE for one in said for decision in one.decisions)
        return EventOutcome.STALE if stale else EventOutcome.PLANNED

    def asked(self, events: Iterable[Event]) -> Counter[str]:
        """How often each type was asked for, repetitions apart, what was released not counted again."""
        return Counter(
            one.notification.type
            for event in events
            if event.released is None
            for one in event.proposals
            if one.notification.id not in self.duplicates
        )

    def _sift(self, event: Event, proposal: Proposal) -> None:
        notification = proposal.notification
        if notification.id in self.stored or notification.id in self.duplicates:
            return
        others: tuple[Kept, ...] = ()
        if notification.key is not None:
            holders = self._holders(notification)
            others = tuple(one for one in holders if one.notification_id != notification.id)
            if first := duplicate_of(others, notification.event_at, proposal.window):
                self.duplicates[notification.id] = first
                return
        if reason := self._enough(proposal):
            hold = Hold(notification.user, notification.type, notification.event_at, reason)
            self.held[event.identity, (hold.user, hold.type)] = event, hold
        else:
            self.stored[notification.id] = notification
        if notification.key is not None:
            mine = () if reason or proposal.silent else (Kept(notification.event_at, notification.id),)
            if len(others) + len(mine) != len(holders):
                self.keys[self.key_of(notification)] = (*others, *mine)

    def _holders(self, notification: Notification) -> tuple[Kept, ...]:
        key = self.key_of(notification)
        return self.keys[key] if key in self.keys else self.kept.get(key, ())

    def _enough(self, proposal: Proposal) -> Reason | None:
        """Why a person is to get no more of it; otherwise it is counted."""
        flow = flow_of(proposal)
        if flow is None or proposal.limit is None:
            return None
        recent = self.told[flow] if flow in self.told else within_hour(self.received.get(flow, ()), self.now)
        if reason := flooded(proposal.limit, recent, self.now):
            return reason
        self.told[flow] = (*recent, self.now)
        return None
