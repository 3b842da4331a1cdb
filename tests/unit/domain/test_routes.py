"""The board: which way is open, who goes first, what is held, and what waits."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications import PhoneNumber, Scope
from fn_notifications.domain.address import EmailAddress, destination
from fn_notifications.domain.rates import Bucket
from fn_notifications.domain.routes import Board, Hold, HoldKind, Pin, Standing
from fn_notifications.domain.slowness import Demotion
from fn_notifications.domain.stops import Passage, Stop

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def stop(what: str, *, since: datetime = NOW - MINUTE, until: datetime = NOW + MINUTE, **more) -> Stop:
    return Stop(what=what, scope=Scope.ROUTE, since=since, until=until, code="c", span=5 * MINUTE, **more)


def board(*stops: Stop, **more) -> Board:
    return Board(stops={one.what: one for one in stops}, **more)


def hold(kind: HoldKind, name: str = "", since: datetime = NOW) -> Hold:
    return Hold(kind=kind, name=name, since=since)


@pytest.mark.parametrize(
    ("shut", "expected"),
    [
        ("acme", [Passage.SHUT, Passage.SHUT, Passage.SHUT, Passage.OPEN]),
        ("acme/sms", [Passage.SHUT, Passage.SHUT, Passage.OPEN, Passage.OPEN]),
        ("acme/sms+49", [Passage.SHUT, Passage.OPEN, Passage.OPEN, Passage.OPEN]),
    ],
)
def test_a_stop_reaches_as_far_as_it_says(shut, expected):
    ways = [("acme/sms", "+49"), ("acme/sms", "+44"), ("acme/whatsapp", "+49"), ("acmeter/sms", "+49")]
    assert [board(stop(shut)).passage(*way, NOW) for way in ways] == expected


def test_the_worst_on_the_way_counts():
    wants_probe = stop("acme", until=NOW)
    assert board(wants_probe).passage("acme/sms", "+49", NOW) is Passage.PROBE
    assert board(wants_probe, stop("acme/sms+49")).passage("acme/sms", "+49", NOW) is Passage.SHUT


def test_a_probe_is_taken_for_everything_on_its_way():
    before = board(stop("acme", until=NOW), stop("acme/sms+49", until=NOW), stop("acme/sms+1", until=NOW))
    probed = before.probed("acme/sms", "+49", NOW)
    assert probed.passage("acme/sms", "+49", NOW) is Passage.SHUT
    assert probed.stops["acme/sms+1"] == before.stops["acme/sms+1"]


def test_what_shuts_longest_is_named():
    longer = stop("acme", until=NOW + 9 * MINUTE)
    assert board(longer, stop("acme/sms")).blocking("acme/sms", None, NOW) == longer
    assert board(longer, stop("acme/sms")).blocking("other/sms", None, NOW) is None


def test_the_pinned_go_first_and_the_slow_last():
    standings = {
        "a/sms": Standing(demotion=Demotion(since=NOW - MINUTE, until=NOW + MINUTE)),
        "c/sms": Standing(pin=Pin(until=NOW + MINUTE)),
        "d/sms": Standing(pin=Pin(until=NOW), demotion=Demotion(since=NOW - 2 * MINUTE, until=NOW)),
    }
    routes = ["a/sms", "b/sms", "c/sms", "d/sms"]
    assert list(Board(standings=standings).ordered(routes, NOW)) == ["c/sms", "b/sms", "d/sms", "a/sms"]


def test_a_hold_covers_its_own():
    about = {"type_": "news", "channel": "sms"}
    holds = [hold(HoldKind.TYPE, "news"), hold(HoldKind.CHANNEL, "sms"), hold(HoldKind.ALL)]
    assert all(one.covers(**about) for one in holds)
    others = [hold(HoldKind.TYPE, "sms"), hold(HoldKind.CHANNEL, "news"), hold(HoldKind.ROUTE, "sms")]
    assert not any(one.covers(**about) for one in others)
    held = Board(holds=(hold(HoldKind.ROUTE, "acme/sms"),))
    assert held.passage("acme/sms", None, NOW) is Passage.SHUT
    assert held.passage("acme/whatsapp", None, NOW) is Passage.OPEN


def test_the_oldest_hold_is_named():
    first = hold(HoldKind.CHANNEL, "sms", since=NOW - MINUTE)
    found = Board(holds=(hold(HoldKind.ALL), first)).held_by(channel="sms")
    assert found == first


def test_the_older_a_hold_the_more_seldom_anybody_looks():
    since = [NOW, NOW - 20 * MINUTE, NOW - 600 * MINUTE]
    looks = [hold(HoldKind.ALL, since=one).look_again(NOW) - NOW for one in since]
    assert looks == [5 * MINUTE, 20 * MINUTE, 60 * MINUTE]


def test_mending_a_route_wants_a_probe_on_all_its_ways():
    shut = ("acme", "acme/sms", "acme/sms+1", "acme/sms2", "acme/whatsapp", "other")
    mended = board(*map(stop, shut)).mended("acme/sms", NOW)
    tried = {what for what, one in mended.stops.items() if one.passage(NOW) is Passage.PROBE}
    assert tried == {"acme", "acme/sms", "acme/sms+1"}


def test_a_channel_waits_when_nothing_of_it_can_go_in_time():
    routes, horizon = ("a/sms", "b/sms"), NOW + 5 * MINUTE
    later = stop("a/sms", until=NOW + 9 * MINUTE)
    assert not board(later).shut_beyond("sms", routes, NOW, horizon)
    assert not board(later, stop("b/sms")).shut_beyond("sms", routes, NOW, horizon)
    assert board(later, stop("b", until=NOW + 9 * MINUTE)).shut_beyond("sms", routes, NOW, horizon)
    assert board(later, holds=(hold(HoldKind.ROUTE, "b/sms"),)).shut_beyond("sms", routes, NOW, horizon)
    assert Board(holds=(hold(HoldKind.CHANNEL, "sms"),)).shut_beyond("sms", routes, NOW, horizon)


@pytest.mark.parametrize(
    ("number", "code"),
    [
        ("+15005550006", "+1"),
        ("+79991234567", "+7"),
        ("+4915112345678", "+49"),
        ("+2712345678", "+27"),
        ("+212612345678", "+212"),
        ("+35312345678", "+353"),
        ("+420601123456", "+420"),
        ("+8821234567", "+882"),
        ("+97112345678", "+971"),
    ],
)
def test_a_number_names_its_calling_code(number, code):
    assert PhoneNumber(number).calling_code == code
    assert destination(PhoneNumber(number)) == code


def test_mail_goes_to_no_country():
    assert destination(EmailAddress("a@example.com")) is None
    assert destination(None) is None


@given(
    rate=st.floats(0.1, 500),
    asks=st.lists(st.tuples(st.floats(-1, 5), st.integers(0, 200)), max_size=60),
)
def test_no_span_of_time_sees_more_than_its_rate_and_one_second_at_once(rate, asks):
    """A clock set back never gives more than one that stood still."""
    now, ahead, bucket, given_at = NOW, NOW, Bucket.full(rate, NOW), []
    for gap, wanted in asks:
        now += timedelta(seconds=gap)
        bucket, given = bucket.take(wanted, rate, now)
        assert 0 <= given <= wanted
        ahead = max(ahead, now)
        given_at.append((now, given))
    if all(gap >= 0 for gap, _ in asks):
        for first in range(len(given_at)):
            for last in range(first, len(given_at)):
                passed = (given_at[last][0] - given_at[first][0]).total_seconds()
                amount = sum(given for _, given in given_at[first : last + 1])
                assert amount <= max(1.0, rate) + passed * rate + 1e-6
