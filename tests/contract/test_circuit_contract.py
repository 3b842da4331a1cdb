"""Every circuit against the one contract, the two against each other, and the contract against broken ones."""

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.adapters.memory.circuit import MemoryCircuit
from fn_notifications.adapters.resilience.circuit import PurgatoryCircuit
from fn_notifications.application.ports.circuit import CircuitRules
from fn_notifications.testing.contracts.circuit import RULES, CircuitContract, at


class TestMemoryCircuit(CircuitContract):
    @pytest.fixture
    def subject(self):
        return MemoryCircuit(RULES)


class TestPurgatoryCircuit(CircuitContract):
    @pytest.fixture
    def subject(self):
        return PurgatoryCircuit(RULES)


class CountsAcrossASuccess(MemoryCircuit):
    def succeeded(self, route, now):
        pass


class ForgetsTheWindow(MemoryCircuit):
    def failed(self, route, now):
        return super().failed(route, at(0))


class CountsInBlocks(MemoryCircuit):
    """Starts a new count whenever the window since its first failure is over."""

    def failed(self, route, now):
        failures = self._failures.get(route, ())
        if failures and now - failures[0] > RULES.window:
            super().succeeded(route, now)
        return super().failed(route, now)


class KeepsCounting(MemoryCircuit):
    def failed(self, route, now):
        before = self._failures.get(route, ())
        too_many = super().failed(route, now)
        self._failures[route] = (*before, now)
        return too_many


class TakesAllForOne(MemoryCircuit):
    def failed(self, route, now):
        return super().failed("any", now)

    def succeeded(self, route, now):
        super().succeeded("any", now)


class NeverRests(MemoryCircuit):
    def rest(self, route):
        return timedelta()


def refused(make) -> set[str]:
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
        (CountsAcrossASuccess, "a_success_between_wipes_the_failures_out"),
        (ForgetsTheWindow, "failures_the_window_has_left_behind_do_not_count"),
        (CountsInBlocks, "the_window_slides"),
        (KeepsCounting, "after_too_many_the_count_starts_anew"),
        (TakesAllForOne, "routes_are_judged_apart"),
        (NeverRests, "a_route_rests_as_its_rules_say"),
    ],
)
def test_the_contract_refuses_what_is_broken(broken, by):
    assert by in refused(lambda: broken(RULES))


def test_the_contract_refuses_nothing_that_keeps_it():
    assert refused(lambda: MemoryCircuit(RULES)) == set()


STEPS = st.lists(st.tuples(st.sampled_from(["succeeded", "failed", "failed", "failed"]), st.integers(-20, 90)))


@given(steps=STEPS)
def test_both_judge_every_history_alike(steps):
    one, other, second = MemoryCircuit(RULES), PurgatoryCircuit(RULES), 0
    for what, gap in steps:
        second += gap
        said = [getattr(circuit, what)("r", at(second)) for circuit in (one, other)]
        assert said[0] == said[1]


@pytest.mark.parametrize("kind", [MemoryCircuit, PurgatoryCircuit])
def test_a_route_may_have_rules_of_its_own(kind):
    circuit = kind(RULES, {"sms/one": CircuitRules(threshold=1, reset_after=timedelta(seconds=600))})

    assert [circuit.failed(route, at(0)) for route in ("sms/one", "email/one")] == [True, False]
    assert circuit.rest("sms/one") == timedelta(seconds=600)


@pytest.mark.parametrize("wrong", [{"threshold": 0}, {"window": timedelta()}, {"reset_after": timedelta(seconds=-1)}])
def test_rules_that_would_never_or_always_open_are_refused(wrong):
    with pytest.raises(ValueError, match="must be"):
        CircuitRules(**wrong)
