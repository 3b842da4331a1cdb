"""Any commands in any order, at times that never go back: what always holds of a delivery."""

from datetime import timedelta

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from fn_notifications.domain import commands as c
from fn_notifications.domain import events as e
from fn_notifications.domain.delivery import decide, evolve, status_of
from fn_notifications.domain.events import Event, Evidence
from fn_notifications.domain.lifecycle import OPEN, TRANSITIONS, Status
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.histories import RETRY, START, Step, commands, give, new_delivery

REPEATABLE = (c.Record, c.Report, c.Ask, c.Rescue, c.Wait, c.Settle, c.Expire, c.Cancel)
"""Commands that emit nothing when they are given twice; planning, beginning and resolving twice is refused."""


class DeliveryMachine(RuleBasedStateMachine):
    """One delivery, its log and the clock."""

    def __init__(self) -> None:
        super().__init__()
        self.state = new_delivery()
        self.now = START
        self.log: list[Event] = []

    @rule(seconds=st.sampled_from((1, 30, 1200, 7200, 50_000)))
    def time_passes(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @rule(data=st.data())
    def a_command_is_given(self, data: st.DataObject) -> None:
        step = give(self.state, data.draw(commands(self.state, self.now)), self.now)
        if step.refused:
            assert step.after is step.before
        for event in step.events:
            assert (self.state.status, type(event)) in TRANSITIONS
            self.state = evolve(self.state, event)
            self.log.append(event)
            assert self.state.status is status_of(self.state.rest, self.state.attempts)
        assert self.state == step.after
        self.is_within_the_rules(step)
        self.again_is_nothing(step)

    @precondition(lambda self: self.state.due_at is not None)
    @rule()
    def it_is_woken_when_it_is_due(self) -> None:
        self.now = max(self.now, self.state.due_at or self.now)

    def is_within_the_rules(self, step: Step) -> None:
        """What a single step may do."""
        kinds = {type(event) for event in step.events}
        if step.before.status not in {None, *OPEN}:
            operated = {e.Resolved, e.Resent} if step.before.status is Status.FAILED else set()
            asked = {e.Asked} if step.before.status is Status.SENT else set()
            assert kinds <= {e.Sent, e.Delivered, e.Failed, e.Doubted, e.Noted, *operated, *asked}
        if e.Began in kinds:
            assert not any(attempt.evidence is Evidence.OPEN for attempt in step.before.attempts)
        if e.Retried in kinds:
            assert self.state.spent < RETRY.tries
        assert len(step.events) <= 1 or isinstance(step.events[0], e.Asked | e.Resolved)

    def again_is_nothing(self, step: Step) -> None:
        if isinstance(step.command, REPEATABLE) and not step.refused:
            assert decide(step.after, step.command, step.at) == ()
        elif step.events:
            again = give(step.after, step.command, step.at)
            assert again.refused or isinstance(step.events[0], e.Deferred)

    @invariant()
    def the_log_is_the_delivery(self) -> None:
        assert new_delivery().with_events(self.log) == self.state
        assert self.state.version == len(self.log)

    @invariant()
    def it_is_woken_exactly_while_it_waits_and_never_after_it_expires(self) -> None:
        waits = self.state.status in {Status.PENDING, Status.IN_DOUBT}
        assert (self.state.due_at is not None) == waits or self.state.status is Status.SENT
        if waits and self.state.due_at is not None:
            assert self.state.due_at <= self.state.expires_at

    @invariant()
    def at_most_one_attempt_is_open_and_it_is_the_last(self) -> None:
        for attempt in self.state.attempts[:-1]:
            assert attempt.evidence is not Evidence.OPEN
        assert [attempt.no for attempt in self.state.attempts] == list(range(1, len(self.state.attempts) + 1))

    @invariant()
    def it_is_resent_at_most_once_of_itself_and_never_tried_more_often_than_allowed(self) -> None:
        resends = [event.reason for event in self.log if isinstance(event, e.Resent)]
        rulings = [event.ruling for event in self.log if isinstance(event, e.Resolved)]
        assert self.state.resends == len(resends)
        assert resends.count(Reason.RESEND_IN_DOUBT) <= 1
        assert resends.count(Reason.OPERATOR) == rulings.count(e.Ruling.RESEND)
        assert self.state.spent <= RETRY.tries + len(resends)

    @invariant()
    def it_is_queued_exactly_while_somebody_must_come_back_for_it(self) -> None:
        if self.state.status is not None and self.state.status is not Status.SENT:
            assert self.state.queued == (self.state.status in OPEN or self.state.calling)

    @invariant()
    def whoever_has_a_reason_to_wait_or_stop_says_so(self) -> None:
        silent = {None, Status.PENDING, Status.SENDING, Status.SENT, Status.DELIVERED}
        assert self.state.reason is not None or self.state.status in silent

    @invariant()
    def with_an_attempt_in_doubt_nothing_is_said_not_to_have_been_sent(self) -> None:
        if self.state.doubtful:
            assert self.state.status not in {Status.FAILED, Status.SKIPPED, Status.CANCELLED, Status.EXPIRED}


TestDelivery = DeliveryMachine.TestCase
