"""What is shut and what opens it again: rules, and laws over every history."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications import Outcome, OutcomeKind, Scope
from fn_notifications.domain.stops import Passage, Word, after, names, word_of

START = datetime(2026, 3, 1, tzinfo=UTC)
SPAN = timedelta(minutes=5)
ROUTE = "acme/sms"


def at(seconds: float) -> datetime:
    return START + timedelta(seconds=seconds)


def word(began: float, **more) -> Word:
    return Word(**{"route": ROUTE, "country": "+49", "began": at(began), "code": "c", "span": SPAN, **more})


def told(stops, second, *words):
    return after(stops, words, at(second))


def shut(scope: Scope = Scope.ROUTE, second: float = 0):
    stops, _ = told({}, second, word(second, bad=scope))
    return stops


def test_what_an_answer_found_shut_is_shut_and_nothing_narrower():
    for scope, what in zip((Scope.ACCOUNT, Scope.ROUTE, Scope.DESTINATION), names(ROUTE, "+49"), strict=True):
        stops, (turn,) = told({}, 0, word(0, bad=scope))
        assert list(stops) == [what]
        assert (turn.shut, turn.stop.scope, turn.stop.code) == (True, scope, "c")
        assert [stops[what].passage(at(second)) for second in (0, 299.9, 300)] == [
            Passage.SHUT,
            Passage.SHUT,
            Passage.PROBE,
        ]


def test_the_same_found_out_many_times_turns_once():
    stops, turns = told({}, 0, *[word(0, bad=Scope.ACCOUNT)] * 9)
    assert len(turns) == 1
    again, none = told(stops, 30, *[word(5, bad=Scope.ACCOUNT)] * 9)
    assert (again, none) == (stops, [])


def test_an_older_call_neither_opens_nor_prolongs():
    probed = {ROUTE: shut()[ROUTE].taken(at(300))}
    for late in (word(-1, works=True), word(299, works=True), word(299, bad=Scope.ROUTE)):
        assert told(probed, 310, late) == (probed, [])


def test_a_good_probe_opens():
    probed = {ROUTE: shut()[ROUTE].taken(at(300))}
    stops, (turn,) = told(probed, 301, word(300, works=True))
    assert (stops, turn.shut, turn.stop.what) == ({}, False, ROUTE)


def test_a_failed_probe_shuts_for_longer_each_time_within_bounds():
    stops, second, waits = shut(), 0.0, []
    for _ in range(5):
        second = (stops[ROUTE].until - START).total_seconds()
        stops = {ROUTE: stops[ROUTE].taken(at(second))}
        stops, turns = told(stops, second + 1, word(second, bad=Scope.ROUTE))
        assert not turns
        waits.append((stops[ROUTE].until - at(second + 1)).total_seconds())
    assert waits == [600, 900, 900, 900, 900]


def test_a_probe_that_says_nothing_of_it_makes_room_for_another():
    for scope, answer in ((Scope.ROUTE, word(300)), (Scope.ACCOUNT, word(300, bad=Scope.ROUTE))):
        (what,) = shut(scope)
        stops, _ = told({what: shut(scope)[what].taken(at(300))}, 301, answer)
        assert stops[what].passage(at(301)) is Passage.PROBE


def test_a_probe_without_a_result_is_given_up():
    probed = shut()[ROUTE].taken(at(300))
    assert [probed.passage(at(second)) for second in (300, 419, 420)] == [Passage.SHUT, Passage.SHUT, Passage.PROBE]


def test_a_country_refused_proves_that_the_rest_works():
    both = {**shut(Scope.ACCOUNT), **shut(Scope.DESTINATION)}
    probed = {what: stop.taken(at(300)) for what, stop in both.items()}
    stops, turns = told(probed, 301, word(300, works=True, bad=Scope.DESTINATION))
    assert list(stops) == [f"{ROUTE}+49"]
    assert [(turn.shut, turn.stop.what) for turn in turns] == [(False, "acme")]


def test_a_pause_asked_for_is_no_outage():
    stops, turns = told({}, 0, word(0, bad=Scope.ROUTE, pause=timedelta(seconds=90)))
    assert not turns
    assert [stops[ROUTE].passage(at(second)) for second in (89, 90)] == [Passage.SHUT, Passage.OPEN]


def test_the_longer_pause_wins_in_either_order():
    for pauses in ((90, 5), (5, 90)):
        words = [word(0, bad=Scope.ROUTE, pause=timedelta(seconds=pause)) for pause in pauses]
        stops, _ = told({}, 0, *words)
        assert stops[ROUTE].until == at(90)


def test_a_pause_that_is_over_is_forgotten():
    stops, _ = told({}, 0, word(0, bad=Scope.ROUTE, pause=timedelta(seconds=90)))
    assert told(stops, 91, word(90, works=True)) == ({}, [])


def test_failures_during_a_pause_outlast_it():
    stops, _ = told({}, 0, word(0, bad=Scope.ROUTE, pause=timedelta(seconds=400)))
    stops, (turn,) = told(stops, 1, word(0, bad=Scope.ROUTE))
    assert turn.shut
    assert [stops[ROUTE].passage(at(second)) for second in (399, 401)] == [Passage.SHUT, Passage.PROBE]


def test_a_pause_and_an_outage_of_one_moment_are_an_outage():
    _, turns = told({}, 0, word(0, bad=Scope.ROUTE, pause=SPAN), word(0, bad=Scope.ROUTE))
    assert [turn.shut for turn in turns] == [True]


def test_a_probe_that_is_asked_to_wait_is_over_and_another_goes_after_the_pause():
    probed = {ROUTE: shut()[ROUTE].taken(at(300))}
    stops, turns = told(probed, 301, word(300, bad=Scope.ROUTE, pause=timedelta(seconds=20)))
    assert not turns
    assert [stops[ROUTE].passage(at(second)) for second in (320, 321)] == [Passage.SHUT, Passage.PROBE]


def test_a_clock_set_back_shuts_nothing_for_good():
    assert shut()[ROUTE].passage(at(-3600)) is Passage.PROBE


@pytest.mark.parametrize(
    ("outcome", "works", "bad", "pause"),
    [
        (Outcome(kind=OutcomeKind.ACCEPTED), True, None, None),
        (Outcome(kind=OutcomeKind.REFUSED), True, None, None),
        (Outcome(kind=OutcomeKind.OPTED_OUT), True, None, None),
        (Outcome(kind=OutcomeKind.UNSENT), True, None, None),
        (Outcome(kind=OutcomeKind.UNSENT, scope=Scope.DESTINATION), True, Scope.DESTINATION, None),
        (Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT), False, Scope.ACCOUNT, None),
        (Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, retry_after=SPAN), False, Scope.ROUTE, SPAN),
        (Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="deadline"), False, Scope.ROUTE, None),
        (Outcome(kind=OutcomeKind.IN_DOUBT, code="stopped"), False, None, None),
        # The hours of one time zone are no reason to stop a country.
        (Outcome(kind=OutcomeKind.UNSENT, scope=Scope.DESTINATION, retry_after=SPAN), True, None, SPAN),
    ],
)
def test_what_an_outcome_says_of_its_way(outcome, works, bad, pause):
    said = word_of(outcome, route=ROUTE, country="+49", began=START, span=SPAN)
    assert (said.works, said.bad, said.pause) == (works, bad, pause)


def test_a_call_that_was_not_made_says_nothing():
    outcome = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT)
    said = word_of(outcome, route=ROUTE, country="+49", began=START, span=SPAN, asked=False)
    assert (said.works, said.bad) == (False, None)


WORDS = st.builds(
    lambda began, country, works, bad, pause: word(
        began, country=country, works=works, bad=bad, pause=timedelta(seconds=pause) if pause else None
    ),
    st.integers(-60, 2000),
    st.sampled_from([None, "+49", "+1"]),
    st.booleans(),
    st.sampled_from([None, Scope.ACCOUNT, Scope.ROUTE, Scope.DESTINATION]),
    st.integers(0, 400),
)


@given(steps=st.lists(st.tuples(st.integers(0, 200), st.lists(WORDS, max_size=3), st.booleans()), max_size=25))
def test_alarms_and_all_clears_take_turns_and_only_a_probe_opens(steps):
    stops, alarmed, second = {}, set(), 0
    for gap, words, probe in steps:
        second += gap
        if probe:
            stops = {
                what: stop.taken(at(second)) if stop.passage(at(second)) is Passage.PROBE else stop
                for what, stop in stops.items()
            }
        before = stops
        stops, turns = told(stops, second, *words)
        for turn in turns:
            assert turn.shut is (turn.stop.what not in alarmed), "an alarm, or an all-clear, twice in a row"
            alarmed ^= {turn.stop.what}
        assert alarmed == {what for what, stop in stops.items() if stop.probes}
        for what, stop in before.items():
            if stop.probes and what not in stops:
                assert stop.probe_since, "opened without a probe"
        assert all(stop.until <= at(second) + timedelta(minutes=15) for stop in stops.values())
