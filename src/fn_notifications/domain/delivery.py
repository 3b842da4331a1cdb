"""A notification on one channel: decided and evolved on its own.

`decide` turns a command into events and may refuse; `evolve` folds events into the state and never does, for
history already happened. The status a delivery shows is stored by the table in `lifecycle` and is, at every moment,
equal to `status_of(rest, attempts)`: what was decided for it, overruled by what its attempts prove. With an attempt
in doubt it never ends as something that says it was not sent.
"""

from datetime import datetime, timedelta
from typing import Final, assert_never

from fn_notifications.domain import commands as c
from fn_notifications.domain import events as e
from fn_notifications.domain.decision import Decision, Verdict
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.events import ANSWERS, Attempt, Event, Evidence, Finding
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import Outcome, OutcomeKind
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.state import Delivery, DeliveryKey, evolve, status_of

__all__ = ["Delivery", "DeliveryKey", "decide", "evolve", "status_of"]


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
            return _learn(state, command.finding, now, command.reason, command.ask_after)
        case c.Ask():
            return _ask(state, command, now)
        case c.Rescue():
            return _rescue(state, command, now)
        case c.Wait():
            return _wait(state, command.until, now)
        case c.Settle():
            return _settle(state, command, now)
        case c.Expire():
            return _end(state, e.Expired(at=now, note=command.note), now) if now >= state.expires_at else ()
        case c.Resolve():
            return _resolve(state, command, now)
        case c.Cancel():
            return _end(state, e.Cancelled(at=now, reason=command.reason, note=command.note, by=command.by), now)
        case _:
            assert_never(command)


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
    if not state.doubtful:
        return (end,)
    match end:
        case e.Cancelled():
            return (e.Unconfirmed(at=now, reason=end.reason, note=end.note, by=end.by),)
        case e.Skipped():
            return (e.Unconfirmed(at=now, reason=end.reason),)
        case e.Expired():
            return (e.Unconfirmed(at=now, reason=Reason.EXPIRED, note=end.note),)


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
        evidence=ANSWERS[outcome.kind],
        at=now,
        scope=outcome.scope,
        code=outcome.code,
        provider_id=outcome.provider_id,
        digest=command.digest,
    )
    if _rests_on(state, finding):
        if outcome.kind is OutcomeKind.IN_DOUBT:
            return (e.Doubted(at=now, finding=finding, until=_within(state, now + command.grace)),)
        spent, waits = state.spent + outcome.spends, state.waits + outcome.waits
        delay = command.retry.delay(spent, outcome, command.chance, waits=waits)
        if delay is not None:
            until = _within(state, now + delay)
            return (e.Retried(at=now, finding=finding, until=until, reason=_again(outcome)),)
    special = Reason.OPTED_OUT if outcome.kind is OutcomeKind.OPTED_OUT else None
    return _learn(state, finding, now, special, command.ask_after)


def _again(outcome: Outcome) -> Reason:
    """Why there is to be another attempt."""
    if not outcome.called:
        return Reason.RELEASED
    return Reason.LANE_WAITS if outcome.waits else Reason.RETRY


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


def _learn(
    state: Delivery,
    finding: Finding,
    now: datetime,
    reason: Reason | None = None,
    ask_after: timedelta | None = None,
) -> tuple[Event, ...]:
    """Keep a finding. `reason` and `ask_after`: for a delivery that it makes failed, or sent (see `Report`)."""
    attempts = state.joined(finding)
    if attempts is state.attempts:
        return ()
    target = status_of(state.rest, attempts)
    if target is state.status:
        return (e.Noted(at=now, finding=finding),)
    match target:
        case Status.DELIVERED:
            return (e.Delivered(at=now, finding=finding),)
        case Status.SENT:
            return (e.Sent(at=now, finding=finding, ask_at=now + ask_after if ask_after else None),)
        case Status.FAILED:
            return (e.Failed(at=now, finding=finding, reason=reason or _failure(attempts)),)
        case _:
            return (e.Doubted(at=now, finding=finding, until=state.expires_at),)


