"""What may be asked of a delivery, in the imperative. All times and chances are arguments."""

from datetime import timedelta
from enum import StrEnum

from attrs import frozen

from fn_notifications.domain.decision import Decision
from fn_notifications.domain.events import Finding
from fn_notifications.domain.outcome import Outcome
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.retry import RetryPolicy


@frozen(kw_only=True)
class Plan:
    """Carry out what the rules decided for this channel."""

    decision: Decision


@frozen(kw_only=True)
class Begin:
    """Start an attempt if the gates, run again just now, still say so."""

    gate: Decision
    attempt_id: str
    route: str
    epoch: int


@frozen(kw_only=True)
class Record:
    """Write down the answer to attempt `no`."""

    no: int
    outcome: Outcome
    retry: RetryPolicy
    chance: float
    """In [0, 1): spreads the retry."""
    grace: timedelta
    """How long a report may clear up a doubt (see `in_doubt.grace`)."""
    digest: str | None = None


@frozen(kw_only=True)
class Report:
    """Write down what the provider, or an operator, says of an attempt."""

    finding: Finding


@frozen(kw_only=True)
class Rescue:
    """The worker that held this is gone: what it had on the wire is in doubt."""

    grace: timedelta


class Remedy(StrEnum):
    """What is done about a doubt when the grace is over."""

    RESEND = "resend"
    HOLD = "hold"


@frozen(kw_only=True)
class Settle:
    """The grace is over; do what the type says. At expiry it stays unconfirmed."""

    remedy: Remedy


@frozen(kw_only=True)
class Cancel:
    """Stop it, if it was not sent yet."""

    reason: Reason = Reason.CANCELLED


Command = Plan | Begin | Record | Report | Rescue | Settle | Cancel
