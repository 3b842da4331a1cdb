"""What is done about what nobody reports on: asking, waiting, the type's remedy, an operator's word."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain import commands as c
from fn_notifications.domain import events as e
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.delivery import Delivery, decide
from fn_notifications.domain.errors import IllegalTransition, InvalidValue
from fn_notifications.domain.events import Evidence, Finding, Ruling
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import Outcome, OutcomeKind
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.remedy import PATIENCE, POLLS, next_poll, unreported, wait_for_answer
from fn_notifications.testing.histories import RETRY, START, TTL, new_delivery

MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)


def after(state: Delivery, *commands: c.Command, now=START) -> Delivery:
    for command in commands:
        state = state.with_events(decide(state, command, now))
    return state


def begin(no: int = 1) -> c.Begin:
    return c.Begin(gate=Decision.send(new_delivery().channel), attempt_id=f"a-{no}", route="acme/sms", epoch=1)


def record(kind: OutcomeKind, no: int = 1, **more) -> c.Record:
    return c.Record(no=no, outcome=Outcome(kind=kind), retry=RETRY, chance=0.5, grace=15 * MINUTE, **more)


def report(evidence: Evidence, no: int = 1) -> c.Report:
    return c.Report(finding=Finding(no=no, evidence=evidence, at=START))


def resolve(ruling: Ruling) -> c.Resolve:
    return c.Resolve(ruling=ruling, note="seen in the console")


PLANNED = after(new_delivery(), c.Plan(decision=Decision.send(new_delivery().channel)))
SENDING = after(PLANNED, begin())
SENT = after(SENDING, record(OutcomeKind.ACCEPTED, ask_after=HOUR))
DOUBT = after(SENDING, record(OutcomeKind.IN_DOUBT))
TWO_DOUBTS = after(DOUBT, c.Settle(remedy=c.Remedy.RESEND), begin(2), record(OutcomeKind.IN_DOUBT, 2))
REFUSED_AND_DOUBT = after(TWO_DOUBTS, report(Evidence.UNDELIVERED, 2))


def test_what_was_taken_is_asked_about_if_its_provider_can_be_asked():
    assert (SENT.status, SENT.due_at, SENT.queued) == (Status.SENT, START + HOUR, True)
    unaskable = after(SENDING, record(OutcomeKind.ACCEPTED))
    assert (unaskable.due_at, unaskable.queued) == (None, False)


def test_what_a_report_makes_sent_is_asked_about_too():
    told = c.Report(finding=Finding(no=1, evidence=Evidence.ACCEPTED, at=START), ask_after=HOUR)
    assert after(DOUBT, told).due_at == START + HOUR


def test_a_delivery_that_arrived_or_failed_is_asked_about_no_more():
    assert after(SENT, report(Evidence.DELIVERED)).due_at is None
    assert after(SENT, report(Evidence.UNDELIVERED)).due_at is None


def test_asked_in_vain_it_is_asked_again_or_left():
    (asked,) = decide(SENT, c.Ask(no=1, answered=True, again=5 * HOUR), START + HOUR)
    assert asked == e.Asked(at=START + HOUR, no=1, reason=Reason.NOTHING_NEW, until=START + 6 * HOUR)
    (left,) = decide(SENT, c.Ask(no=1, answered=False), START + HOUR)
    assert (left.reason, left.until) == (Reason.NOT_ANSWERED, None)
    assert SENT.with_events((left,)).status is Status.SENT


def test_a_doubt_that_could_not_be_asked_about_waits_never_past_its_end():
    state = after(DOUBT, c.Ask(no=1, answered=False, again=2 * TTL))
    assert (state.status, state.due_at, state.reason) == (Status.IN_DOUBT, START + TTL, Reason.IN_DOUBT)


@pytest.mark.parametrize("state", [PLANNED, SENDING])
def test_nobody_is_asked_about_what_is_neither_sent_nor_in_doubt(state):
    assert decide(state, c.Ask(no=1, answered=True), START) == ()


@pytest.mark.parametrize(
    ("remedy", "what", "status"),
    [(c.Remedy.RESEND, e.Resent, Status.PENDING), (c.Remedy.HOLD, e.Held, Status.IN_DOUBT)],
)
def test_that_it_was_asked_is_told_before_what_follows(remedy, what, status):
    events = decide(DOUBT, c.Settle(remedy=remedy, asked=1), START + HOUR)
    assert [type(event) for event in events] == [e.Asked, what]
    assert DOUBT.with_events(events).status is status


def test_once_held_it_is_not_told_again():
    held = after(DOUBT, c.Settle(remedy=c.Remedy.HOLD, asked=1))
    assert decide(held, c.Settle(remedy=c.Remedy.HOLD, asked=1), START + HOUR) == ()


def test_sent_says_an_operator():
    state = after(DOUBT, resolve(Ruling.SENT))
    assert (state.status, state.due_at) == (Status.SENT, None)
    assert (state.attempts[0].evidence, state.attempts[0].code) == (Evidence.ACCEPTED, "operator")


@pytest.mark.parametrize("state", [DOUBT, TWO_DOUBTS, REFUSED_AND_DOUBT])
def test_failed_says_an_operator(state):
    state = after(state, resolve(Ruling.FAILED))
    assert (state.status, state.reason, state.doubtful) == (Status.FAILED, Reason.OPERATOR, False)


@pytest.mark.parametrize("ruling", [Ruling.SENT, Ruling.FAILED])
@pytest.mark.parametrize(
    ("evidence", "status"), [(Evidence.DELIVERED, Status.DELIVERED), (Evidence.UNDELIVERED, Status.FAILED)]
)
def test_the_providers_own_word_overrules_an_operators(ruling, evidence, status):
    assert after(DOUBT, resolve(ruling), report(evidence)).status is status


def test_a_late_acceptance_overrules_failed():
    assert after(DOUBT, resolve(Ruling.FAILED), report(Evidence.ACCEPTED)).status is Status.SENT


def test_resend_says_an_operator_however_often():
    state = after(TWO_DOUBTS, resolve(Ruling.RESEND))
    assert (state.status, state.resends, state.reason) == (Status.PENDING, 2, Reason.OPERATOR)


def test_after_an_operators_resend_the_type_resends_no_more():
    state = after(DOUBT, resolve(Ruling.RESEND), begin(2), record(OutcomeKind.IN_DOUBT, 2))
    assert after(state, c.Settle(remedy=c.Remedy.RESEND)).status is Status.IN_DOUBT


def test_a_failure_whose_tries_are_spent_may_be_retried():
    spent = SENDING
    for no in (1, 2, 3):
        spent = after(spent, record(OutcomeKind.UNSENT, no))
        spent = after(spent, begin(no + 1)) if no < 3 else spent
    assert (spent.status, spent.reason) == (Status.FAILED, Reason.TRIES_SPENT)
    assert after(spent, resolve(Ruling.RESEND)).status is Status.PENDING


REFUSED = after(SENDING, record(OutcomeKind.REFUSED))


@pytest.mark.parametrize(
    ("state", "ruling"),
    [
        *[(state, ruling) for state in (PLANNED, SENDING, SENT) for ruling in Ruling],
        *[(REFUSED, ruling) for ruling in Ruling],
        (REFUSED_AND_DOUBT, Ruling.RESEND),
    ],
)
def test_there_is_nothing_to_decide_about_anything_else(state, ruling):
    with pytest.raises(IllegalTransition):
        decide(state, resolve(ruling), START)


def test_nobody_resends_what_has_expired():
    with pytest.raises(IllegalTransition):
        decide(DOUBT, resolve(Ruling.RESEND), START + TTL)
    assert decide(DOUBT, resolve(Ruling.SENT), START + TTL)


@pytest.mark.parametrize("note", ["", "  ", "x" * 201, "two\nlines", "a\x00b", "\ud800", "\x1b[31m"])
def test_a_note_is_one_line_of_printable_text(note):
    with pytest.raises(InvalidValue) as refused:
        c.Resolve(ruling=Ruling.SENT, note=note)
    assert not note.strip() or note not in str(refused.value)


def test_what_may_be_asked_about():
    assert [one.no for one in unreported(TWO_DOUBTS)] == [1, 2]
    assert [one.no for one in unreported(SENT)] == [1]
    assert unreported(PLANNED) == unreported(SENDING) == unreported(REFUSED) == ()


@pytest.mark.parametrize(
    ("age", "wait"),
    [
        (timedelta(), HOUR),
        (HOUR - MINUTE, MINUTE),
        (HOUR, 5 * HOUR),
        (7 * HOUR, 17 * HOUR),
        (POLLS[-1], None),
        (9 * POLLS[-1], None),
    ],
)
def test_polls_become_rarer_and_end(age, wait):
    assert next_poll(age) == wait


@given(st.timedeltas(-HOUR, 2 * HOUR), st.timedeltas(timedelta(), 50 * HOUR))
def test_waiting_for_an_answer_ends_with_the_patience(overdue, left):
    patience = min(PATIENCE, left / 4)
    wait = wait_for_answer(overdue, left)
    if max(overdue, timedelta()) >= patience:
        assert wait is None
    else:
        assert wait is not None
        assert timedelta() < wait
        assert max(overdue, timedelta()) + wait <= patience
