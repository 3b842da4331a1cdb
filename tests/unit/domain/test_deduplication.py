"""Rule 5: one notification per user, type and key within the window of event time."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from itertools import pairwise, permutations
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.deduplication import Kept, duplicate_of
from fn_notifications.testing.strategies import moments, spans

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
FIRST, SECOND = UUID(int=1), UUID(int=2)


def minutes(number: int) -> timedelta:
    return timedelta(minutes=number)


@given(moments(), moments(), spans())
def test_an_event_repeats_one_that_was_kept_within_the_window_before_or_after_it(
    kept_at: datetime, at: datetime, window: timedelta
) -> None:
    duplicate = duplicate_of([Kept(kept_at, FIRST)], at, window)
    assert (duplicate == FIRST) == (abs(at - kept_at) < window)


@given(moments(), spans())
def test_the_window_reaches_both_ways_and_ends_before_its_length(at: datetime, window: timedelta) -> None:
    tick = timedelta(microseconds=1)
    kept = [Kept(at, FIRST)]
    for way in (1, -1):
        assert duplicate_of(kept, at + way * (window - tick), window) == FIRST
        assert duplicate_of(kept, at + way * window, window) is None


def test_nothing_repeats_when_nothing_was_kept() -> None:
    assert duplicate_of([], NOON, HOUR) is None


def test_the_window_is_not_extended_by_duplicates() -> None:
    """A stream of one event every 40 minutes is told at 12:00, 13:20 and 14:40, not once."""
    told = tell([NOON + minutes(40 * step) for step in range(5)], HOUR)
    assert told == [NOON, NOON + minutes(80), NOON + minutes(160)]


@given(st.lists(st.integers(0, 600).map(minutes), max_size=8), spans(timedelta(hours=5)))
def test_what_is_told_lies_a_window_apart_in_whatever_order_events_come(
    ages: Sequence[timedelta], window: timedelta
) -> None:
    told = sorted(tell([NOON - age for age in ages], window))
    assert all(later - earlier >= window for earlier, later in pairwise(told))
    assert bool(told) == bool(ages)


def test_between_two_that_were_kept_it_is_the_earlier_that_is_repeated() -> None:
    kept = [Kept(NOON, FIRST), Kept(NOON + minutes(90), SECOND)]
    for order in permutations(kept):
        assert duplicate_of(order, NOON + minutes(45), HOUR) == FIRST


def tell(events: Sequence[datetime], window: timedelta) -> list[datetime]:
    """The events that are kept, in the order they come, when duplicates are dropped."""
    kept: list[Kept] = []
    for no, at in enumerate(events):
        if duplicate_of(kept, at, window) is None:
            kept.append(Kept(at, UUID(int=no)))
    return [one.at for one in kept]
