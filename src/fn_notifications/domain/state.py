"""What a delivery is and how events change it: the folding half of its life; `delivery` is the deciding one."""

from collections.abc import Iterable
from datetime import datetime
from itertools import accumulate
from typing import assert_never
from uuid import UUID

from attrs import frozen

from fn_notifications.domain import events as e
from fn_notifications.domain.address import Channel
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.events import Attempt, Event, Evidence, Finding
from fn_notifications.domain.lifecycle import TRANSITIONS, Status
from fn_notifications.domain.reasons import Reason


@frozen(kw_only=True, cache_hash=True)
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
    def calling(self) -> bool:
        """Whether a call is on the wire, as far as anybody wrote down. It may be although another attempt arrived."""
        return any(attempt.evidence is Evidence.OPEN for attempt in self.attempts)

    @property
    def queued(self) -> bool:
        """Whether it has a next wake-up, or a lease that may die: a row in the queue."""
        return self.due_at is not None or self.calling

    @property
    def spent(self) -> int:
        """How many of its tries are used up."""
        return sum(attempt.spent for attempt in self.attempts)

    @property
    def waits(self) -> int:
        """How often its lane, not the message, was what a provider refused."""
        return sum(
            attempt.evidence is Evidence.UNSENT and not attempt.spent and not attempt.outvoted
            for attempt in self.attempts
        )

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
        """The attempts with a finding merged into the one it is about; the very same when it tells nothing new."""
        known = self.attempt(finding.no)
        joined = known.join(finding)
        if joined is known:
            return self.attempts
        return (*self.attempts[: finding.no - 1], joined, *self.attempts[finding.no :])

    def states(self, events: Iterable[Event]) -> tuple["Delivery", ...]:
        """This state, and after it the one that each of these events led to."""
        return tuple(accumulate(events, evolve, initial=self))

    def with_events(self, events: Iterable[Event]) -> "Delivery":
        """The state after these events."""
        return self.states(events)[-1]


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


def evolve(state: Delivery, event: Event) -> Delivery:
    """The state after an event. Raises IllegalTransition for one the table does not know."""
    try:
        status = TRANSITIONS[state.status, type(event)]
    except KeyError:
        raise IllegalTransition(f"{type(event).__name__} does not follow from {state.status}") from None
    rest, due_at, reason, attempts, resends = state.rest, state.due_at, state.reason, state.attempts, state.resends
    match event:
        case e.Began():
            # From here on nothing is decided but by what becomes of the attempts: a doubt, or without one a failure.
            rest, due_at, reason, attempts = Status.IN_DOUBT, None, None, (*attempts, event.attempt)
        case e.Sent():
            due_at, reason, attempts = event.ask_at, None, state.joined(event.finding)
        case e.Delivered():
            due_at, reason, attempts = None, None, state.joined(event.finding)
        case e.Noted():
            attempts = state.joined(event.finding)
        case e.Planned():
            due_at, reason = event.due_at, event.reason
        case e.Deferred():
            rest, due_at, reason = Status.PENDING, event.until, event.reason
        case e.Retried():
            rest, due_at, reason = Status.PENDING, event.until, event.reason
            attempts = state.joined(event.finding)
        case e.Doubted():
            rest, due_at, reason = Status.IN_DOUBT, event.until, Reason.IN_DOUBT
            attempts = state.joined(event.finding)
        case e.Held() | e.Asked():
            due_at = event.until
        case e.Resent():
            rest, due_at, reason, resends = Status.PENDING, event.at, event.reason, resends + 1
        case e.Skipped() | e.Cancelled() | e.Unconfirmed():
            rest, due_at, reason = status, None, event.reason
        case e.Expired():
            rest, due_at, reason = status, None, Reason.EXPIRED
        case e.Failed():
            rest, due_at, reason, attempts = status, None, event.reason, state.joined(event.finding)
        case e.Resolved():
            pass
        case _:
            assert_never(event)
    return Delivery(
        key=state.key,
        channel=state.channel,
        expires_at=state.expires_at,
        status=status,
        rest=rest,
        due_at=due_at,
        reason=reason,
        resends=resends,
        attempts=attempts,
        version=state.version + 1,
    )
