"""purgatory as the judge of a route: it decides when to open, probe and close; here is what it does not know of.

Its context is made anew for every report and every question, from what is remembered here. So the exception of an open
circuit is never raised twice (it would keep the frames, and what they hold, of everybody turned away), and failures
older than the window, a probe under way and a pause asked for can be told apart, none of which purgatory has. A
cancelled call, which purgatory would take for a failure or, excluded, for a success, is not reported at all.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from math import inf
from typing import Final

from attrs import evolve, field, frozen
from purgatory.domain.model import CLOSED, HALF_OPENED, OPENED, Context, OpenedState

from fn_notifications.application.ports.circuit import CircuitRules, CircuitState

_STATES: Final = {CLOSED: CircuitState.CLOSED, HALF_OPENED: CircuitState.HALF_OPEN, OPENED: CircuitState.OPEN}


class _CallFailed(Exception):
    """What purgatory is shown of a failed call."""


@frozen
class _Wait:
    since: datetime
    until: datetime


@frozen(kw_only=True)
class _Route:
    failures: tuple[datetime, ...] = ()
    opened: _Wait | None = None
    probe: _Wait | None = None
    pause: _Wait | None = None


_UNTOUCHED: Final = _Route()


@frozen
class PurgatoryCircuit:
    """See `Circuit`."""

    rules: CircuitRules = field(factory=CircuitRules)
    own_rules: Mapping[str, CircuitRules] = field(factory=dict)
    """Of routes that differ."""
    _routes: dict[str, _Route] = field(factory=dict, init=False, repr=False)

    def state(self, route: str, now: datetime) -> CircuitState:
        """See `Circuit`."""
        held = self._held(route)
        if _lasts(held.pause, now) or _lasts(held.probe, now):
            return CircuitState.OPEN
        context = self._context(route, now)
        try:
            context.handle_new_request()
        except OpenedState:
            return CircuitState.OPEN
        return _STATES[context.state]

    def probing(self, route: str, now: datetime) -> None:
        """See `Circuit`."""
        if self.state(route, now) is CircuitState.HALF_OPEN:
            probe = _Wait(now, now + self._rules(route).reset_after)
            self._routes[route] = evolve(self._held(route), probe=probe)

    def succeeded(self, route: str, now: datetime) -> None:
        """See `Circuit`."""
        self._report(route, now, failed=False)

    def failed(self, route: str, now: datetime) -> None:
        """See `Circuit`."""
        self._report(route, now, failed=True)

    def pause(self, route: str, now: datetime, span: timedelta) -> None:
        """See `Circuit`."""
        held = self._held(route)
        asked = _Wait(now, now + span)
        longer = held.pause if held.pause and _lasts(held.pause, now) and held.pause.until > asked.until else asked
        self._routes[route] = evolve(held, pause=longer, probe=None)

    def _report(self, route: str, now: datetime, *, failed: bool) -> None:
        context = self._context(route, now)
        try:
            context.handle_new_request()
        except OpenedState:
            return
        if failed:
            context.handle_exception(_CallFailed())
        else:
            context.handle_end_request()
        held, rules = self._held(route), self._rules(route)
        if context.state == OPENED:
            after = _Route(opened=_Wait(now, now + rules.reset_after), pause=held.pause)
        elif failed:
            after = evolve(held, failures=(*self._recent(route, now), now))
        else:
            after = _Route(pause=held.pause)
        self._routes[route] = after

    def _context(self, route: str, now: datetime) -> Context:
        """The state machine of purgatory as it stands for a route.

        It compares `opened_at` with the process's clock; one that is for ever ahead of it, or behind it, makes the
        caller's clock decide.
        """
        held, rules = self._held(route), self._rules(route)
        return Context(
            name=route,
            threshold=rules.threshold,
            ttl=rules.reset_after.total_seconds(),
            state=CLOSED if held.opened is None else OPENED,
            failure_count=len(self._recent(route, now)),
            opened_at=inf if _lasts(held.opened, now) else -inf,
        )

    def _recent(self, route: str, now: datetime) -> tuple[datetime, ...]:
        return tuple(at for at in self._held(route).failures if now - at <= self._rules(route).window)

    def _held(self, route: str) -> _Route:
        return self._routes.get(route, _UNTOUCHED)

    def _rules(self, route: str) -> CircuitRules:
        return self.own_rules.get(route, self.rules)


def _lasts(wait: _Wait | None, now: datetime) -> bool:
    return wait is not None and wait.since <= now < wait.until
