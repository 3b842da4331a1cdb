"""A delivery in events: given what happened, when this is asked, then that happens."""

from datetime import datetime, timedelta

import pytest
from attrs import evolve

from fn_notifications.domain import commands as c
from fn_notifications.domain import events as e
from fn_notifications.domain.address import SMS
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.delivery import Delivery, decide
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.events import Attempt, Evidence, Finding
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope, Uncalled
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.retry import RetryPolicy
from fn_notifications.testing.histories import START, TTL, new_delivery

NOW, END = START + timedelta(minutes=1), START + TTL
SECOND, MINUTE, GRACE = timedelta(seconds=1), timedelta(minutes=1), timedelta(minutes=15)
DIGEST = "0f" * 32

ACCEPTED = Outcome(kind=OutcomeKind.ACCEPTED, provider_id="SM1")
REFUSED = Outcome(kind=OutcomeKind.REFUSED, code="21211")
OPTED_OUT = Outcome(kind=OutcomeKind.OPTED_OUT, code="21610")
UNSENT = Outcome(kind=OutcomeKind.UNSENT, code="503")
UNMADE = Outcome(kind=OutcomeKind.REFUSED, scope=Scope.CONTENT, code=Uncalled.TEMPLATE)
TOO_LATE = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code=Uncalled.LEASE_OVER)
BUSY = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="429")
UNKNOWN = Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="504")

PLANNED = e.Planned(at=START, due_at=START)


def attempt(no: int) -> Attempt:
    return Attempt(no=no, id=f"attempt-{no}", route="first", started_at=START, epoch=7)


def began(no: int = 1) -> e.Began:
    return e.Began(at=START, attempt=attempt(no))


def finding(evidence: Evidence, no: int = 1) -> Finding:
    return Finding(no=no, evidence=evidence, at=START, scope=Scope.RECIPIENT)


def retried(no: int = 1) -> e.Retried:
    return e.Retried(at=START, finding=finding(Evidence.UNSENT, no), until=START, reason=Reason.RETRY)


def doubted(no: int = 1) -> e.Doubted:
    return e.Doubted(at=START, finding=finding(Evidence.IN_DOUBT, no), until=START + GRACE)


RESENT = e.Resent(at=START, reason=Reason.RESEND_IN_DOUBT)


def given(*happened: e.Event) -> Delivery:
    return new_delivery().with_events(happened)


def when(state: Delivery, command: c.Command, now: datetime = NOW) -> list[e.Event]:
    return list(decide(state, command, now))


def plan(decision: Decision) -> c.Plan:
    return c.Plan(decision=decision)


def begin(gate: Decision | None = None) -> c.Begin:
    return c.Begin(gate=gate or Decision.send(SMS), attempt_id="attempt-1", route="first", epoch=7)


def record(outcome: Outcome, no: int = 1, *, tries: int = 3) -> c.Record:
    return c.Record(no=no, outcome=outcome, retry=RetryPolicy(tries=tries), chance=0.5, grace=GRACE, digest=DIGEST)


def report(evidence: Evidence, no: int = 1) -> c.Report:
    return c.Report(finding=Finding(no=no, evidence=evidence, at=NOW, code="report"))


def answer(outcome: Outcome, evidence: Evidence, no: int = 1) -> Finding:
    return Finding(
        no=no,
        evidence=evidence,
        at=NOW,
        scope=outcome.scope,
        code=outcome.code,
        provider_id=outcome.provider_id,
        digest=DIGEST,
    )


