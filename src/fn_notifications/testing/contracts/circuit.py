"""What every `Circuit` keeps to. Subclass, provide the `subject` fixture, a new one under `RULES`."""

from datetime import UTC, datetime, timedelta
from typing import Final

from fn_notifications.application.ports.circuit import Circuit, CircuitRules, CircuitState

RULES: Final = CircuitRules(threshold=3, window=timedelta(seconds=60), reset_after=timedelta(seconds=300))

_START: Final = datetime(2026, 3, 1, tzinfo=UTC)
_ROUTE: Final = "email/one"


def at(seconds: float) -> datetime:
    """So long after the beginning of a check."""
    return _START + timedelta(seconds=seconds)


def _fail(circuit: Circuit, *seconds: float) -> None:
    for second in seconds:
        circuit.failed(_ROUTE, at(second))


def _state(circuit: Circuit, second: float) -> CircuitState:
    return circuit.state(_ROUTE, at(second))


class CircuitContract:
    """Rules for opening, probing, closing and pausing."""

    def test_a_route_nobody_reported_on_is_closed(self, subject: Circuit) -> None:
        """Nothing is needed before the first call."""
        assert _state(subject, 0) is CircuitState.CLOSED

    def test_enough_failures_inside_the_window_open_it(self, subject: Circuit) -> None:
        """The last of them does, not the one before; the edge of the window is inside."""
        _fail(subject, 0, 30)
        assert _state(subject, 30) is CircuitState.CLOSED
        _fail(subject, 60)
        assert _state(subject, 60) is CircuitState.OPEN

    def test_failures_the_window_has_left_behind_do_not_count(self, subject: Circuit) -> None:
        """A failure now and then is no outage."""
        _fail(subject, 0, 30, 61)
        assert _state(subject, 61) is CircuitState.CLOSED

    def test_the_window_slides(self, subject: Circuit) -> None:
        """It is any span of its length, not one that began with some failure."""
        _fail(subject, 0, 50, 61, 62)
        assert _state(subject, 62) is CircuitState.OPEN

    def test_a_success_between_wipes_the_failures_out(self, subject: Circuit) -> None:
        """What counts are failures without a success between."""
        _fail(subject, 0, 1)
        subject.succeeded(_ROUTE, at(2))
        _fail(subject, 3, 4)
        assert _state(subject, 4) is CircuitState.CLOSED

    def test_routes_are_judged_apart(self, subject: Circuit) -> None:
        """One provider's outage says nothing about another."""
        _fail(subject, 0, 1, 2)
        subject.failed("email/two", at(2))
        assert subject.state("email/two", at(2)) is CircuitState.CLOSED

    def test_it_stays_open_until_its_time_and_then_asks_for_a_probe(self, subject: Circuit) -> None:
        """To the millisecond, by the clock that is handed in."""
        _fail(subject, 0, 1, 2)
        assert _state(subject, 301.999) is CircuitState.OPEN
        assert _state(subject, 302) is CircuitState.HALF_OPEN

    def test_asking_changes_nothing(self, subject: Circuit) -> None:
        """A state is read by many that then send nothing."""
        _fail(subject, 0, 1, 2)
        assert [_state(subject, 400) for _ in range(3)] == [CircuitState.HALF_OPEN] * 3
        assert _state(subject, 3) is CircuitState.OPEN

    def test_late_answers_leave_an_open_circuit_as_it_is(self, subject: Circuit) -> None:
        """Calls that were on the wire when it opened neither close it nor prolong it."""
        _fail(subject, 0, 1, 2)
        subject.succeeded(_ROUTE, at(10))
        assert _state(subject, 10) is CircuitState.OPEN
        _fail(subject, 200)
        assert _state(subject, 302) is CircuitState.HALF_OPEN

    def test_one_probe_goes_at_a_time(self, subject: Circuit) -> None:
        """Everybody else finds the route open."""
        _fail(subject, 0, 1, 2)
        subject.probing(_ROUTE, at(302))
        assert _state(subject, 302) is CircuitState.OPEN
        assert _state(subject, 331) is CircuitState.OPEN

    def test_a_good_probe_closes_it_with_a_clean_slate(self, subject: Circuit) -> None:
        """The failures from before are not counted again."""
        _fail(subject, 0, 1, 2)
        subject.probing(_ROUTE, at(302))
        subject.succeeded(_ROUTE, at(303))
        assert _state(subject, 303) is CircuitState.CLOSED
        _fail(subject, 304, 305)
        assert _state(subject, 305) is CircuitState.CLOSED

    def test_a_failed_probe_opens_it_again_for_as_long(self, subject: Circuit) -> None:
        """A single failure is enough then."""
        _fail(subject, 0, 1, 2)
        subject.probing(_ROUTE, at(302))
        _fail(subject, 310)
        assert _state(subject, 609.999) is CircuitState.OPEN
        assert _state(subject, 610) is CircuitState.HALF_OPEN

    def test_a_probe_without_a_result_is_given_up(self, subject: Circuit) -> None:
        """A cancelled call reports nothing: the route must not stay shut for it."""
        _fail(subject, 0, 1, 2)
        subject.probing(_ROUTE, at(302))
        assert _state(subject, 601) is CircuitState.OPEN
        assert _state(subject, 602) is CircuitState.HALF_OPEN

    def test_only_a_half_open_circuit_takes_a_probe(self, subject: Circuit) -> None:
        """In any other state the word means nothing."""
        subject.probing(_ROUTE, at(0))
        assert _state(subject, 0) is CircuitState.CLOSED
        _fail(subject, 0, 1, 2)
        subject.probing(_ROUTE, at(100))
        assert _state(subject, 302) is CircuitState.HALF_OPEN

    def test_a_pause_holds_whatever_is_reported(self, subject: Circuit) -> None:
        """Calls that succeed meanwhile do not end it; after it, the route is as it was."""
        subject.pause(_ROUTE, at(0), timedelta(seconds=90))
        subject.succeeded(_ROUTE, at(1))
        assert _state(subject, 89) is CircuitState.OPEN
        assert _state(subject, 90) is CircuitState.CLOSED

    def test_the_longer_pause_wins_in_either_order(self, subject: Circuit) -> None:
        """Whichever was asked for first."""
        subject.pause(_ROUTE, at(0), timedelta(seconds=90))
        subject.pause(_ROUTE, at(10), timedelta(seconds=5))
        assert _state(subject, 89) is CircuitState.OPEN
        subject.pause(_ROUTE, at(80), timedelta(seconds=60))
        assert _state(subject, 139) is CircuitState.OPEN
        assert _state(subject, 140) is CircuitState.CLOSED

    def test_a_pause_is_neither_a_failure_nor_a_success(self, subject: Circuit) -> None:
        """Failures before and after it are counted together."""
        _fail(subject, 0, 1)
        subject.pause(_ROUTE, at(2), timedelta(seconds=10))
        assert _state(subject, 12) is CircuitState.CLOSED
        _fail(subject, 13)
        assert _state(subject, 13) is CircuitState.OPEN

    def test_failures_during_a_pause_outlast_it(self, subject: Circuit) -> None:
        """They open the circuit underneath."""
        subject.pause(_ROUTE, at(0), timedelta(seconds=10))
        _fail(subject, 1, 2, 3)
        assert _state(subject, 11) is CircuitState.OPEN
        assert _state(subject, 303) is CircuitState.HALF_OPEN

    def test_a_pause_asked_for_by_the_probe_ends_with_another_probe(self, subject: Circuit) -> None:
        """The provider answered, so the probe is over."""
        _fail(subject, 0, 1, 2)
        subject.probing(_ROUTE, at(302))
        subject.pause(_ROUTE, at(303), timedelta(seconds=20))
        assert _state(subject, 322) is CircuitState.OPEN
        assert _state(subject, 323) is CircuitState.HALF_OPEN

    def test_a_clock_set_back_shuts_no_route(self, subject: Circuit) -> None:
        """The wait is over then; a probe finds out."""
        _fail(subject, 0, 1, 2)
        assert _state(subject, -3600) is CircuitState.HALF_OPEN
        subject.probing(_ROUTE, at(-3600))
        subject.succeeded(_ROUTE, at(-3599))
        assert _state(subject, -3599) is CircuitState.CLOSED
