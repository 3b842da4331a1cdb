"""Rule 7: when to try again. A delay, never a time; spent only by answers that prove this very message unsent."""

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope
from fn_notifications.domain.retry import RetryPolicy
from fn_notifications.testing.histories import outcomes
from fn_notifications.testing.strategies import chances, retry_policies, spans

SECOND = timedelta(seconds=1)
MIDDLE = 0.5
UNSENT = Outcome(kind=OutcomeKind.UNSENT)
BUSY = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="429")
ROUNDING = timedelta(microseconds=2)


def test_delays_start_at_a_second_double_and_end_after_three_tries() -> None:
    delays = [RetryPolicy().delay(spent, UNSENT, MIDDLE) for spent in (1, 2, 3, 4)]
    assert delays == [SECOND, 2 * SECOND, None, None]
    assert RetryPolicy(tries=99).delay(98, UNSENT, MIDDLE) == timedelta(hours=1)


def test_a_delay_is_spread_by_a_fifth_to_either_side() -> None:
    policy = RetryPolicy(first=timedelta(seconds=10))
    assert policy.delay(1, UNSENT, 0.0) == timedelta(seconds=8)
    assert policy.delay(1, UNSENT, MIDDLE) == timedelta(seconds=10)
    assert policy.delay(1, UNSENT, 0.75) == timedelta(seconds=11)


@given(retry_policies(), st.integers(1, 40), chances())
def test_the_spread_is_never_more_than_the_jitter(policy: RetryPolicy, spent: int, chance: float) -> None:
    delay, middle = policy.delay(spent, UNSENT, chance), policy.delay(spent, UNSENT, MIDDLE)
    assert (delay is None) == (middle is None)
    if delay is not None and middle is not None:
        assert abs(delay - middle) <= middle * policy.jitter + ROUNDING


@given(retry_policies(), st.integers(1, 39), chances())
def test_delays_never_shrink_until_the_tries_are_spent(policy: RetryPolicy, spent: int, chance: float) -> None:
    earlier, later = policy.delay(spent, UNSENT, chance), policy.delay(spent + 1, UNSENT, chance)
    assert (earlier is not None) == (spent < policy.tries)
    if earlier is not None and later is not None:
        assert earlier <= later


@given(retry_policies(), st.integers(1, 39))
def test_a_delay_is_never_longer_than_the_longest(policy: RetryPolicy, spent: int) -> None:
    delay = policy.delay(spent, UNSENT, MIDDLE)
    assert delay is None or delay <= policy.longest


@given(retry_policies(), st.integers(1, 39), chances(), spans(), st.sampled_from((UNSENT, BUSY)))
def test_retry_after_wins_when_it_is_longer(
    policy: RetryPolicy, spent: int, chance: float, told: timedelta, outcome: Outcome
) -> None:
    ours = policy.delay(spent, outcome, chance)
    asked = Outcome(kind=outcome.kind, scope=outcome.scope, retry_after=told)
    assert policy.delay(spent, asked, chance) == (None if ours is None else max(ours, told))


@given(outcomes())
def test_only_proof_that_this_very_message_was_not_sent_costs_a_try(outcome: Outcome) -> None:
    about_it = outcome.scope in (Scope.RECIPIENT, Scope.CONTENT)
    assert outcome.spends == (outcome.kind is OutcomeKind.UNSENT and about_it)


@given(retry_policies(), chances(), st.sampled_from((Scope.DESTINATION, Scope.ROUTE, Scope.ACCOUNT)))
def test_what_the_lane_says_makes_it_wait_and_never_uses_up_the_tries(
    policy: RetryPolicy, chance: float, scope: Scope
) -> None:
    outcome = Outcome(kind=OutcomeKind.UNSENT, scope=scope)
    for spent in range(policy.tries + 2):
        delay = policy.delay(spent, outcome, chance)
        assert delay is not None
        assert abs(delay - policy.lane_pause) <= policy.lane_pause * policy.jitter + ROUNDING


@given(retry_policies(), st.integers(1, 100), chances())
def test_the_lanes_pauses_never_shrink_nor_grow_past_the_longest(
    policy: RetryPolicy, waits: int, chance: float
) -> None:
    shorter, longer = (policy.delay(0, BUSY, chance, waits=nth) for nth in (waits, waits + 1))
    assert shorter is not None
    assert longer is not None
    assert shorter <= longer <= policy.longest_lane_pause * (1 + policy.jitter) + ROUNDING


def test_a_lane_that_goes_on_refusing_is_asked_less_and_less_often() -> None:
    pauses = [RetryPolicy().delay(0, BUSY, MIDDLE, waits=waits) for waits in (1, 2, 3, 4, 5, 6, 60)]
    assert pauses == [timedelta(seconds=seconds) for seconds in (15, 30, 60, 120, 240, 300, 300)]


def test_bad_company_costs_neither_a_try_nor_a_wait() -> None:
    outvoted = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.BATCH, code="another_refused")
    assert (outvoted.spends, outvoted.waits) == (False, False)
    assert RetryPolicy().delay(2, outvoted, MIDDLE, waits=5) == timedelta()


def test_no_factor_is_too_steep_to_be_counted() -> None:
    policy = RetryPolicy(factor=1000.0, tries=100)
    assert policy.delay(99, UNSENT, MIDDLE) == policy.longest
