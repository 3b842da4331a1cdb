"""Reports apply to the attempt, by a lattice: late, repeated and out-of-order ones change nothing."""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain import commands as c
from fn_notifications.domain.address import SMS
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.events import Attempt, Evidence, Finding
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import Outcome, OutcomeKind
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import EVIDENCE
from fn_notifications.domain.retry import RetryPolicy
from fn_notifications.testing.histories import (
    RETRY,
    START,
    TTL,
    deliveries,
    findings,
    give,
    histories,
    new_delivery,
    outcomes,
)

OPEN_ATTEMPT = Attempt(no=1, id="attempt-1", route="first", started_at=START, epoch=0)
GRACE = timedelta(minutes=15)
REPORTABLE = (Evidence.REFUSED, *sorted(set(EVIDENCE.values())))
NEVER_SENT = {Status.SKIPPED, Status.CANCELLED, Status.EXPIRED, Status.FAILED}


def after(state: Delivery, commands: Iterable[c.Command]) -> Delivery:
    """The delivery once these were given, at the end of its time, and a doubt that is left was settled."""
    for command in (*commands, c.Settle(remedy=c.Remedy.HOLD)):
        state = give(state, command, START + TTL).after
    return state


def evidence(state: Delivery) -> Sequence[Evidence]:
    return [attempt.evidence for attempt in state.attempts]


def report(no: int, found: Evidence) -> c.Report:
    return c.Report(finding=Finding(no=no, evidence=found, at=START))


def record(no: int, outcome: Outcome) -> c.Record:
    return c.Record(no=no, outcome=outcome, retry=RETRY, chance=0.5, grace=GRACE)


def begin(gate: Decision) -> c.Begin:
    return c.Begin(gate=gate, attempt_id="attempt-1", route="first", epoch=0)


def sending() -> Delivery:
    """With its first attempt on the wire."""
    planned = give(new_delivery(), c.Plan(decision=Decision.send(SMS)), START).after
    return give(planned, begin(Decision.send(SMS)), START).after


def tried() -> st.SearchStrategy[Delivery]:
    """Deliveries in any state, with an attempt or more."""
    return deliveries().map(lambda state: state if state.attempts else sending())


def on_the_wire() -> st.SearchStrategy[Delivery]:
    """Deliveries with an attempt on the wire, whatever became of earlier ones."""
    return histories().map(lambda steps: [step.after for step in steps]).map(_last_sending)


def _last_sending(states: Sequence[Delivery]) -> Delivery:
    return next((state for state in reversed(states) if state.status is Status.SENDING), sending())


@given(st.lists(findings(), max_size=4))
def test_evidence_is_the_most_that_was_ever_found(found: list[Finding]) -> None:
    for order in permutations(found):
        attempt = OPEN_ATTEMPT
        for finding in order:
            attempt = attempt.join(finding)
        assert attempt.evidence == max([Evidence.OPEN, *(one.evidence for one in found)])


@given(st.lists(findings(), min_size=1, max_size=4), st.data())
def test_a_finding_heard_again_changes_nothing(found: list[Finding], data: st.DataObject) -> None:
    attempt = OPEN_ATTEMPT
    for finding in found:
        attempt = attempt.join(finding)
    assert attempt.join(data.draw(st.sampled_from(found))) is attempt


@given(findings(), findings())
def test_the_providers_name_and_the_digest_are_kept_once_known(one: Finding, other: Finding) -> None:
    attempt = OPEN_ATTEMPT.join(one).join(other)
    assert attempt.provider_id == (one.provider_id or other.provider_id)
    assert attempt.digest == (one.digest or other.digest)
    first = next((f.at for f in (one, other) if f.evidence is not Evidence.OPEN), None)
    assert attempt.answered_at == first


@given(tried(), st.data())
def test_reports_lead_to_the_same_status_in_every_order(state: Delivery, data: st.DataObject) -> None:
    numbers = st.integers(1, len(state.attempts))
    reports = data.draw(st.lists(st.builds(report, numbers, st.sampled_from(REPORTABLE)), min_size=2, max_size=4))
    ends = [after(state, order) for order in permutations(reports)]
    assert len({(end.status, tuple(evidence(end))) for end in ends}) == 1


