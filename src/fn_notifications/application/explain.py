"""The answer to "why (not)?": everything that decided about a notification, in order, as sentences. Reads only.

What was said stays said: a step that was told once is told again in the same words, whatever came after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Final

from attrs import evolve, frozen

from fn_notifications.application.changes import LATE
from fn_notifications.application.ports.history import Change, Overruled, Story
from fn_notifications.domain.address import Channel
from fn_notifications.domain.decision import Decision, Verdict
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.events import Attempt, Evidence
from fn_notifications.domain.identity import parse_attempt_id
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import UNCALLED, Uncalled
from fn_notifications.domain.reasons import SENTENCES, Reason
from fn_notifications.domain.receipts import Receipt, ReceiptKind


@frozen(kw_only=True)
class Step:
    """One thing that happened, or was decided, with its time."""

    at: datetime
    channel: Channel
    what: str
    """`decided`, `changed`, `attempt`, `report` or `result`."""
    code: str
    """The reason, evidence or report kind."""
    text: str


@frozen(kw_only=True)
class Explanation:
    """Why a notification is where it is."""

    notification_id: str
    notification_type: str
    user_id: str
    status: Status
    summary: tuple[str, ...]
    """One sentence per channel."""
    waits: tuple[str, ...]
    """Why what is due is not on its way: holds, routes that are shut."""
    steps: tuple[Step, ...]
    repeats: int


def explain(story: Story, waits: Sequence[str] = ()) -> Explanation:
    """The whole story, told. `waits`: why what is due is not on its way (see `waiting.waits`)."""
    notification = story.notification
    steps = sorted(_steps(story), key=lambda step: (step.at, _STEPS.index(step.what), _REPORTS.get(step.code, 0)))
    return Explanation(
        notification_id=str(notification.id),
        notification_type=notification.type,
        user_id=notification.user.user_id,
        status=notification.status,
        summary=tuple(_standing(delivery, story) for delivery in notification.deliveries),
        waits=tuple(waits),
        steps=tuple(steps),
        repeats=story.repeats,
    )


def placed(story: Story) -> Sequence[Delivery]:
    """The deliveries that somebody will come back for, each due when its place in the queue says."""
    return [
        evolve(one, due_at=story.queue[one.key.no] if one.due_at else None)
        for one in story.notification.deliveries
        if one.key.no in story.queue
    ]


_STEPS: Final = ("decided", "attempt", "result", "report", "changed")
_REPORTS: Final[Mapping[str, int]] = {kind: rank for rank, kind in enumerate(ReceiptKind)}
"""Steps, and reports, of one instant as they follow from each other: accepted comes first, then delivered."""


def sentence(decision: Decision) -> str:
    """A decision in words."""
    why = f": {SENTENCES[decision.reason]}" if decision.reason else ""
    match decision.verdict:
        case Verdict.SEND:
            return f"{decision.channel}: send"
        case Verdict.DEFER:
            return f"{decision.channel}: not before {_clock(decision.until)}{why}"
        case Verdict.SKIP:
            return f"{decision.channel}: do not send{why}"


def summary(delivery: Delivery, now: datetime | None = None) -> str:
    """Where a delivery stands and why, in one sentence. Without `now` it leaves open whether its next time has come."""
    return f"{_state(delivery)}{_when(delivery, now)}"


def _standing(delivery: Delivery, story: Story) -> str:
    if delivery.queued and delivery.key.no not in story.queue:
        return f"{_state(delivery)}, but it has lost its place in the queue: nobody comes back for it"
    (delivery,) = [one for one in placed(story) if one.key == delivery.key] or [delivery]
    return summary(delivery, story.read_at)


def _state(delivery: Delivery) -> str:
    status = (delivery.status or Status.PENDING).replace("_", " ")
    why = f": {SENTENCES[Reason(delivery.reason)]}" if delivery.reason else ""
    code = next((one.code for one in reversed(delivery.attempts) if one.code and one.called), None)
    told = code and delivery.status is Status.FAILED and delivery.reason not in _OURS
    said = f" (the provider said {code})" if told else ""
    return f"{delivery.channel}: {status}{why}{said}"


_OURS: Final = frozenset({Reason.OPERATOR, Reason.CONTENT})
"""Why a delivery failed when it was no provider that said so."""


def _when(delivery: Delivery, now: datetime | None) -> str:
    if delivery.due_at is None:
        return ""
    if delivery.status is Status.IN_DOUBT and delivery.due_at == delivery.expires_at:
        resolve = f"fn-notifications resolve {delivery.key.event_key}"
        return f", for an operator to decide ({resolve}), unconfirmed from {_clock(delivery.due_at)} on"
    if now and delivery.due_at <= now:
        return f", due since {_clock(delivery.due_at)}"
    return f", to be looked at again {_clock(delivery.due_at)}"


def _steps(story: Story) -> Iterator[Step]:
    notification = story.notification
    for decision in notification.decisions:
        yield Step(
            at=notification.created_at,
            channel=decision.channel,
            what="decided",
            code=decision.reason or decision.verdict,
            text=sentence(decision),
        )
    channels = {delivery.key.no: delivery.channel for delivery in notification.deliveries}
    for change in story.changes:
        yield Step(
            at=change.at,
            channel=channels[change.delivery_no],
            what="changed",
            code=change.reason or change.event,
            text=_changed(change),
        )
    for delivery in notification.deliveries:
        for attempt in delivery.attempts:
            place = (delivery.key.no, attempt.no)
            mine = [one for one in story.overruled if (one.delivery_no, one.attempt_no) == place]
            yield from _attempt(delivery, attempt, mine)
    for no, receipt in story.receipts:
        code = f" ({receipt.code})" if receipt.code else ""
        yield Step(
            at=_after_its_attempt(receipt, notification.deliveries[no - 1]),
            channel=channels[no],
            what="report",
            code=receipt.kind,
            text=f"{receipt.provider} reported {receipt.kind}{code}",
        )


def _changed(change: Change) -> str:
    event = _CHANGES.get(change.event, change.event)
    until = f", {_UNTIL.get(change.event, 'not before')} {_clock(change.until)}" if change.until else ""
    why = f": {SENTENCES[Reason(change.reason)]}" if change.reason else ""
    said = f": {change.text}" if change.text else ""
    return f"{event}{until}{why}{said}"


_CHANGES: Final[Mapping[str, str]] = {LATE: "a late answer"}
_UNTIL: Final[Mapping[str, str]] = {"held": "until", "asked": "to be asked again"}


def _after_its_attempt(receipt: Receipt, delivery: Delivery) -> datetime:
    """Some providers tell times in whole seconds, and clocks differ: a report never stands before what it is about."""
    named = parse_attempt_id(receipt.attempt_id or "")
    started = [one.started_at for one in delivery.attempts if named and one.no == named[2]]
    return max([receipt.at, *started])


def _attempt(delivery: Delivery, attempt: Attempt, overruled: Sequence[Overruled]) -> Iterator[Step]:
    yield Step(
        at=attempt.started_at,
        channel=delivery.channel,
        what="attempt",
        code=attempt.route,
        text=f"attempt {attempt.no} by {attempt.route}, allowed under consent epoch {attempt.epoch}",
    )
    for at, evidence, code in _results(attempt, overruled):
        yield Step(
            at=at,
            channel=delivery.channel,
            what="result",
            code=evidence.name.lower(),
            text=f"attempt {attempt.no}: {_found(evidence, code)}",
        )


def _found(evidence: Evidence, code: str | None) -> str:
    if code in UNCALLED:
        return f"no call was made: {_UNCALLED[Uncalled(code)]}"
    return _EVIDENCE[evidence] + (f" ({code})" if code else "")


def _results(attempt: Attempt, overruled: Sequence[Overruled]) -> Iterator[tuple[datetime, Evidence, str | None]]:
    """What became known of an attempt, and when.

    Once it is known that the provider took it, that is what was known: what became of it is for reports to say, which
    are steps of their own.
    """
    if attempt.answered_at is None:
        return
    since = [attempt.answered_at, *(one.until for one in overruled)]
    known = [*((one.evidence, one.code) for one in overruled), (attempt.evidence, attempt.code)]
    taken = False
    for at, (evidence, code) in zip(since, known, strict=True):
        if evidence > Evidence.ACCEPTED and not taken:
            yield at, Evidence.ACCEPTED, None
        else:
            yield at, evidence, code
        taken = evidence >= Evidence.ACCEPTED


_EVIDENCE = {
    Evidence.OPEN: "on the wire",
    Evidence.IN_DOUBT: "nobody can know whether it was taken",
    Evidence.UNSENT: "proved not sent",
    Evidence.REFUSED: "refused for good",
    Evidence.ACCEPTED: "taken by the provider",
    Evidence.UNDELIVERED: "taken, then reported as not delivered",
    Evidence.DELIVERED: "delivered",
}


_UNCALLED: Final[Mapping[Uncalled, str]] = {
    Uncalled.TEMPLATE: "the message could not be made from its template",
    Uncalled.NO_ADDRESS: "there was no address any more",
    Uncalled.LEASE_OVER: "somebody else might have taken it over",
}


def _clock(moment: datetime | None) -> str:
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC") if moment else "?"