class TestPlan:
    def test_what_may_be_sent_is_due_now(self) -> None:
        assert when(given(), plan(Decision.send(SMS))) == [e.Planned(at=NOW, due_at=NOW)]

    def test_what_is_deferred_is_due_then(self) -> None:
        decision = Decision.defer(SMS, Reason.QUIET_HOURS, NOW + MINUTE)
        planned = e.Planned(at=NOW, due_at=NOW + MINUTE, reason=Reason.QUIET_HOURS)
        assert when(given(), plan(decision)) == [planned]

    def test_nothing_is_due_after_it_expires(self) -> None:
        decision = Decision.defer(SMS, Reason.SCHEDULED, END + MINUTE)
        assert given(*when(given(), plan(decision))).due_at == END

    def test_what_a_rule_forbids_is_skipped(self) -> None:
        skipped = e.Skipped(at=NOW, reason=Reason.CHANNEL_OFF)
        assert when(given(), plan(Decision.skip(SMS, Reason.CHANNEL_OFF))) == [skipped]

    def test_what_would_expire_first_is_expired(self) -> None:
        assert when(given(), plan(Decision.skip(SMS, Reason.EXPIRED))) == [e.Expired(at=NOW)]

    def test_a_delivery_is_planned_once(self) -> None:
        with pytest.raises(IllegalTransition):
            when(given(PLANNED), plan(Decision.send(SMS)))


class TestBegin:
    def test_an_attempt_begins_with_the_epoch_it_read(self) -> None:
        (event,) = when(given(PLANNED), begin())
        assert event == e.Began(at=NOW, attempt=evolve(attempt(1), started_at=NOW))

    def test_attempts_are_counted(self) -> None:
        (event,) = when(given(PLANNED, began(), retried()), begin())
        assert isinstance(event, e.Began)
        assert event.attempt.no == 2

    def test_a_gate_that_says_later_defers(self) -> None:
        gate = Decision.defer(SMS, Reason.QUIET_HOURS, NOW + MINUTE)
        deferred = e.Deferred(at=NOW, until=NOW + MINUTE, reason=Reason.QUIET_HOURS)
        assert when(given(PLANNED), begin(gate)) == [deferred]

    def test_a_lane_that_waits_does_not_wait_past_the_end(self) -> None:
        gate = Decision.defer(SMS, Reason.LANE_WAITS, END + MINUTE)
        assert when(given(PLANNED), begin(gate)) == [e.Deferred(at=NOW, until=END, reason=Reason.LANE_WAITS)]

    def test_a_gate_that_says_no_skips(self) -> None:
        gate = Decision.skip(SMS, Reason.SUPPRESSED)
        assert when(given(PLANNED), begin(gate)) == [e.Skipped(at=NOW, reason=Reason.SUPPRESSED)]

    def test_what_has_expired_is_expired(self) -> None:
        assert when(given(PLANNED), begin(Decision.skip(SMS, Reason.EXPIRED)), END) == [e.Expired(at=END)]

    @pytest.mark.parametrize("reason", [Reason.SUPPRESSED, Reason.EXPIRED])
    def test_with_an_attempt_in_doubt_nobody_says_it_was_not_sent(self, reason: Reason) -> None:
        state = given(PLANNED, began(), doubted(), RESENT)
        assert when(state, begin(Decision.skip(SMS, reason))) == [e.Unconfirmed(at=NOW, reason=reason)]

    def test_no_attempt_begins_while_another_is_open(self) -> None:
        with pytest.raises(IllegalTransition):
            when(given(PLANNED, began()), begin())

    @pytest.mark.parametrize("end", [e.Skipped(at=START, reason=Reason.STALE), e.Expired(at=START)])
    def test_what_is_over_does_not_begin(self, end: e.Event) -> None:
        with pytest.raises(IllegalTransition):
            when(given(end), begin())