def _failure(attempts: tuple[Attempt, ...]) -> Reason:
    """Nobody refused what was never handed to anybody: then it failed because it could not be made."""
    most = max(attempt.evidence for attempt in attempts)
    refused = most is Evidence.REFUSED
    if refused and not any(attempt.called for attempt in attempts if attempt.evidence is most):
        return Reason.CONTENT
    return _FAILURE[most]


def _rescue(state: Delivery, command: c.Rescue, now: datetime) -> tuple[Event, ...]:
    if not state.calling:
        return ()
    finding = Finding(no=len(state.attempts), evidence=Evidence.IN_DOUBT, at=now, code="worker_lost")
    if not _rests_on(state, finding):
        return _learn(state, finding, now)
    return (e.Doubted(at=now, finding=finding, until=_within(state, now + command.grace)),)


def _ask(state: Delivery, command: c.Ask, now: datetime) -> tuple[Event, ...]:
    if state.status not in (Status.SENT, Status.IN_DOUBT):
        return ()
    until = now + command.again if command.again else None
    if state.status is Status.IN_DOUBT:
        until = _within(state, until or state.expires_at)
    if until == state.due_at:
        return ()
    reason = Reason.NOTHING_NEW if command.answered else Reason.NOT_ANSWERED
    return (e.Asked(at=now, no=state.attempt(command.no).no, reason=reason, until=until),)


def _wait(state: Delivery, until: datetime, now: datetime) -> tuple[Event, ...]:
    until = _within(state, until)
    if state.status is not Status.IN_DOUBT or until in (now, state.due_at):
        return ()
    return (e.Held(at=now, until=until),)


def _settle(state: Delivery, command: c.Settle, now: datetime) -> tuple[Event, ...]:
    remedy = _remedy(state, command.remedy, now) if state.status is Status.IN_DOUBT else None
    if remedy is None:
        return ()
    if command.asked is None:
        return (remedy,)
    return (e.Asked(at=now, no=state.attempt(command.asked).no, reason=Reason.NOTHING_NEW), remedy)


def _remedy(state: Delivery, remedy: c.Remedy, now: datetime) -> Event | None:
    if now >= state.expires_at:
        return e.Unconfirmed(at=now, reason=Reason.UNCONFIRMED)
    if remedy is c.Remedy.RESEND and state.resends == 0 and _may_go_again(state):
        return e.Resent(at=now, reason=Reason.RESEND_IN_DOUBT)
    return None if state.due_at == state.expires_at else e.Held(at=now, until=state.expires_at)


def _may_go_again(state: Delivery) -> bool:
    """Whether no attempt proves that another is in vain."""
    return status_of(Status.PENDING, state.attempts) is Status.PENDING


def _resolve(state: Delivery, command: c.Resolve, now: datetime) -> tuple[Event, ...]:
    """An operator's word is weak evidence: whatever the provider says later overrules it."""
    said = e.Resolved(at=now, ruling=command.ruling, note=command.note, by=command.by)
    if command.ruling is e.Ruling.RESEND:
        _must_be(state, Status.IN_DOUBT, Status.FAILED)
        if now >= state.expires_at or not _may_go_again(state):
            raise IllegalTransition(f"delivery {state.key.event_key} has expired or was refused for good")
        return (said, e.Resent(at=now, reason=Reason.OPERATOR))
    _must_be(state, Status.IN_DOUBT)
    doubtful = [attempt.no for attempt in state.attempts if attempt.evidence is Evidence.IN_DOUBT]
    sent = command.ruling is e.Ruling.SENT
    evidence = Evidence.ACCEPTED if sent else Evidence.REFUSED
    after, events = evolve(state, said), tuple[Event, ...]([said])
    for no in doubtful[-1:] if sent else doubtful:
        found = _learn(after, Finding(no=no, evidence=evidence, at=now, code=Reason.OPERATOR), now, Reason.OPERATOR)
        after, events = after.with_events(found), (*events, *found)
    return events


def _within(state: Delivery, moment: datetime) -> datetime:
    return min(moment, state.expires_at)
