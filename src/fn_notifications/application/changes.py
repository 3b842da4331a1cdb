"""What is kept of a delivery's life for `explain`, beside its attempts and reports."""

from collections.abc import Iterable
from datetime import datetime
from typing import Final

from fn_notifications.application.ports.history import Change
from fn_notifications.domain import events as e
from fn_notifications.domain.commands import Record
from fn_notifications.domain.delivery import Delivery

_SECOND_THOUGHTS: Final = (
    e.Deferred,
    e.Skipped,
    e.Expired,
    e.Cancelled,
    e.Asked,
    e.Resolved,
    e.Resent,
    e.Held,
    e.Unconfirmed,
    e.Retried,
)

LATE: Final = "late"
"""What the change for a late answer is called. It is no event of the delivery and moves nothing."""


def second_thoughts(delivery_no: int, events: Iterable[e.Event]) -> tuple[Change, ...]:
    """What the rules, or people, thought better of after the delivery was planned, in order."""
    return tuple(
        Change(
            at=event.at,
            delivery_no=delivery_no,
            event=type(event).__name__.lower(),
            reason=getattr(event, "reason", None),
            until=getattr(event, "until", None),
            text=getattr(event, "note", None),
        )
        for event in events
        if isinstance(event, _SECOND_THOUGHTS)
    )


def late_answer(delivery: Delivery, record: Record, now: datetime, known: Iterable[Change]) -> Change | None:
    """What to keep of an answer that comes when its lease has run out and was lost, decided before it is applied.

    None when the attempt says the same already, as it does when an answer that came in time is written again, or when
    one of the changes `known` is this very answer's.
    """
    outcome, said = record.outcome, None
    if 1 <= record.no <= len(delivery.attempts):
        said = delivery.attempts[record.no - 1]
    if said and (said.evidence, said.code) == (e.ANSWERS[outcome.kind], outcome.code):
        return None
    text = f"attempt {record.no}: {outcome.kind}" + (f" ({outcome.code})" if outcome.code else "")
    if any((one.event, one.delivery_no, one.text) == (LATE, delivery.key.no, text) for one in known):
        return None
    return Change(at=now, delivery_no=delivery.key.no, event=LATE, reason=None, text=text)
