"""What is kept of a delivery's life for `explain`, beside its attempts and reports: all that these no longer tell."""

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime
from typing import Final

from attrs import evolve as changed

from fn_notifications.application.ports.history import Change, Overruled
from fn_notifications.domain import events as e
from fn_notifications.domain.commands import Record
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.reasons import Reason

_SECOND_THOUGHTS: Final = frozenset(
    {
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
    }
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
            text=_said(event),
        )
        for event in events
        if type(event) in _SECOND_THOUGHTS
    )


def _said(event: e.Event) -> str | None:
    """Why somebody decided so, in their words, and who that was, or what was in the way; None when nothing is known."""
    if isinstance(event, e.Expired):
        return event.note or None
    if not isinstance(event, e.Resolved | e.Cancelled | e.Unconfirmed):
        return None
    by = f"by {event.by}" if event.by else ""
    return f"{event.note} ({by})" if event.note and by else event.note or by or None


TURNED_DOWN: Final = frozenset({Reason.HELD, Reason.LANE_WAITS})
"""What a delivery is put off for that is about its way out, and not about the person or the message."""


def turned_down_since(changes: Iterable[Change]) -> datetime | None:
    """When a delivery was first turned down, and never since put off for another reason; None when it is not so now."""
    since: datetime | None = None
    for change in changes:
        if change.event != LATE:
            since = (since or change.at) if change.reason in TURNED_DOWN else None
    return since


def overruled(
    states: Sequence[Delivery], events: Sequence[e.Event], *, reported: bool = False
) -> tuple[Overruled, ...]:
    """What was known of attempts until these events proved more, in order.

    `states`: from before the events on (see `Delivery.states`). `reported`: a report proves it, which is kept itself
    and can only be about what the provider took. So that the provider took it is not kept once more then; in every
    other case it is, so that each thing learnt has its time.
    """
    kept: list[Overruled] = []
    for event, state in zip(events, states, strict=False):
        finding: e.Finding | None = getattr(event, "finding", None)
        if finding:
            kept += _overruled(state, finding, event.at, reported=reported)
    return tuple(kept)


def _overruled(state: Delivery, finding: e.Finding, at: datetime, *, reported: bool) -> Iterator[Overruled]:
    attempt = state.attempt(finding.no)
    if attempt.answered_at is None or finding.evidence <= attempt.evidence:
        return
    taken = e.Evidence.ACCEPTED
    known = Overruled(
        until=at, delivery_no=state.key.no, attempt_no=attempt.no, evidence=attempt.evidence, code=attempt.code
    )
    if not reported or attempt.evidence is not taken or attempt.code:
        yield known
    if not reported and attempt.evidence < taken < finding.evidence:
        yield changed(known, evidence=taken, code=None)


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