class TestRecord:
    def test_accepted_is_sent(self) -> None:
        sent = e.Sent(at=NOW, finding=answer(ACCEPTED, Evidence.ACCEPTED))
        assert when(given(PLANNED, began()), record(ACCEPTED)) == [sent]

    @pytest.mark.parametrize(("outcome", "reason"), [(REFUSED, Reason.REFUSED), (OPTED_OUT, Reason.OPTED_OUT)])
    def test_refused_for_good_has_failed(self, outcome: Outcome, reason: Reason) -> None:
        failed = e.Failed(at=NOW, finding=answer(outcome, Evidence.REFUSED), reason=reason)
        assert when(given(PLANNED, began()), record(outcome)) == [failed]

    def test_what_could_not_be_made_was_refused_by_nobody(self) -> None:
        failed = e.Failed(at=NOW, finding=answer(UNMADE, Evidence.REFUSED), reason=Reason.CONTENT)
        assert when(given(PLANNED, began()), record(UNMADE)) == [failed]

    @pytest.mark.parametrize(
        ("first", "reason"), [(Evidence.UNSENT, Reason.CONTENT), (Evidence.REFUSED, Reason.REFUSED)]
    )
    def test_what_a_provider_refused_counts_for_more_than_what_could_not_be_made(
        self, first: Evidence, reason: Reason
    ) -> None:
        state = given(PLANNED, began(), doubted(), RESENT, began(2))
        state = state.with_events(when(state, record(UNMADE, 2)))
        assert state.status is Status.IN_DOUBT
        (event,) = when(state, report(first))
        assert isinstance(event, e.Failed)
        assert event.reason is reason

    def test_a_call_that_was_not_made_is_free_to_be_tried_again(self) -> None:
        (event,) = when(given(PLANNED, began()), record(TOO_LATE))
        assert isinstance(event, e.Retried)
        assert event.reason is Reason.RELEASED
        assert given(PLANNED, began(), event).spent == 0

    def test_proved_unsent_is_tried_again_after_a_second(self) -> None:
        (event,) = when(given(PLANNED, began()), record(UNSENT))
        assert event == e.Retried(
            at=NOW, finding=answer(UNSENT, Evidence.UNSENT), until=NOW + SECOND, reason=Reason.RETRY
        )

    def test_the_third_time_it_has_failed(self) -> None:
        state = given(PLANNED, began(), retried(), began(2), retried(2), began(3))
        assert state.spent == 2
        failed = e.Failed(at=NOW, finding=answer(UNSENT, Evidence.UNSENT, 3), reason=Reason.TRIES_SPENT)
        assert when(state, record(UNSENT, 3)) == [failed]

    def test_what_is_about_the_lane_spends_nothing_and_waits_longer_each_time(self) -> None:
        state = given(PLANNED, began())
        for no, pause in enumerate((15, 30, 60, 120, 240, 300, 300), start=1):
            (event,) = when(state, record(BUSY, no))
            assert isinstance(event, e.Retried)
            assert (event.reason, event.until) == (Reason.LANE_WAITS, NOW + timedelta(seconds=pause))
            state = state.with_events((event, began(no + 1)))
        assert (state.spent, state.waits) == (0, 7)

    def test_what_the_lane_said_does_not_slow_a_retry_nor_the_other_way_round(self) -> None:
        busy_once = given(PLANNED, began(), *when(given(PLANNED, began()), record(BUSY)), began(2))
        (event,) = when(busy_once, record(UNSENT, 2))
        assert isinstance(event, e.Retried)
        assert event.until == NOW + SECOND
        (event,) = when(given(PLANNED, began(), retried(), began(2)), record(BUSY, 2))
        assert isinstance(event, e.Retried)
        assert event.until == NOW + timedelta(seconds=15)

    def test_no_retry_waits_past_the_end(self) -> None:
        (event,) = when(given(PLANNED, began()), record(evolve(UNSENT, retry_after=TTL)))
        assert isinstance(event, e.Retried)
        assert event.until == END

    def test_ambiguous_is_in_doubt_for_the_grace(self) -> None:
        doubt = e.Doubted(at=NOW, finding=answer(UNKNOWN, Evidence.IN_DOUBT), until=NOW + GRACE)
        assert when(given(PLANNED, began()), record(UNKNOWN)) == [doubt]

    def test_no_grace_reaches_past_the_end(self) -> None:
        (event,) = when(given(PLANNED, began()), record(UNKNOWN), END - SECOND)
        assert isinstance(event, e.Doubted)
        assert event.until == END

    @pytest.mark.parametrize("outcome", [ACCEPTED, REFUSED, OPTED_OUT, UNSENT, BUSY, UNKNOWN])
    def test_the_same_answer_again_is_nothing(self, outcome: Outcome) -> None:
        state = given(PLANNED, began())
        state = state.with_events(when(state, record(outcome)))
        assert when(state, record(outcome)) == []

    def test_a_report_that_came_first_makes_the_answer_a_note(self) -> None:
        """The answer still brings the provider's name for the message and the digest of what was sent."""
        state = given(PLANNED, began())
        state = state.with_events(when(state, report(Evidence.DELIVERED)))
        (event,) = when(state, record(ACCEPTED))
        assert isinstance(event, e.Noted)
        after = state.with_events((event,))
        assert after.status is Status.DELIVERED
        assert (after.attempts[0].provider_id, after.attempts[0].digest) == ("SM1", DIGEST)

    def test_a_look_up_that_finds_nothing_clears_a_doubt_and_it_is_tried_again(self) -> None:
        (event,) = when(given(PLANNED, began(), doubted()), record(UNSENT))
        assert isinstance(event, e.Retried)

    def test_there_is_no_attempt_but_those_that_began(self) -> None:
        for no in (0, 2):
            with pytest.raises(IllegalTransition):
                when(given(PLANNED, began()), record(ACCEPTED, no))

    def test_a_resend_that_is_proved_unsent_is_tried_again_beside_the_doubt(self) -> None:
        state = given(PLANNED, began(), doubted(), RESENT, began(2))
        assert isinstance(when(state, record(UNSENT, 2))[0], e.Retried)

    @pytest.mark.parametrize("outcome", [REFUSED, OPTED_OUT, UNSENT])
    def test_a_resend_that_ends_leaves_the_doubt_and_never_a_failure(self, outcome: Outcome) -> None:
        state = given(PLANNED, began(), doubted(), RESENT, began(2))
        (event,) = when(state, record(outcome, 2, tries=1))
        assert isinstance(event, e.Doubted)
        assert event.until == END
        assert state.with_events((event,)).status is Status.IN_DOUBT

    def test_an_earlier_attempt_proved_unsent_does_not_jump_the_grace_of_a_later_doubt(self) -> None:
        state = given(PLANNED, began(), doubted(), RESENT, began(2), doubted(2))
        assert isinstance(when(state, record(UNSENT, 1))[0], e.Noted)

    def test_nothing_is_tried_again_after_an_attempt_was_refused_for_good(self) -> None:
        state = given(PLANNED, began(), retried(), began(2))
        state = state.with_events(when(state, report(Evidence.UNDELIVERED, 1)))
        assert state.status is Status.SENDING
        (event,) = when(state, record(UNSENT, 2))
        assert isinstance(event, e.Failed)
        assert event.reason is Reason.UNDELIVERED

    def test_an_earlier_attempt_that_was_taken_makes_a_later_one_no_matter(self) -> None:
        state = given(PLANNED, began(), retried(), began(2))
        state = state.with_events(when(state, report(Evidence.ACCEPTED, 1)))
        assert isinstance(when(state, record(UNSENT, 2))[0], e.Sent)


