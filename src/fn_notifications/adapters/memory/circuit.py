"""A circuit breaker that is a table and a clock that is handed in."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve, field, frozen

from fn_notifications.application.ports.circuit import CircuitRules, CircuitState


@frozen
class _Wait:
    since: datetime
    until: datetime


@frozen(kw_only=True)
class _Route:
    failures: tuple[datetime, ...] = ()
    """Since the last success, while closed."""
    opened: _Wait | None = None
    """None: closed. Over: half-open."""
    probe: _Wait | None = None
    pause: _Wait | None = None


_UNTOUCHED: Final = _Route()


@frozen
class MemoryCircuit:
    """See `Circuit`. A clock that is set back ends every wait: that costs a probe, and no route stays shut for it."""

    rules: CircuitRules = field(factory=CircuitRules)
    own_rules: Mapping[str, CircuitRules] = field(factory=dict)
    """Of routes that differ."""
    _routes: dict[str, _Route] = field(factory=dict, init=False, repr=False)

    def state(self, route: str, now: datetime) -> CircuitState:
        """See `Circuit`."""
        held = self._held(route)
        if _lasts(held.pause, now) or _lasts(held.opened, now) or _lasts(held.probe, now):
            return CircuitState.OPEN
        return CircuitState.CLOSED if held.opened is None else CircuitState.HALF_OPEN

    def probing(self, route: str, now: datetime) -> None:
        """See `Circuit`."""
        if self.state(route, now) is CircuitState.HALF_OPEN:
            probe = _Wait(now, now + self._rules(route).reset_after)
            self._routes[route] = evolve(self._held(route), probe=probe)

    def succeeded(self, route: str, now: datetime) -> None:
        """See `Circuit`."""
        held = self._held(route)
        if not _lasts(held.opened, now):
            self._routes[route] = _Route(pause=held.pause)

    def failed(self, route: str, now: datetime) -> None:
        """See `Circuit`."""
        held, rules = self._held(route), self._rules(route)
        if _lasts(held.opened, now):
            return
        failures = (*(at for at in held.failures if now - at <= rules.window), now)
        if held.opened is not None or len(failures) >= rules.threshold:
            self._routes[route] = _Route(opened=_Wait(now, now + rules.reset_after), pause=held.pause)
        else:
            self._routes[route] = evolve(held, failures=failures)

    def pause(self, route: str, now: datetime, span: timedelta) -> None:
        """See `Circuit`."""
        held = self._held(route)
        asked = _Wait(now, now + span)
        longer = held.pause if held.pause and _lasts(held.pause, now) and held.pause.until > asked.until else asked
        self._routes[route] = evolve(held, pause=longer, probe=None)

    def _held(self, route: str) -> _Route:
        return self._routes.get(route, _UNTOUCHED)

    def _rules(self, route: str) -> CircuitRules:
        return self.own_rules.get(route, self.rules)


def _lasts(wait: _Wait | None, now: datetime) -> bool:
    return wait is not None and wait.since <= now < wait.until
