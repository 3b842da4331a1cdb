"""The judgement when all is over: what goes in must come out, once, and nothing else (Jepsen's total queue)."""

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from fn_notifications.adapters.memory.store import MemoryStore
from fn_notifications.application.ports.ledger import Ledger
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.identity import parse_attempt_id
from fn_notifications.domain.lifecycle import OPEN, Status
from fn_notifications.testing.simulation.broker import TOPICS, Broker
from fn_notifications.testing.simulation.process import PACE
from fn_notifications.testing.simulation.provider import Providers
from fn_notifications.testing.simulation.subject import catalogue
from fn_notifications.testing.simulation.told import Publishers, Told
from fn_notifications.testing.simulation.watch import Watch

_LONGEST_CALL: Final = PACE.lease + timedelta(seconds=15)
"""From the commit of an attempt until it is taken: its lease, and what a network may add."""


@frozen(kw_only=True)
class Verdict:
    """What one seed came to."""

    deliveries: int
    lost: int
    unexpected: int
    sent_after_opt_out: int
    duplicates: int
    violations: tuple[str, ...]


@frozen(kw_only=True)
class Oracle:
    """Everything there is to compare."""

    store: MemoryStore
    watch: Watch
    broker: Broker
    providers: Providers
    publishers: Publishers
    accepted: list[Told]
    ledger: Ledger

    def judge(self) -> Verdict:
        """Compare what was asked for with what became of it."""
        lost, unexpected, duplicates = list(self._lost()), list(self._unexpected()), self._duplicates()
        found = [*self.watch.violations, *lost, *unexpected, *self._broken()]
        if duplicates > self.watch.resends:
            found.append(f"twice: {duplicates} duplicates at the providers, {self.watch.resends} resends in doubt")
        if len(set(self.watch.doubted)) > len(self.watch.ambiguous):
            found.append("in doubt: opened more often than calls were ambiguous")
        return Verdict(
            deliveries=len(self.watch.remembered.deliveries),
            lost=len(lost),
            unexpected=len(unexpected),
            sent_after_opt_out=sum(one.startswith("opt-out") for one in self.watch.violations),
            duplicates=duplicates,
            violations=tuple(found),
        )

    def _lost(self) -> Iterator[str]:
        seen = self.watch.remembered
        for place, identity in self.publishers.events.items():
            if ("default", identity) not in seen.identities and place not in seen.dead and identity not in self._held:
                yield f"lost: the event at {place}"
        yield from (f"lost: the poison at {place}" for place in self.publishers.poison if place not in seen.dead)
        known = {(one.identity, one.user.user_id, one.type) for one in seen.notifications.values()} | seen.held.keys()
        said = defaultdict(list)
        for one in seen.notifications.values():
            said[one.user.user_id, one.type, one.key].append(one.event_at)
        for told in (*self.publishers.told, *self.accepted):
            window = catalogue().types[told.type].window
            repeated = any(abs(at - told.at) < window for at in said[told.user, told.type, told.key])
            if not repeated and (told.identity, told.user, told.type) not in known:
                yield f"lost: {told.type} for {told.user}"
        for delivery in seen.deliveries.values():
            if delivery.status in (Status.SENT, Status.DELIVERED) and not self._proved(delivery):
                yield f"lost: {delivery.key.event_key} counts as {delivery.status} and nobody took it"

    @property
    def _held(self) -> set[bytes]:
        return {identity for identity, _, _ in self.watch.remembered.held}

    def _proved(self, delivery: Delivery) -> bool:
        ruled = any(attempt.code == "operator" for attempt in delivery.attempts)
        ids = {attempt.id for attempt in delivery.attempts}
        return ruled or not ids.isdisjoint(self.providers.said)

    def _unexpected(self) -> Iterator[str]:
        seen = self.watch.remembered
        asked = {(one.identity, one.user, one.type) for one in (*self.publishers.told, *self.accepted)}
        for one in seen.notifications.values():
            if one.type != "reminder" and (one.identity, one.user.user_id, one.type) not in asked:
                yield f"unexpected: notification {one.id}"
        for taken in self.providers.taken:
            started_at, address = self.watch.begun.get(taken.attempt_id, (None, None))
            if started_at is None:
                yield f"unexpected: a provider took {taken.attempt_id}, which nobody recorded"
            elif taken.to != address:
                yield f"unexpected: {taken.attempt_id} went to another address than consent was read for"
            elif taken.at - started_at > _LONGEST_CALL and taken.attempt_id not in self.watch.ambiguous:
                yield f"too late: {taken.attempt_id} was called when its lease was over"
        for attempt, requests in self.providers.requests.items():
            if requests > 1:
                yield f"unexpected: {requests} requests for attempt {attempt}"

    def _duplicates(self) -> int:
        """How often a provider took what one had taken before."""
        taken = Counter(self._delivery(one.attempt_id) for one in self.providers.taken)
        return sum(amount - 1 for amount in taken.values())

    @staticmethod
    def _delivery(attempt_id: str) -> object:
        named = parse_attempt_id(attempt_id)
        return named[:2] if named else attempt_id

    def _broken(self) -> Iterator[str]:
        yield from self._undrained()
        yield from self._unbalanced()
        yield from self._mispublished()
        for delivery in self.watch.remembered.deliveries.values():
            yield from _flaws(delivery)

    def _undrained(self) -> Iterator[str]:
        state = self.store.state
        for key, place in state.due.items():
            yield f"not drained: {key.event_key} is {state.deliveries[key].status}, due {place.at}"
        for delivery in self.watch.remembered.deliveries.values():
            if delivery.status in OPEN and delivery.key not in state.due:
                yield f"no wake-up: {delivery.key.event_key} is {delivery.status} and nothing will come back for it"
        if unread := self.broker.unread():
            yield f"not drained: {unread} records nobody took in"

    def _unbalanced(self) -> Iterator[str]:
        if self.ledger.taken_in != self.watch.taken_in:
            yield f"ledger: {self.watch.taken_in} events were stored, {self.ledger.taken_in} are accounted for"
        for account in self.ledger.imbalances:
            yield f"ledger: {account.equation} is off by {account.off}"

    def _mispublished(self) -> Iterator[str]:
        """In order per delivery, each at least once, none skipped."""
        published = [json.loads(one.value) for one in self.broker.stream.order if one.topic not in TOPICS]
        ids = {event["id"] for event in published}
        last: dict[str, int] = {}
        for event in _first_times(published):
            delivery, version = event["data"].get("delivery_id"), event["data"].get("version", 0)
            if delivery and version < last.get(delivery, 0):
                yield f"order: {event['id']} was published after a later one"
            if delivery:
                last[delivery] = version
        yield from (f"lost: {id_} was never published" for id_ in self.watch.published if id_ not in ids)


def _first_times(published: Iterable[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Each event when it was published first: after a crash, some are published again."""
    seen = set()
    for event in published:
        if event["id"] not in seen:
            seen.add(event["id"])
            yield event


def _flaws(delivery: Delivery) -> Iterator[str]:
    if delivery.calling:
        yield f"not drained: {delivery.key.event_key} has an attempt that nobody closed"