class TestRescue:
    def test_what_was_on_the_wire_is_in_doubt(self) -> None:
        lost = Finding(no=1, evidence=Evidence.IN_DOUBT, at=NOW, code="worker_lost")
        assert when(given(PLANNED, began()), c.Rescue(grace=GRACE)) == [
            e.Doubted(at=NOW, finding=lost, until=NOW + GRACE)
        ]

    @pytest.mark.parametrize("after", [(), (began(), retried()), (began(), doubted())])
    def test_what_was_not_is_left_alone(self, after: tuple[e.Event, ...]) -> None:
        assert when(given(PLANNED, *after), c.Rescue(grace=GRACE)) == []

    def test_when_an_earlier_attempt_was_taken_it_is_sent(self) -> None:
        state = given(PLANNED, began(), retried(), began(2))
        state = state.with_events(when(state, report(Evidence.ACCEPTED, 1)))
        (event,) = when(state, c.Rescue(grace=GRACE))
        assert isinstance(event, e.Sent)

    def test_when_an_earlier_attempt_arrived_the_lost_call_ends_too(self) -> None:
        """Nobody can know what became of it; that is kept with the attempt, and nothing else changes."""
        state = given(PLANNED, began(), doubted(), RESENT, began(2))
        state = state.with_events(when(state, report(Evidence.DELIVERED, 1)))
        assert (state.status, state.calling, state.queued) == (Status.DELIVERED, True, True)
        lost = Finding(no=2, evidence=Evidence.IN_DOUBT, at=NOW, code="worker_lost")
        events = when(state, c.Rescue(grace=GRACE))
        assert events == [e.Noted(at=NOW, finding=lost)]
        after = state.with_events(events)
        assert (after.status, after.calling, after.queued) == (Status.DELIVERED, False, False)
        assert when(after, c.Rescue(grace=GRACE)) == []


