"""A notification on one channel: decided and evolved on its own.

`decide` turns a command into events and may refuse; `evolve` folds events into the state and never does, for
history already happened. The status a delivery shows is stored by the table in `lifecycle` and is, at every moment,
equal to `status_of(rest, attempts)`: what was decided for it, overruled by what its attempts prove. With an attempt
in doubt it never ends as something that says it was not sent.
"""

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import Final, assert_never
from uuid import UUID

from attrs import evolve as changed
from attrs import frozen

from fn_notifications.domain import commands as c
from fn_notifications.domain import events as e
from fn_notifications.domain.address import Channel
from fn_notifications.domain.decision import Decision, Verdict
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.events import Attempt, Event, Evidence, Finding
from fn_notifications.domain.lifecycle import TRANSITIONS, Status
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.reasons import Reason


@frozen(kw_only=True)
class DeliveryKey:
    """Names a delivery: `no` counts the notification's channels from 1."""

    tenant: str
    notification_id: UUID
    no: int

    @property
    def event_key(self) -> str:
        """As it stands in events, tokens and logs."""
        return f"{self.notification_id.hex}-{self.no}"


@frozen(kw_only=True)
class Delivery:
    """The state of one delivery. `version` counts its events."""

    key: DeliveryKey
    channel: Channel
    expires_at: datetime
    status: Status | None = None
    rest: Status = Status.PENDING
    """Where it stands but for what its attempts prove."""
    due_at: datetime | None = None
    """When it wants to be looked at next; None when never again."""
    reason: Reason | None = None
    resends: int = 0
    attempts: tuple[Attempt, ...] = ()
    version: int = 0

    @property
    def spent(self) -> int:
        """How many of its tries are used up."""
        return sum(attempt.spent for attempt in self.attempts)

    @property
    def waits(self) -> int:
        """How often its lane, not the message, was what a provider refused."""
        return sum(attempt.evidence is Evidence.UNSENT and not attempt.spent for attempt in self.attempts)

    @property
    def doubtful(self) -> bool:
        """Whether any attempt is unresolved."""
        return any(attempt.evidence is Evidence.IN_DOUBT for attempt in self.attempts)

    def attempt(self, no: int) -> Attempt:
        """Attempt `no`, counted from 1. Raises IllegalTransition when there is none."""
        if not 1 <= no <= len(self.attempts):
            raise IllegalTransition(f"delivery {self.key.event_key} has no attempt {no}")
        return self.attempts[no - 1]

    def joined(self, finding: Finding) -> tuple[Attempt, ...]:
        """The attempts with a finding merged into the one it is about."""
        joined = self.attempt(finding.no).join(finding)
        return tuple(joined if attempt.no == finding.no else attempt for attempt in self.attempts)

    def with_events(self, events: Iterable[Event]) -> "Delivery":
        """The state after these events."""
        return reduce(evolve, events, self)


def status_of(rest: Status, attempts: tuple[Attempt, ...]) -> Status:
    """The status that `rest` and the attempts amount to, whatever order the findings came in.

    An attempt refused for good ends the tries, and while another is in doubt only the doubt is left.
    """
    evidence = {attempt.evidence for attempt in attempts}
    if Evidence.DELIVERED in evidence:
        return Status.DELIVERED
    if Evidence.OPEN in evidence:
        return Status.SENDING
    if Evidence.ACCEPTED in evidence:
        return Status.SENT
    refused = not evidence.isdisjoint((Evidence.REFUSED, Evidence.UNDELIVERED))
    if Evidence.IN_DOUBT in evidence:
        return Status.IN_DOUBT if refused and rest is Status.PENDING else rest
    if refused or rest in (Status.IN_DOUBT, Status.UNCONFIRMED):
        return Status.FAILED
    return rest


def decide(state: Delivery, command: c.Command, now: datetime) -> tuple[Event, ...]:
    """The events a command leads to; none when it changes nothing (a repeat is a no-op).

    Raises IllegalTransition when the command does not apply to the state: the caller's picture of it is old.
    """
    match command:
        case c.Plan():
            return _plan(state, command.decision, now)
        case c.Begin():
            return _begin(state, command, now)
        case c.Record():
            return _record(state, command, now)
        case c.Report():
            return _learn(state, command.finding, now)
        case c.Rescue():
            return _rescue(state, command, now)
        case c.Settle():
            return _settle(state, command, now)
        case c.Cancel():
            return _end(state, e.Cancelled(at=now, reason=command.reason), now)
        case _:
            assert_never(command)