@given(on_the_wire(), outcomes(), st.data())
def test_nor_does_it_matter_whether_they_come_before_or_after_our_own_answer(
    state: Delivery, outcome: Outcome, data: st.DataObject
) -> None:
    numbers = st.integers(1, len(state.attempts))
    reports = data.draw(st.lists(st.builds(report, numbers, st.sampled_from(REPORTABLE)), min_size=1, max_size=3))
    commands: list[c.Command] = [*reports, record(len(state.attempts), outcome)]
    ends = [after(state, order) for order in permutations(commands)]
    assert len({(end.status, tuple(evidence(end))) for end in ends}) == 1


@given(tried(), st.data())
def test_one_delivered_attempt_wins_whatever_comes_later(state: Delivery, data: st.DataObject) -> None:
    numbers = st.integers(1, len(state.attempts))
    arrived = give(state, report(data.draw(numbers), Evidence.DELIVERED), START).after
    assert arrived.status is Status.DELIVERED
    later = data.draw(st.lists(st.builds(report, numbers, st.sampled_from(Evidence)), max_size=4))
    assert after(arrived, later).status is Status.DELIVERED


@given(deliveries())
def test_what_is_said_not_to_have_been_sent_has_no_attempt_in_doubt(state: Delivery) -> None:
    if state.status in NEVER_SENT:
        assert not state.doubtful


@given(deliveries())
def test_a_status_is_what_its_attempts_prove(state: Delivery) -> None:
    found = set(evidence(state))
    if Evidence.DELIVERED in found:
        assert state.status is Status.DELIVERED
    elif Evidence.OPEN in found:
        assert state.status is Status.SENDING
    elif Evidence.ACCEPTED in found:
        assert state.status is Status.SENT
    elif Evidence.IN_DOUBT in found:
        assert state.status in {Status.PENDING, Status.IN_DOUBT, Status.UNCONFIRMED}
    elif found & {Evidence.REFUSED, Evidence.UNDELIVERED}:
        assert state.status is Status.FAILED
    else:
        assert state.status in {None, Status.PENDING, *NEVER_SENT}


LATE = {
    Evidence.ACCEPTED: Status.SENT,
    Evidence.DELIVERED: Status.DELIVERED,
    Evidence.UNDELIVERED: Status.FAILED,
    Evidence.REFUSED: Status.FAILED,
}
UNSENT, UNKNOWN = (Outcome(kind=kind) for kind in (OutcomeKind.UNSENT, OutcomeKind.IN_DOUBT))


@pytest.mark.parametrize("found", LATE)
@pytest.mark.parametrize("answer", [None, UNSENT, UNKNOWN], ids=["sending", "pending", "in doubt"])
def test_a_report_about_the_only_attempt_settles_it_in_any_state(answer: Outcome | None, found: Evidence) -> None:
    state = sending() if answer is None else give(sending(), record(1, answer), START).after
    assert give(state, report(1, found), START).after.status is LATE[found]


@pytest.mark.parametrize("found", LATE)
@pytest.mark.parametrize("reason", ["cancelled", "expired", "skipped", "unconfirmed", "failed"])
def test_even_when_it_is_over(reason: str, found: Evidence) -> None:
    state = ended(reason)
    assert state.status == reason
    assert state.due_at is None
    assert give(state, report(1, found), START + 2 * TTL).after.status is LATE[found]
    assert give(state, report(1, found), START + 2 * TTL).after.due_at is None


def ended(status: str) -> Delivery:
    """Over, in this status, with one attempt that was proved unsent or stayed in doubt."""
    if status == "unconfirmed":
        return after(sending(), [record(1, UNKNOWN)])
    if status == "failed":
        one_try = RetryPolicy(tries=1)
        return give(sending(), c.Record(no=1, outcome=UNSENT, retry=one_try, chance=0.5, grace=GRACE), START).after
    ends: dict[str, c.Command] = {
        "cancelled": c.Cancel(),
        "expired": begin(Decision.skip(SMS, Reason.EXPIRED)),
        "skipped": begin(Decision.skip(SMS, Reason.SUPPRESSED)),
    }
    return give(give(sending(), record(1, UNSENT), START).after, ends[status], START).after