class TestExpire:
    def test_what_still_waits_when_its_time_is_over_expires(self) -> None:
        state = given(PLANNED, began(), retried())
        assert when(state, c.Expire(), END - SECOND) == []
        assert when(state, c.Expire(), END) == [e.Expired(at=END)]
        assert when(state, c.Expire("it was held"), END) == [e.Expired(at=END, note="it was held")]

    def test_with_an_attempt_in_doubt_it_stays_unconfirmed(self) -> None:
        state = given(PLANNED, began(), doubted(), RESENT)
        left = e.Unconfirmed(at=END, reason=Reason.EXPIRED, note="it was held")
        assert when(state, c.Expire("it was held"), END) == [left]

    @pytest.mark.parametrize("after", [(began(),), (began(), doubted())])
    def test_what_went_out_is_left_alone(self, after: tuple[e.Event, ...]) -> None:
        assert when(given(PLANNED, *after), c.Expire(), END) == []


class TestWait:
    def test_a_doubt_waits_on_but_not_longer_than_it_lives(self) -> None:
        state = given(PLANNED, began(), doubted())
        assert when(state, c.Wait(NOW + MINUTE)) == [e.Held(at=NOW, until=NOW + MINUTE)]
        assert when(state, c.Wait(END + MINUTE)) == [e.Held(at=NOW, until=END)]

    @pytest.mark.parametrize("after", [(), (began(),), (began(), doubted())])
    def test_what_is_no_doubt_or_waits_so_long_already_is_left_alone(self, after: tuple[e.Event, ...]) -> None:
        assert when(given(PLANNED, *after), c.Wait(START + GRACE)) == []


class TestSettle:
    IN_DOUBT = (PLANNED, began(), doubted())

    def test_a_resend_makes_it_due_at_once(self) -> None:
        assert when(given(*self.IN_DOUBT), c.Settle(remedy=c.Remedy.RESEND)) == [evolve(RESENT, at=NOW)]
        assert given(*self.IN_DOUBT, RESENT).due_at == START

    def test_it_is_resent_once(self) -> None:
        state = given(*self.IN_DOUBT, RESENT, began(2), doubted(2))
        assert when(state, c.Settle(remedy=c.Remedy.RESEND)) == [e.Held(at=NOW, until=END)]

    def test_a_hold_waits_for_an_operator_until_the_end(self) -> None:
        state = given(*self.IN_DOUBT)
        events = when(state, c.Settle(remedy=c.Remedy.HOLD))
        assert events == [e.Held(at=NOW, until=END)]
        assert when(state.with_events(events), c.Settle(remedy=c.Remedy.HOLD)) == []

    def test_an_operator_may_still_resend_what_is_held(self) -> None:
        state = given(*self.IN_DOUBT, e.Held(at=START, until=END))
        assert when(state, c.Settle(remedy=c.Remedy.RESEND)) == [evolve(RESENT, at=NOW)]

    @pytest.mark.parametrize("remedy", c.Remedy)
    def test_at_the_end_it_is_unconfirmed(self, remedy: c.Remedy) -> None:
        unconfirmed = e.Unconfirmed(at=END, reason=Reason.UNCONFIRMED)
        assert when(given(*self.IN_DOUBT), c.Settle(remedy=remedy), END) == [unconfirmed]

    def test_what_was_refused_for_good_is_not_resent(self) -> None:
        state = given(PLANNED, began(), retried(), began(2), doubted(2))
        state = state.with_events(when(state, report(Evidence.UNDELIVERED, 1)))
        assert when(state, c.Settle(remedy=c.Remedy.RESEND)) == [e.Held(at=NOW, until=END)]

    @pytest.mark.parametrize("after", [(), (began(),), (began(), doubted(), RESENT)])
    def test_what_is_not_in_doubt_is_left_alone(self, after: tuple[e.Event, ...]) -> None:
        assert when(given(PLANNED, *after), c.Settle(remedy=c.Remedy.RESEND)) == []