def evolve(state: Delivery, event: Event) -> Delivery:
    """The state after an event. Raises IllegalTransition for one the table does not know."""
    try:
        status = TRANSITIONS[state.status, type(event)]
    except KeyError:
        raise IllegalTransition(f"{type(event).__name__} does not follow from {state.status}") from None
    state = changed(state, status=status, version=state.version + 1)
    match event:
        case e.Planned():
            return changed(state, due_at=event.due_at, reason=event.reason)
        case e.Deferred() | e.Retried():
            attempts = state.joined(event.finding) if isinstance(event, e.Retried) else state.attempts
            return changed(state, rest=Status.PENDING, due_at=event.until, reason=event.reason, attempts=attempts)
        case e.Began():
            # From here on nothing is decided but by what becomes of the attempts: a doubt, or without one a failure.
            attempts = (*state.attempts, event.attempt)
            return changed(state, rest=Status.IN_DOUBT, due_at=None, reason=None, attempts=attempts)
        case e.Doubted():
            attempts = state.joined(event.finding)
            return changed(state, rest=Status.IN_DOUBT, due_at=event.until, reason=Reason.IN_DOUBT, attempts=attempts)
        case e.Held():
            return changed(state, due_at=event.until)
        case e.Resent():
            return changed(state, rest=Status.PENDING, due_at=event.at, reason=event.reason, resends=state.resends + 1)
        case e.Skipped() | e.Cancelled() | e.Unconfirmed():
            return changed(state, rest=status, due_at=None, reason=event.reason)
        case e.Expired():
            return changed(state, rest=status, due_at=None, reason=Reason.EXPIRED)
        case e.Sent() | e.Delivered():
            return changed(state, due_at=None, reason=None, attempts=state.joined(event.finding))
        case e.Failed():
            return changed(state, rest=status, due_at=None, reason=event.reason, attempts=state.joined(event.finding))
        case e.Noted():
            return changed(state, attempts=state.joined(event.finding))
        case _:
            assert_never(event)


def _must_be(state: Delivery, *statuses: Status | None) -> None:
    if state.status not in statuses:
        raise IllegalTransition(f"delivery {state.key.event_key} is {state.status}")


def _plan(state: Delivery, decision: Decision, now: datetime) -> tuple[Event, ...]:
    _must_be(state, None)
    match decision:
        case Decision(verdict=Verdict.SKIP, reason=Reason.EXPIRED):
            return (e.Expired(at=now),)
        case Decision(verdict=Verdict.SKIP, reason=Reason() as reason):
            return (e.Skipped(at=now, reason=reason),)
        case _:
            return (e.Planned(at=now, due_at=_within(state, decision.until or now), reason=decision.reason),)


def _begin(state: Delivery, command: c.Begin, now: datetime) -> tuple[Event, ...]:
    _must_be(state, Status.PENDING)
    match command.gate:
        case Decision(verdict=Verdict.SKIP, reason=Reason.EXPIRED):
            return _end(state, e.Expired(at=now), now)
        case Decision(verdict=Verdict.SKIP, reason=Reason() as reason):
            return _end(state, e.Skipped(at=now, reason=reason), now)
        case Decision(verdict=Verdict.DEFER, reason=Reason() as reason, until=datetime() as until):
            return (e.Deferred(at=now, until=_within(state, until), reason=reason),)
        case _:
            attempt = Attempt(
                no=len(state.attempts) + 1,
                id=command.attempt_id,
                route=command.route,
                started_at=now,
                epoch=command.epoch,
            )
            return (e.Began(at=now, attempt=attempt),)


def _end(state: Delivery, end: e.Cancelled | e.Skipped | e.Expired, now: datetime) -> tuple[Event, ...]:
    """End what is still pending. With an attempt in doubt nobody may claim that nothing was sent."""
    if state.status is not Status.PENDING:
        return ()
    if state.doubtful:
        reason = Reason.EXPIRED if isinstance(end, e.Expired) else end.reason
        return (e.Unconfirmed(at=now, reason=reason),)
    return (end,)


