"""What a delivery is and how events change it: the folding half of its life; `delivery` is the deciding one."""

from collections.abc import Iterable
from datetime import datetime
from functools import reduce
from typing import assert_never
from uuid import UUID

from attrs import evolve as changed
from attrs import frozen

from fn_notifications.domain import events as e
from fn_notifications.domain.address import Channel
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.events import Attempt, Event, Evidence, Finding
from fn_notifications.domain.lifecycle import TRANSITIONS, Status
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
        case e.Held() | e.Asked():
            return changed(state, due_at=event.until)
        case e.Resent():
            return changed(state, rest=Status.PENDING, due_at=event.at, reason=event.reason, resends=state.resends + 1)
        case e.Skipped() | e.Cancelled() | e.Unconfirmed():
            return changed(state, rest=status, due_at=None, reason=event.reason)
        case e.Expired():
            return changed(state, rest=status, due_at=None, reason=Reason.EXPIRED)
        case e.Sent():
            return changed(state, due_at=event.ask_at, reason=None, attempts=state.joined(event.finding))
        case e.Delivered():
            return changed(state, due_at=None, reason=None, attempts=state.joined(event.finding))
        case e.Failed():
            return changed(state, rest=status, due_at=None, reason=event.reason, attempts=state.joined(event.finding))
        case e.Noted():
            return changed(state, attempts=state.joined(event.finding))
        case e.Resolved():
            return state
        case _:
            assert_never(event)
