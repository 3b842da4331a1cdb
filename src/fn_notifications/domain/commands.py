"""What may be asked of a delivery, in the imperative. All times and chances are arguments."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import field, frozen

from fn_notifications.domain.decision import Decision
from fn_notifications.domain.errors import InvalidValue
from fn_notifications.domain.events import Finding, Ruling
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
    ask_after: timedelta | None = None
    """When the provider is asked what became of what it took; None when it cannot be asked."""


@frozen(kw_only=True)
class Report:
    """Write down what the provider says of an attempt."""

    finding: Finding
    reason: Reason | None = None
    """Why the delivery failed, if it comes to that and the reason is a special one."""
    ask_after: timedelta | None = None
    """As in `Record`."""


@frozen(kw_only=True)
class Ask:
    """Write down that the provider was asked about attempt `no` and told nothing that was not known."""

    no: int
    answered: bool
    """Whether it could be asked at all."""
    again: timedelta | None = None
    """How long until it is asked again; None: never, unless a doubt is still open when the delivery expires."""


@frozen(kw_only=True)
class Rescue:
    """The worker that held this is gone: what it had on the wire is in doubt, whatever other attempts came to."""

    grace: timedelta


@frozen
class Wait:
    """Leave a doubt alone until then: its account began to report after the doubt arose, and may yet tell of it."""

    until: datetime


class Remedy(StrEnum):
    """What is done about a doubt when the grace is over."""

    RESEND = "resend"
    HOLD = "hold"


@frozen(kw_only=True)
class Settle:
    """The grace is over; do what the type says. At expiry it stays unconfirmed."""

    remedy: Remedy
    asked: int | None = None
    """The attempt that the provider was asked about, just now, and knew nothing of."""


NOTE_LENGTH: Final = 200


def _line(_: object, __: object, text: str) -> None:
    if len(text) > NOTE_LENGTH or not text.isprintable():
        raise InvalidValue(f"a reason, like a name, is one line of at most {NOTE_LENGTH} printable characters")


def _given(_: object, __: object, text: str) -> None:
    if not text.strip():
        raise InvalidValue("a reason is needed")


@frozen
class Expire:
    """End it if its time to live passed before anything of it went out. `note`: what was in its way, where known."""

    note: str = ""


@frozen(kw_only=True)
class Resolve:
    """Do what an operator decided. Raises InvalidValue when `note`, their reason, is not one line of printable text."""

    ruling: Ruling
    note: str = field(validator=[_line, _given])
    by: str = field(default="", validator=_line)
    """Who decided, where that is known."""


@frozen(kw_only=True)
class Cancel:
    """Stop it, if it was not sent yet. `note` and `by` as in `Resolve`, where anybody gave them."""

    reason: Reason = Reason.CANCELLED
    note: str = field(default="", validator=_line)
    by: str = field(default="", validator=_line)


Command = Plan | Begin | Record | Report | Ask | Rescue | Wait | Settle | Expire | Resolve | Cancel
