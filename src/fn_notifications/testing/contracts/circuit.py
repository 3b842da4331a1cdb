"""What every `Circuit` keeps to. Subclass, provide the `subject` fixture, a new one under `RULES`."""

from datetime import UTC, datetime, timedelta
from typing import Final

from fn_notifications.application.ports.circuit import Circuit, CircuitRules

RULES: Final = CircuitRules(threshold=3, window=timedelta(seconds=60), reset_after=timedelta(seconds=300))

_START: Final = datetime(2026, 3, 1, tzinfo=UTC)
_ROUTE: Final = "email/one"


def at(seconds: float) -> datetime:
    """So long after the beginning of a check."""
    return _START + timedelta(seconds=seconds)


def _fail(circuit: Circuit, *seconds: float) -> list[bool]:
    return [circuit.failed(_ROUTE, at(second)) for second in seconds]


class CircuitContract:
    """Rules for counting failures."""

    def test_enough_failures_inside_the_window_are_too_many(self, subject: Circuit) -> None:
        """The last of them is, not the one before; the edge of the window is inside."""
        assert _fail(subject, 0, 30, 60) == [False, False, True]

    def test_failures_the_window_has_left_behind_do_not_count(self, subject: Circuit) -> None:
        """A failure now and then is no outage."""
        assert _fail(subject, 0, 30, 61) == [False, False, False]

    def test_the_window_slides(self, subject: Circuit) -> None:
        """It is any span of its length, not one that began with some failure."""
        assert _fail(subject, 0, 50, 61, 62) == [False, False, False, True]

    def test_a_success_between_wipes_the_failures_out(self, subject: Circuit) -> None:
        """What counts are failures without a success between."""
        _fail(subject, 0, 1)
        subject.succeeded(_ROUTE, at(2))
        assert _fail(subject, 3, 4, 5) == [False, False, True]

    def test_after_too_many_the_count_starts_anew(self, subject: Circuit) -> None:
        """Whatever comes of it, the same failures are not counted twice."""
        assert _fail(subject, 0, 1, 2, 3, 4, 5) == [False, False, True, False, False, True]

    def test_routes_are_judged_apart(self, subject: Circuit) -> None:
        """One provider's outage says nothing about another, nor does its success."""
        _fail(subject, 0, 1)
        assert not subject.failed("email/two", at(2))
        subject.succeeded("email/two", at(2))
        assert _fail(subject, 3) == [True]

    def test_a_clock_set_back_counts_nothing_of_its_future(self, subject: Circuit) -> None:
        """Failures of a time to come would count for ever."""
        _fail(subject, 3600, 3601)
        assert _fail(subject, 0, 1, 2) == [False, False, True]

    def test_a_route_rests_as_its_rules_say(self, subject: Circuit) -> None:
        """Whether or not it ever failed."""
        assert subject.rest(_ROUTE) == RULES.reset_after
