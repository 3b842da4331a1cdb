"""What must add up, over tables that are written together: a row that is gone from any of them leaves a difference.
And what waits.
"""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum

from attrs import field, frozen

from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.domain.address import Channel
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.reasons import Reason


class Equation(StrEnum):
    """What is held against what."""

    EVENTS = "events"
    """Each batch: what came in = planned + duplicate + ignored + stale + dead-lettered + held."""
    IDENTITIES = "identities"
    """New events counted by their batches = identities remembered + archived."""
    DEAD_LETTERS = "dead_letters"
    """Counted by their batches = kept + archived."""
    HELD = "held"
    """Put into quarantine by their batches = there, held or settled, + archived."""
    NOTIFICATIONS = "notifications"
    """Counted by their batches = stored + archived."""
    DELIVERIES = "deliveries"
    """Counted by their batches = the sum over the states + archived."""
    REQUESTS = "requests"
    """Every notification has the request that asked for it, with what the rules said."""
    REPEATS = "repeats"
    """Repetitions counted by their batches = recorded + archived."""
    REPORTS = "reports"
    """Reports counted as they came in = stored + archived."""
    ATTEMPTS = "attempts"
    """Attempts that the event log tells of = recorded."""
    PROOFS = "proofs"
    """Every sent or delivered one has an attempt that a provider or a report says was accepted."""
    TRANSITIONS = "transitions"
    """The version of a delivery = its rows in the event log, while those are kept."""
    WAKE_UPS = "wake_ups"
    """Every delivery that has a next wake-up, or a call on the wire, has its place in the queue, and no other has."""


@frozen(kw_only=True)
class Account:
    """One equation's two sides: what there should be, and what there is.

    Where an account is kept for each delivery or batch apart, so that too much here does not make up for too little
    there, `expected` is the sum of what either side has, and `found` of what both have.
    """

    equation: Equation
    expected: int
    found: int

    @property
    def off(self) -> int:
        """By how much it does not add up."""
        return self.expected - self.found


@frozen(kw_only=True)
class Ledger:
    """Counts, and whether they add up."""

    events: Mapping[EventOutcome, int] = field(factory=dict)
    deliveries: Mapping[Status, int] = field(factory=dict)
    archived: Mapping[str, int] = field(factory=dict)
    """What is kept no longer, by what it was."""
    accounts: tuple[Account, ...] = ()

    @property
    def taken_in(self) -> int:
        """How many events were stored, whatever became of them."""
        return sum(self.events.values())

    @property
    def imbalances(self) -> tuple[Account, ...]:
        """What does not add up."""
        return tuple(account for account in self.accounts if account.off)


@frozen(kw_only=True)
class Backlog:
    """Deliveries of one type and channel that wait for their way out, all for the same reason."""

    type: str
    channel: Channel
    reason: Reason | None
    """`held` or `lane_waits`; None: they are due and were not turned down."""
    deliveries: int
    since: datetime
    """When the first of them began to wait: was turned down, and never since for another reason, or was due."""
