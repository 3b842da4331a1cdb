"""The ways out as every process sees them: which are shut, held, pinned or slow, and why something waits."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import evolve, field, frozen

from fn_notifications.domain.slowness import Demotion
from fn_notifications.domain.stops import Passage, Stop, names

_SHORTEST_HOLD: Final = timedelta(minutes=5)
_LONGEST_HOLD: Final = timedelta(hours=1)


class HoldKind(StrEnum):
    """What an operator may hold back."""

    TYPE = "type"
    CHANNEL = "channel"
    ROUTE = "route"
    ALL = "all"


@frozen(kw_only=True)
class Hold:
    """The stop button. What is held is not sent and not lost: it waits, spends nothing, and may expire."""

    kind: HoldKind
    name: str = ""
    """Of the type, channel or route."""
    since: datetime
    reason: str = ""
    by: str = ""

    def covers(self, *, type_: str | None = None, channel: str | None = None, route: str | None = None) -> bool:
        """Whether it holds back any of these."""
        match self.kind:
            case HoldKind.ALL:
                return True
            case HoldKind.TYPE:
                return self.name == type_
            case HoldKind.CHANNEL:
                return self.name == channel
            case HoldKind.ROUTE:
                return self.name == route

    def look_again(self, now: datetime) -> datetime:
        """When what it holds back looks again by itself: a release wakes it, this is for a release that died half-way.

        The older the hold, the more seldom.
        """
        return now + min(max(now - self.since, _SHORTEST_HOLD), _LONGEST_HOLD)


@frozen(kw_only=True)
class Pin:
    """An operator wants this route to be tried first."""

    until: datetime
    reason: str = ""
    by: str = ""


@frozen(kw_only=True)
class Standing:
    """What is known of a route but for what is shut."""

    pin: Pin | None = None
    demotion: Demotion | None = None
    """It was slow."""
    rate: float | None = None
    """Calls a second, in all processes together; as it was last asked for."""

    def place(self, now: datetime) -> int:
        """Among the routes of a channel: the pinned first, the slow last."""
        if self.pin and now < self.pin.until:
            return 0
        return 2 if self.demotion and self.demotion.lasts(now) else 1


@frozen(kw_only=True)
class Board:
    """Everything that decides which way a call may go, at one moment."""

    stops: Mapping[str, Stop] = field(factory=dict)
    """By what is shut (see `stops.names`)."""
    standings: Mapping[str, Standing] = field(factory=dict)
    """By route."""
    holds: tuple[Hold, ...] = ()

    def passage(self, route: str, country: str | None, now: datetime) -> Passage:
        """How the way to a country by a route stands. Without a country: the way to most of them."""
        if self.held_by(route=route):
            return Passage.SHUT
        stops = self._on(route, country)
        return max(stop.passage(now) for stop in stops) if stops else Passage.OPEN

    def blocking(self, route: str, country: str | None, now: datetime) -> Stop | None:
        """What shuts this way for longest."""
        shut = [stop for stop in self._on(route, country) if stop.passage(now) is Passage.SHUT]
        return max(shut, key=lambda stop: stop.free_at(now), default=None)

    def probed(self, route: str, country: str | None, now: datetime) -> "Board":
        """With a call by this route begun: where a probe was wanted, it is on its way."""
        waiting = [stop for stop in self._on(route, country) if stop.passage(now) is Passage.PROBE]
        if not waiting:
            return self
        return evolve(self, stops={**self.stops, **{stop.what: stop.taken(now) for stop in waiting}})

    def probing(self, route: str, country: str | None) -> Sequence[str]:
        """What is shut on this way until a probe opens it."""
        return [stop.what for stop in self._on(route, country) if stop.probes]

    def mended(self, route: str, now: datetime) -> "Board":
        """With a probe wanted at once wherever something is shut on the way by a route."""
        wide = names(route, None)
        mine = [stop for stop in self.stops.values() if stop.what in wide or stop.what.startswith(f"{route}+")]
        return evolve(self, stops={**self.stops, **{stop.what: stop.mended(now) for stop in mine}})

    def ordered(self, routes: Iterable[str], now: datetime) -> Sequence[str]:
        """Routes as they are to be tried: the pinned, then as configured, the slow last."""
        if not self.standings:
            return tuple(routes)
        return sorted(routes, key=lambda route: self.standings.get(route, _UNTOUCHED).place(now))

    def held_by(self, *, type_: str | None = None, channel: str | None = None, route: str | None = None) -> Hold | None:
        """The oldest hold on any of these."""
        if not self.holds:
            return None
        found = [hold for hold in self.holds if hold.covers(type_=type_, channel=channel, route=route)]
        return min(found, key=lambda hold: hold.since, default=None)

    def shut_beyond(self, channel: str, routes: Collection[str], now: datetime, horizon: datetime) -> bool:
        """Whether nothing of this channel can go before the horizon, as far as is known."""
        return bool(self.held_by(channel=channel)) or all(
            self.held_by(route=route)
            or ((stop := self.blocking(route, None, now)) is not None and stop.free_at(now) > horizon)
            for route in routes
        )

    def _on(self, route: str, country: str | None) -> Sequence[Stop]:
        if not self.stops:
            return ()
        return [stop for name in names(route, country) if (stop := self.stops.get(name))]


_UNTOUCHED: Final = Standing()
