"""Every circuit against the one contract, the two against each other, and the contract against broken ones."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from purgatory.domain.model import OpenedState

from fn_notifications.adapters.memory.circuit import MemoryCircuit
from fn_notifications.adapters.resilience.circuit import PurgatoryCircuit
from fn_notifications.application.ports.circuit import Circuit, CircuitRules, CircuitState
from fn_notifications.testing.contracts.circuit import RULES, CircuitContract, at


class TestMemoryCircuit(CircuitContract):
    @pytest.fixture
    def subject(self):
        return MemoryCircuit(RULES)


class TestPurgatoryCircuit(CircuitContract):
    @pytest.fixture
    def subject(self):
        return PurgatoryCircuit(RULES)


class AdmitsTwoProbes(MemoryCircuit):
    def probing(self, route, now):
        pass


class CountsAcrossASuccess(MemoryCircuit):
    def succeeded(self, route, now):
        if self._held(route).opened:
            super().succeeded(route, now)


class ForgetsAPause(MemoryCircuit):
    def pause(self, route, now, span):
        pass


class ForgetsTheWindow(MemoryCircuit):
    def failed(self, route, now):
        super().failed(route, at(0) if self._held(route).opened is None else now)


class CountsInBlocks(MemoryCircuit):
    """Starts a new count whenever the window since its first failure is over."""

    def failed(self, route, now):
        failures = self._held(route).failures
        if failures and now - failures[0] > RULES.window:
            super().succeeded(route, now)
        super().failed(route, now)


class NeverGivesAProbeUp(MemoryCircuit):
    def probing(self, route, now):
        if self.state(route, now) is CircuitState.HALF_OPEN:
            super().pause(route, now, timedelta(days=1))


class IsClosedByAnything(MemoryCircuit):
    def succeeded(self, route, now):
        self._routes.pop(route, None)


def refused(make: Callable[[], Circuit]) -> set[str]:
    """Which checks of the contract a circuit does not pass."""
    failed = set()
    for name in dir(CircuitContract):
        if name.startswith("test_"):
            try:
                getattr(CircuitContract(), name)(make())
            except AssertionError:
                failed.add(name.removeprefix("test_"))
    return failed


@pytest.mark.parametrize(
    ("broken", "by"),
    [
        (AdmitsTwoProbes, "one_probe_goes_at_a_time"),
        (CountsAcrossASuccess, "a_success_between_wipes_the_failures_out"),
        (ForgetsAPause, "a_pause_holds_whatever_is_reported"),
        (ForgetsTheWindow, "failures_the_window_has_left_behind_do_not_count"),
        (CountsInBlocks, "the_window_slides"),
        (NeverGivesAProbeUp, "a_probe_without_a_result_is_given_up"),
        (IsClosedByAnything, "late_answers_leave_an_open_circuit_as_it_is"),
    ],
)
def test_the_contract_refuses_what_is_broken(broken, by):
    assert by in refused(lambda: broken(RULES))


def test_the_contract_refuses_nothing_that_keeps_it():
    assert refused(lambda: MemoryCircuit(RULES)) == set()


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["probing", "succeeded", "failed", "failed", "failed", "pause"]),
        st.integers(-20, 350),
        st.integers(0, 400),
    ),
    max_size=40,
)


@given(steps=STEPS)
def test_both_judge_every_history_alike(steps):
    one, other, second = MemoryCircuit(RULES), PurgatoryCircuit(RULES), 0
    for what, gap, span in steps:
        second += gap
        extra = (timedelta(seconds=span),) if what == "pause" else ()
        for circuit in (one, other):
            getattr(circuit, what)("r", at(second), *extra)
        for later in (0, 1, 59, 60, 61, 299, 300, 301):
            assert one.state("r", at(second + later)) is other.state("r", at(second + later))


@pytest.mark.parametrize("kind", [MemoryCircuit, PurgatoryCircuit])
def test_a_route_may_have_rules_of_its_own(kind):
    circuit = kind(RULES, {"sms/one": CircuitRules(threshold=1, reset_after=timedelta(seconds=600))})

    for route in ("sms/one", "email/one"):
        circuit.failed(route, at(0))

    assert circuit.state("email/one", at(0)) is CircuitState.CLOSED
    assert circuit.state("sms/one", at(599)) is CircuitState.OPEN
    assert circuit.state("sms/one", at(600)) is CircuitState.HALF_OPEN


@pytest.mark.parametrize("wrong", [{"threshold": 0}, {"window": timedelta()}, {"reset_after": timedelta(seconds=-1)}])
def test_rules_that_would_never_or_always_open_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        CircuitRules(**wrong)


def test_turning_many_away_keeps_nothing_of_them(monkeypatch):
    """While open, purgatory raises one exception object: its traceback would grow with everybody turned away."""
    raised = []
    plain = OpenedState.handle_new_request

    def watched(state, context):
        raised.append(state)
        plain(state, context)

    monkeypatch.setattr(OpenedState, "handle_new_request", watched)
    circuit = PurgatoryCircuit(RULES)
    for second in range(3):
        circuit.failed("r", at(second))

    assert {circuit.state("r", at(3)) for _ in range(100)} == {CircuitState.OPEN}
    assert len({id(one) for one in raised}) == len(raised) == 100