class TestCancel:
    def test_what_was_not_sent_yet_is_cancelled(self) -> None:
        cancelled = e.Cancelled(at=NOW, reason=Reason.OPERATOR)
        for state in (given(PLANNED), given(PLANNED, began(), retried())):
            assert when(state, c.Cancel(reason=Reason.OPERATOR)) == [cancelled]

    def test_with_an_attempt_in_doubt_it_is_unconfirmed(self) -> None:
        state = given(PLANNED, began(), doubted(), RESENT)
        assert when(state, c.Cancel()) == [e.Unconfirmed(at=NOW, reason=Reason.CANCELLED)]

    @pytest.mark.parametrize("after", [(began(),), (began(), doubted())])
    def test_what_is_on_the_wire_or_may_have_been_sent_is_left_alone(self, after: tuple[e.Event, ...]) -> None:
        assert when(given(PLANNED, *after), c.Cancel()) == []


class TestState:
    @pytest.mark.parametrize(
        ("happened", "status", "reason"),
        [
            ((e.Skipped(at=START, reason=Reason.STALE),), Status.SKIPPED, Reason.STALE),
            ((e.Expired(at=START),), Status.EXPIRED, Reason.EXPIRED),
            ((PLANNED, e.Expired(at=START)), Status.EXPIRED, Reason.EXPIRED),
            ((PLANNED, e.Deferred(at=START, until=END, reason=Reason.QUIET_HOURS)), Status.PENDING, Reason.QUIET_HOURS),
            ((PLANNED, began()), Status.SENDING, None),
            ((PLANNED, began(), retried()), Status.PENDING, Reason.RETRY),
            ((PLANNED, began(), doubted()), Status.IN_DOUBT, Reason.IN_DOUBT),
            ((PLANNED, began(), doubted(), RESENT), Status.PENDING, Reason.RESEND_IN_DOUBT),
        ],
    )
    def test_a_delivery_says_why_it_stands_where_it_stands(
        self, happened: tuple[e.Event, ...], status: Status, reason: Reason | None
    ) -> None:
        state = given(*happened)
        assert (state.status, state.reason) == (status, reason)

    @pytest.mark.parametrize(
        ("evidence", "scope", "spent"),
        [
            (Evidence.UNSENT, Scope.RECIPIENT, True),
            (Evidence.UNSENT, Scope.CONTENT, True),
            (Evidence.UNSENT, Scope.ROUTE, False),
            (Evidence.UNSENT, None, False),
            (Evidence.ACCEPTED, Scope.RECIPIENT, False),
            (Evidence.IN_DOUBT, Scope.CONTENT, False),
        ],
    )
    def test_an_attempt_costs_a_try_when_this_message_was_proved_unsent(
        self, evidence: Evidence, scope: Scope | None, spent: bool
    ) -> None:
        assert evolve(attempt(1), evidence=evidence, scope=scope).spent is spent


class TestNames:
    def test_a_delivery_is_named_by_notification_and_number(self) -> None:
        key = new_delivery(no=2).key
        assert key.event_key == f"{key.notification_id.hex}-2"

    def test_an_attempt_names_who_was_called(self) -> None:
        assert evolve(attempt(1), route="twilio/sms").provider == "twilio"
