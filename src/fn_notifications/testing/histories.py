"""Lives of a delivery: commands in a likely order, and the deliveries and events that they lead to.

`history` needs nothing but somebody who picks, so a seeded `random.Random` makes the same lives as Hypothesis does.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol, TypeVar

from attrs import frozen
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn, SearchStrategy

from fn_notifications.domain import commands as c
from fn_notifications.domain.address import SMS
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.delivery import Delivery, DeliveryKey, decide
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.events import Event, Evidence, Finding, Ruling
from fn_notifications.domain.identity import attempt_id, notification_id
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.domain.retry import RetryPolicy
from fn_notifications.testing.strategies import addresses, channels, moments, names, spans

T = TypeVar("T")

START: Final = datetime(2026, 5, 4, 9, tzinfo=UTC)
TTL: Final = timedelta(hours=24)
RETRY: Final = RetryPolicy()
_GRACE: Final = timedelta(minutes=15)
_STEPS: Final = (timedelta(), timedelta(seconds=1), timedelta(minutes=20), timedelta(hours=2), timedelta(hours=14))
_OUTCOMES: Final = (
    Outcome(kind=OutcomeKind.ACCEPTED, provider_id="SM1"),
    Outcome(kind=OutcomeKind.REFUSED, code="21211"),
    Outcome(kind=OutcomeKind.OPTED_OUT, code="21610"),
    Outcome(kind=OutcomeKind.UNSENT, code="503"),
    Outcome(kind=OutcomeKind.UNSENT, scope=Scope.CONTENT, retry_after=timedelta(hours=1)),
    Outcome(kind=OutcomeKind.UNSENT, scope=Scope.BATCH, code="refused_together"),
    Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="429", retry_after=timedelta(minutes=1)),
    Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="504"),
    Outcome(kind=OutcomeKind.IN_DOUBT, provider_id="SM1"),
)
_ASKED: Final = (None, timedelta(hours=1))
_EVIDENCE: Final = (*Evidence, Evidence.ACCEPTED, Evidence.UNDELIVERED, Evidence.UNDELIVERED, Evidence.DELIVERED)


class Pick(Protocol):
    """Chooses one of several: the `choice` of a `random.Random(seed)`, or a strategy that draws."""

    def __call__(self, options: Sequence[T], /) -> T: ...


@frozen
class _Drawing:
    draw: DrawFn

    def __call__(self, options: Sequence[T], /) -> T:
        return self.draw(st.sampled_from(options))


@frozen(kw_only=True)
class Step:
    """One command given to a delivery, and what came of it: nothing, events, or a refusal."""

    before: Delivery
    command: c.Command
    at: datetime
    events: tuple[Event, ...]
    after: Delivery
    refused: bool = False


def new_delivery(no: int = 1) -> Delivery:
    """A delivery nothing has happened to yet: SMS, a day to live from `START`."""
    id_ = notification_id(START, "default", "ada", "urgent_claim", b"event")
    return Delivery(key=DeliveryKey(tenant="default", notification_id=id_, no=no), channel=SMS, expires_at=START + TTL)


def history(pick: Pick, steps: int) -> Iterator[Step]:
    """A life of `steps` commands at times that never go back, mostly such as apply to the state they meet."""
    state, now = new_delivery(), START
    for _ in range(steps):
        step = give(state, command(pick, state, now), now)
        yield step
        state, now = step.after, now + pick(_STEPS)


def give(state: Delivery, given: c.Command, now: datetime) -> Step:
    """One command given."""
    try:
        events = decide(state, given, now)
    except IllegalTransition:
        return Step(before=state, command=given, at=now, events=(), after=state, refused=True)
    return Step(before=state, command=given, at=now, events=events, after=state.with_events(events))


def command(pick: Pick, state: Delivery, now: datetime) -> c.Command:
    """A command for this delivery; one in ten does not care about the state it meets."""
    fitting = _FITTING.get(state.status, (_report, _report, _record))
    make = pick(_ANY) if pick(range(10)) == 0 else pick(fitting)
    return make(pick, state, now)


def _plan(pick: Pick, state: Delivery, now: datetime) -> c.Plan:
    return c.Plan(decision=_decision(pick, state, now))


def _begin(pick: Pick, state: Delivery, now: datetime) -> c.Begin:
    return c.Begin(
        gate=_decision(pick, state, now),
        attempt_id=attempt_id(state.key.notification_id, state.key.no, len(state.attempts) + 1),
        route=pick(("first", "second")),
        epoch=pick((0, 1)),
    )


def _decision(pick: Pick, state: Delivery, now: datetime) -> Decision:
    """What a gate says, which knows the time: expired when it has passed, and mostly send, at first even more so."""
    if now >= state.expires_at:
        return Decision.skip(state.channel, Reason.EXPIRED)
    other = (
        Decision.skip(state.channel, Reason.SUPPRESSED),
        Decision.skip(state.channel, Reason.EXPIRED),
        Decision.defer(state.channel, Reason.QUIET_HOURS, now + timedelta(hours=6)),
    )
    return pick((*[Decision.send(state.channel)] * (4 if state.attempts else 9), *other))


def _record(pick: Pick, state: Delivery, _: datetime) -> c.Record:
    return c.Record(
        no=_no(pick, state),
        outcome=pick(_OUTCOMES),
        retry=RETRY,
        chance=pick((0.0, 0.5, 0.999)),
        grace=_GRACE,
        digest=pick((None, "0f" * 32)),
        ask_after=pick(_ASKED),
    )


def _report(pick: Pick, state: Delivery, now: datetime) -> c.Report:
    finding = Finding(
        no=_no(pick, state), evidence=pick(_EVIDENCE), at=now, code="report", provider_id=pick((None, "SM1"))
    )
    return c.Report(finding=finding, reason=pick((None, Reason.OPTED_OUT)), ask_after=pick(_ASKED))


def _ask(pick: Pick, state: Delivery, _: datetime) -> c.Ask:
    return c.Ask(no=_no(pick, state), answered=pick((True, False)), again=pick(_ASKED))


def _no(pick: Pick, state: Delivery) -> int:
    """Mostly an attempt there is, the last one as often as all others."""
    last = len(state.attempts) or 1
    return pick((last, pick(range(1, last + 1))))


def _rescue(_: Pick, __: Delivery, ___: datetime) -> c.Rescue:
    return c.Rescue(grace=_GRACE)


def _wait(pick: Pick, _: Delivery, now: datetime) -> c.Wait:
    return c.Wait(now + pick((timedelta(), _GRACE, timedelta(days=2))))


def _settle(pick: Pick, state: Delivery, __: datetime) -> c.Settle:
    return c.Settle(remedy=pick(tuple(c.Remedy)), asked=pick((None, _no(pick, state))))


def _resolve(pick: Pick, _: Delivery, __: datetime) -> c.Resolve:
    return c.Resolve(ruling=pick(tuple(Ruling)), note="the provider's console says so")


def _expire(_: Pick, __: Delivery, ___: datetime) -> c.Expire:
    return c.Expire()


def _cancel(_: Pick, __: Delivery, ___: datetime) -> c.Cancel:
    return c.Cancel()


_Make = Callable[[Pick, Delivery, datetime], c.Command]
_UPKEEP: Final[tuple[_Make, ...]] = (_rescue, _wait, _settle, _expire)
_ANY: Final[tuple[_Make, ...]] = (_plan, _begin, _record, _report, _ask, *_UPKEEP, _resolve, _cancel)
_FITTING: Final[Mapping[Status | None, tuple[_Make, ...]]] = {
    None: (_plan,),
    Status.PENDING: (_begin, _begin, _begin, _begin, _report, _report, _report, _expire, _cancel),
    Status.SENDING: (_record, _record, _record, _rescue, _report),
    Status.IN_DOUBT: (*[_settle] * 5, _record, _record, *[_report] * 3, _ask, _wait, _resolve),
    Status.SENT: (_report, _report, _report, _record, _record, _ask),
    Status.DELIVERED: (_report, _report, _record, _rescue),
    Status.FAILED: (_report, _report, _report, _record, _record, _resolve),
}


@st.composite
def histories(draw: DrawFn, longest: int = 14) -> tuple[Step, ...]:
    """Lives of a delivery, as `history` tells them, from the first command on."""
    return tuple(history(_Drawing(draw), draw(st.integers(1, longest))))


def deliveries() -> SearchStrategy[Delivery]:
    """Deliveries in any state that commands can lead to."""
    return histories().map(lambda steps: steps[-1].after)


@st.composite
def commands(draw: DrawFn, state: Delivery, now: datetime) -> c.Command:
    """Commands for a delivery in this state at this time."""
    return command(_Drawing(draw), state, now)


def outcomes() -> SearchStrategy[Outcome]:
    """Every kind of answer about everything it may be about."""
    return st.builds(
        Outcome,
        kind=st.sampled_from(OutcomeKind),
        scope=st.sampled_from(Scope),
        code=st.none() | names(),
        provider_id=st.none() | names(),
        retry_after=st.none() | spans(timedelta(hours=2)),
    )


def findings(no: int = 1) -> SearchStrategy[Finding]:
    """Anything that can be learnt about attempt `no`."""
    return st.builds(
        Finding,
        no=st.just(no),
        evidence=st.sampled_from(Evidence),
        at=moments(),
        scope=st.none() | st.sampled_from(Scope),
        code=st.none() | names(),
        provider_id=st.none() | names(),
        digest=st.none() | st.binary(min_size=32, max_size=32).map(bytes.hex),
    )


@st.composite
def receipts(draw: DrawFn) -> Receipt:
    """Reports about an attempt, and about an address alone."""
    channel = draw(channels())
    attempt = st.builds(attempt_id, st.uuids(version=4), st.integers(1, 3), st.integers(1, 5))
    return Receipt(
        provider=draw(st.sampled_from(("sendgrid", "twilio", "local"))),
        key=draw(names()),
        kind=draw(st.sampled_from(ReceiptKind)),
        at=draw(moments()),
        attempt_id=draw(st.none() | attempt),
        provider_id=draw(st.none() | names()),
        channel=channel,
        address=draw(st.none() | addresses(channel)),
        code=draw(st.none() | names()),
        hard=draw(st.booleans()),
    )
