"""purgatory as the judge of a route: it says when it has failed too often; here is what it does not know of.

Its context is made anew for every report, from what is remembered here: it has no window, and its own clock. What
follows from an open circuit, the probe included, all processes decide together (see `Routes`).
"""

from collections.abc import Mapping
from datetime import datetime, timedelta

from attrs import field, frozen
from purgatory.domain.model import CLOSED, OPENED, Context

from fn_notifications.application.ports.circuit import CircuitRules


class _CallFailed(Exception):
    """What purgatory is shown of a failed call."""


@frozen
class PurgatoryCircuit:
    """See `Circuit`."""

    rules: CircuitRules = field(factory=CircuitRules)
    own_rules: Mapping[str, CircuitRules] = field(factory=dict)
    """Of routes that differ."""
    _failures: dict[str, tuple[datetime, ...]] = field(factory=dict, init=False, repr=False)

    def failed(self, route: str, now: datetime) -> bool:
        """See `Circuit`."""
        context = self._context(route, now)
        context.handle_exception(_CallFailed())
        opened: bool = context.state == OPENED
        self._failures[route] = () if opened else (*self._recent(route, now), now)
        return opened

    def succeeded(self, route: str, now: datetime) -> None:
        """See `Circuit`."""
        if route not in self._failures:
            return
        context = self._context(route, now)
        context.handle_end_request()
        if not context.failure_count:
            self._failures.pop(route, None)

    def rest(self, route: str) -> timedelta:
        """See `Circuit`."""
        return self._rules(route).reset_after

    def _context(self, route: str, now: datetime) -> Context:
        rules = self._rules(route)
        return Context(
            name=route,
            threshold=rules.threshold,
            ttl=rules.reset_after.total_seconds(),
            state=CLOSED,
            failure_count=len(self._recent(route, now)),
        )

    def _recent(self, route: str, now: datetime) -> tuple[datetime, ...]:
        """Failures the window still holds; a clock set back holds none of its future."""
        oldest = now - self._rules(route).window
        return tuple(at for at in self._failures.get(route, ()) if oldest <= at <= now)

    def _rules(self, route: str) -> CircuitRules:
        return self.own_rules.get(route, self.rules)
