"""A frequency cap allows `count` messages in any span of `window`, and says when the next one fits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.caps import Cap, capped_until
from fn_notifications.testing.strategies import caps

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def sends() -> st.SearchStrategy[list[datetime]]:
    """Times of past sends, some of them the same."""
    return st.lists(st.integers(0, 10**6).map(lambda seconds: NOW - timedelta(seconds=seconds)), max_size=12)


def test_below_the_cap_a_message_fits_now() -> None:
    assert capped_until(Cap(count=2, window=HOUR), [NOW - timedelta(minutes=5)], NOW) is None


def test_at_the_cap_the_next_fits_when_the_oldest_that_counts_leaves_the_window() -> None:
    recent = [NOW - timedelta(minutes=50), NOW - timedelta(minutes=20), NOW - timedelta(minutes=10)]
    assert capped_until(Cap(count=2, window=HOUR), recent, NOW) == NOW + timedelta(minutes=40)


def test_a_send_exactly_a_window_ago_does_not_count() -> None:
    assert capped_until(Cap(count=1, window=HOUR), [NOW - HOUR], NOW) is None


@given(caps(), sends())
def test_the_order_of_past_sends_does_not_matter(cap: Cap, recent: list[datetime]) -> None:
    assert capped_until(cap, recent, NOW) == capped_until(cap, sorted(recent), NOW)


@given(caps(), sends())
def test_it_is_capped_exactly_when_count_sends_lie_within_the_window(cap: Cap, recent: list[datetime]) -> None:
    inside = sum(sent > NOW - cap.window for sent in recent)
    assert (capped_until(cap, recent, NOW) is not None) == (inside >= cap.count)


@given(caps(), sends())
def test_the_answer_is_the_first_moment_at_which_one_fits(cap: Cap, recent: list[datetime]) -> None:
    until = capped_until(cap, recent, NOW)
    if until is not None:
        assert until > NOW
        assert capped_until(cap, recent, until) is None
        assert capped_until(cap, recent, max(NOW, until - timedelta(microseconds=1))) is not None


@given(caps(), st.lists(st.integers(1, 10**5), min_size=1, max_size=12))
def test_whoever_waits_as_told_never_exceeds_the_cap(cap: Cap, pauses: list[int]) -> None:
    sent: list[datetime] = []
    now = NOW
    for pause in pauses:
        now = capped_until(cap, sent, now) or now
        sent.append(now)
        assert sum(one > now - cap.window for one in sent) <= cap.count
        now += timedelta(seconds=pause)


def test_a_cap_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="count"):
        Cap(count=0, window=HOUR)
    with pytest.raises(ValueError, match="window"):
        Cap(count=1, window=timedelta())