_EVIDENCE: Final = {
    OutcomeKind.ACCEPTED: Evidence.ACCEPTED,
    OutcomeKind.REFUSED: Evidence.REFUSED,
    OutcomeKind.OPTED_OUT: Evidence.REFUSED,
    OutcomeKind.UNSENT: Evidence.UNSENT,
    OutcomeKind.IN_DOUBT: Evidence.IN_DOUBT,
}

_FAILURE: Final = {
    Evidence.UNSENT: Reason.TRIES_SPENT,
    Evidence.REFUSED: Reason.REFUSED,
    Evidence.UNDELIVERED: Reason.UNDELIVERED,
}
"""Why a delivery failed, by the most that any of its attempts came to."""


def _record(state: Delivery, command: c.Record, now: datetime) -> tuple[Event, ...]:
    outcome = command.outcome
    finding = Finding(
        no=command.no,
        evidence=_EVIDENCE[outcome.kind],
        at=now,
        scope=outcome.scope,
        code=outcome.code,
        provider_id=outcome.provider_id,
        digest=command.digest,
    )
    if _rests_on(state, finding):
        if outcome.kind is OutcomeKind.IN_DOUBT:
            return (e.Doubted(at=now, finding=finding, until=_within(state, now + command.grace)),)
        spent, waits = state.spent + outcome.spends, state.waits + (not outcome.spends)
        delay = command.retry.delay(spent, outcome, command.chance, waits=waits)
        if delay is not None:
            reason = Reason.RETRY if outcome.spends else Reason.LANE_WAITS
            return (e.Retried(at=now, finding=finding, until=_within(state, now + delay), reason=reason),)
    return _learn(state, finding, now, Reason.OPTED_OUT if outcome.kind is OutcomeKind.OPTED_OUT else None)


def _rests_on(state: Delivery, finding: Finding) -> bool:
    """Whether it rests on this finding what happens next.

    It does when it is news of an unresolved attempt that no other attempt proves more than, and no later one is in
    doubt: that one has its own grace.
    """
    attempt = state.attempt(finding.no)
    return (
        state.status in (Status.SENDING, Status.IN_DOUBT)
        and attempt.evidence < finding.evidence <= Evidence.UNSENT
        and status_of(Status.PENDING, state.joined(finding)) is Status.PENDING
        and all(later.evidence is not Evidence.IN_DOUBT for later in state.attempts[finding.no :])
    )


def _learn(state: Delivery, finding: Finding, now: datetime, reason: Reason | None = None) -> tuple[Event, ...]:
    """Keep a finding. `reason`: why the delivery failed if that is what it comes to, when it is a special one."""
    attempts = state.joined(finding)
    if attempts == state.attempts:
        return ()
    target = status_of(state.rest, attempts)
    if target is state.status:
        return (e.Noted(at=now, finding=finding),)
    match target:
        case Status.DELIVERED:
            return (e.Delivered(at=now, finding=finding),)
        case Status.SENT:
            return (e.Sent(at=now, finding=finding),)
        case Status.FAILED:
            most = max(attempt.evidence for attempt in attempts)
            return (e.Failed(at=now, finding=finding, reason=reason or _FAILURE[most]),)
        case _:
            return (e.Doubted(at=now, finding=finding, until=state.expires_at),)


def _rescue(state: Delivery, command: c.Rescue, now: datetime) -> tuple[Event, ...]:
    if state.status is not Status.SENDING:
        return ()
    finding = Finding(no=len(state.attempts), evidence=Evidence.IN_DOUBT, at=now, code="worker_lost")
    if not _rests_on(state, finding):
        return _learn(state, finding, now)
    return (e.Doubted(at=now, finding=finding, until=_within(state, now + command.grace)),)


def _settle(state: Delivery, command: c.Settle, now: datetime) -> tuple[Event, ...]:
    if state.status is not Status.IN_DOUBT:
        return ()
    if now >= state.expires_at:
        return (e.Unconfirmed(at=now, reason=Reason.UNCONFIRMED),)
    may_resend = state.resends == 0 and status_of(Status.PENDING, state.attempts) is Status.PENDING
    if command.remedy is c.Remedy.RESEND and may_resend:
        return (e.Resent(at=now, reason=Reason.RESEND_IN_DOUBT),)
    if state.due_at == state.expires_at:
        return ()
    return (e.Held(at=now, until=state.expires_at),)


def _within(state: Delivery, moment: datetime) -> datetime:
    return min(moment, state.expires_at)
