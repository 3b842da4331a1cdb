"""When a route goes behind the others for being slow, and when it comes back."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.slowness import Demotion, Speed, judged

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
FINE, SLOW = Speed(known=100, late=0), Speed(known=100, late=15)


def test_a_slow_route_goes_behind():
    route, demotion = judged({"a": None, "b": None}, {"a": SLOW, "b": FINE}, NOW)
    assert (route, demotion) == ("a", Demotion(since=NOW, until=NOW + 15 * MINUTE))


def test_a_little_lateness_or_too_few_messages_change_nothing():
    for speed in (Speed(known=100, late=14), Speed(known=19, late=19)):
        assert judged({"a": None, "b": None}, {"a": speed, "b": FINE}, NOW) is None


def test_when_all_are_slow_nothing_changes():
    assert judged({"a": None, "b": None}, {"a": SLOW, "b": SLOW}, NOW) is None


def test_a_demoted_route_counts_as_slow_until_it_is_shown_to_be_fast():
    """Or the traffic would go back and forth between two slow ones."""
    down = Demotion(since=NOW - 10 * MINUTE, until=NOW + 5 * MINUTE)
    assert judged({"a": down, "b": None}, {"b": SLOW}, NOW) is None


def test_it_comes_back_when_it_is_clearly_better():
    down = Demotion(since=NOW - 10 * MINUTE, until=NOW + 5 * MINUTE)
    better = Speed(known=100, late=6)
    assert judged({"a": down, "b": None}, {"a": better, "b": FINE}, NOW) is None
    assert judged({"a": down, "b": None}, {"a": Speed(known=100, late=5), "b": FINE}, NOW) == (
        "a",
        Demotion(since=down.since, until=NOW, times=0),
    )


def test_back_once_it_is_back():
    back = Demotion(since=NOW - 30 * MINUTE, until=NOW - 10 * MINUTE, times=0)
    assert judged({"a": back, "b": None}, {"a": FINE, "b": FINE}, NOW) is None
    assert judged({"a": back, "b": None}, {"a": SLOW, "b": FINE}, NOW)[1].times == 1


def test_changes_keep_their_distance():
    fresh = Demotion(since=NOW - 4 * MINUTE, until=NOW + 11 * MINUTE)
    assert judged({"a": fresh, "b": None, "c": None}, {"b": SLOW, "c": FINE}, NOW) is None
    returned = Demotion(since=NOW - 19 * MINUTE, until=NOW - 4 * MINUTE)
    assert judged({"a": returned, "b": None}, {"a": SLOW, "b": FINE}, NOW) is None


def test_slow_again_after_its_time_it_stays_away_longer():
    returned = Demotion(since=NOW - 30 * MINUTE, until=NOW - 6 * MINUTE, times=2)
    _, demotion = judged({"a": returned, "b": None}, {"a": SLOW, "b": FINE}, NOW)
    assert (demotion.times, demotion.until - NOW) == (3, 60 * MINUTE)


SPEEDS = st.builds(
    lambda known, late: Speed(known=known, late=min(known, late)), st.integers(0, 60), st.integers(0, 60)
)


@given(steps=st.lists(st.tuples(st.integers(1, 900), SPEEDS, SPEEDS, SPEEDS), max_size=40))
def test_never_more_than_one_change_in_five_minutes_and_never_everybody(steps):
    standing, now, last = dict.fromkeys("abc"), NOW, None
    for seconds, *speeds in steps:
        now += timedelta(seconds=seconds)
        change = judged(standing, dict(zip("abc", speeds, strict=True)), now)
        if change:
            route, demotion = change
            if demotion.changed_at(now) == now:  # otherwise it is only forgotten how often it was slow: nobody moves
                assert last is None or now - last >= 5 * MINUTE
                last = now
            standing[route] = demotion
        assert any(one is None or not one.lasts(now) for one in standing.values()), "somebody has to go first"
