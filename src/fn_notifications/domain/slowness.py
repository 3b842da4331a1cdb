"""When a route is slow, and when it is one no longer.

A route whose messages arrive late goes behind the others of its channel. Not for a moment's delay, not back and forth,
and not when all are slow: then nobody else would be faster.
"""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

LATE: Final = timedelta(minutes=5)
"""A message that took longer than this to arrive was slow."""
WINDOW: Final = timedelta(minutes=15)
"""What counts are attempts that began in this time."""

_SLOW: Final = 0.15
_FAST: Final = 0.05
"""Clearly better than slow."""
_ENOUGH: Final = 20
"""Attempts without which nothing is said about a route."""
_CALM: Final = timedelta(minutes=5)
"""Between two changes of one channel."""
_LONGEST: Final = timedelta(hours=4)


@frozen(kw_only=True)
class Speed:
    """How a route did: attempts of which it is known whether they were late, and how many were."""

    known: int
    late: int

    @property
    def slow(self) -> bool:
        """15 % late."""
        return self.known >= _ENOUGH and self.late >= _SLOW * self.known

    @property
    def fast(self) -> bool:
        """Hardly any late."""
        return self.known >= _ENOUGH and self.late <= _FAST * self.known


@frozen(kw_only=True)
class Demotion:
    """Sent to the back for being slow. Nobody there is measured any more, so after `until` it is tried again; slow
    still, it stays away twice as long.
    """

    since: datetime
    until: datetime
    times: int = 1
    """How often in a row; 0 once it was shown to be fast again."""

    def lasts(self, now: datetime) -> bool:
        """Whether it is at the back."""
        return self.since <= now < self.until

    def changed_at(self, now: datetime) -> datetime:
        """When it last moved."""
        return self.until if self.until <= now else self.since


def judged(
    standing: Mapping[str, Demotion | None], speeds: Mapping[str, Speed], now: datetime
) -> tuple[str, Demotion] | None:
    """What changes among the routes of one channel: one of them, and what holds for it from now on; None: nothing does.

    `standing` has every route of the channel.
    """
    down = {route: one for route, one in standing.items() if one and one.lasts(now)}
    moved = max((one.changed_at(now) for one in standing.values() if one), default=None)
    if moved is not None and moved <= now < moved + _CALM:
        return None
    slow = {route for route in standing if route in down or _of(speeds, route).slow}
    if not slow >= set(standing):
        for route in sorted(slow - set(down), key=lambda route: -_of(speeds, route).late):
            times = one.times + 1 if (one := standing[route]) else 1
            span = min(WINDOW * 2.0 ** min(times - 1, 8), _LONGEST)
            return route, Demotion(since=now, until=now + span, times=times)
    for route, one in standing.items():
        if one and one.times and _of(speeds, route).fast:
            return route, Demotion(since=one.since, until=min(one.until, now), times=0)
    return None


def _of(speeds: Mapping[str, Speed], route: str) -> Speed:
    return speeds.get(route, Speed(known=0, late=0))
