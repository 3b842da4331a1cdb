"""A count of failures that is a table and a clock that is handed in."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from attrs import field, frozen

from fn_notifications.application.ports.circuit import CircuitRules


@frozen
class MemoryCircuit:
    """See `Circuit`."""

    rules: CircuitRules = field(factory=CircuitRules)
    own_rules: Mapping[str, CircuitRules] = field(factory=dict)
    """Of routes that differ."""
    _failures: dict[str, tuple[datetime, ...]] = field(factory=dict, init=False, repr=False)
    """Since the last success."""

    def failed(self, route: str, now: datetime) -> bool:
        """See `Circuit`. Failures that a clock set back puts in the future do not count."""
        rules = self._rules(route)
        failures = (*(at for at in self._failures.get(route, ()) if now - rules.window <= at <= now), now)
        too_many = len(failures) >= rules.threshold
        self._failures[route] = () if too_many else failures
        return too_many

    def succeeded(self, route: str, now: datetime) -> None:  # noqa: ARG002 - a table needs no time to be wiped
        """See `Circuit`."""
        self._failures.pop(route, None)

    def rest(self, route: str) -> timedelta:
        """See `Circuit`."""
        return self._rules(route).reset_after

    def _rules(self, route: str) -> CircuitRules:
        return self.own_rules.get(route, self.rules)
