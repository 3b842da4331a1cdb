"""Quiet hours against a slow oracle that walks from minute to minute and looks at the wall clock."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from itertools import pairwise
from zoneinfo import ZoneInfo

from attrs import evolve
from hypothesis import assume, given
from hypothesis import strategies as st

from fn_notifications.domain.quiet_hours import QuietHours, quiet_until
from fn_notifications.testing.strategies import ZONES, quiet_hours, wall_times

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
zone_names = st.sampled_from(ZONES)


@cache
def changes(name: str) -> Sequence[datetime]:
    """Days in whose course the clocks of a zone change, 2011 to 2027; some day for one where they never do."""
    zone, first = ZoneInfo(name), datetime(2011, 1, 1, tzinfo=UTC)
    days = [first + DAY * no for no in range(17 * 365)]
    offsets = [day.astimezone(zone).utcoffset() for day in days]
    found = [day for day, (before, after) in zip(days, pairwise(offsets), strict=False) if before != after]
    return found or [first]


@st.composite
def around_a_change(draw: st.DrawFn) -> tuple[ZoneInfo, datetime]:
    """A zone and an instant, to the second, not far from a change of its clocks."""
    name = draw(zone_names)
    day = draw(st.sampled_from(changes(name)))
    return ZoneInfo(name), day + timedelta(seconds=draw(st.integers(-2 * 86400, 3 * 86400)))


@st.composite
def windows(draw: st.DrawFn) -> QuietHours:
    """Any window, and often one that starts or ends in the hours in which clocks change."""
    small = st.builds(time, st.sampled_from((23, 0, 1, 2, 3)), st.sampled_from((0, 15, 29, 30, 45)))
    return QuietHours(start=draw(small | wall_times()), end=draw(small | wall_times()))


class Walk:
    """What the wall clock shows at each minute around an instant, and the quiet minutes that follow from it."""

    def __init__(self, zone: ZoneInfo, around: datetime) -> None:
        first = around.replace(second=0, microsecond=0) - 3 * DAY
        self.minutes = [first + MINUTE * no for no in range(7 * 24 * 60)]
        self.walls = [minute.astimezone(zone).replace(tzinfo=None, fold=0) for minute in self.minutes]

    def quiet_until(self, hours: QuietHours, now: datetime) -> datetime | None:
        """The first minute after `now` that is not quiet, or None when `now` is not."""
        quiet = self._quiet(hours)
        at = (now - self.minutes[0]) // MINUTE
        if at not in quiet:
            return None
        return self.minutes[next(no for no in range(at, len(self.minutes)) if no not in quiet)]

    def _quiet(self, hours: QuietHours) -> set[int]:
        if hours.start == hours.end:
            return set()
        quiet: set[int] = set()
        for day in sorted({wall.date() for wall in self.walls} | self._swallowed_days()):
            last = day if hours.start < hours.end else day + DAY
            starts = self._when(datetime.combine(day, hours.start))
            ends = self._when(datetime.combine(last, hours.end))
            if starts and ends:
                quiet |= set(range(starts[0], ends[-1]))
        return quiet

    def _when(self, wall: datetime) -> list[int]:
        """The minutes at which the clock shows this time; one it jumps over is where it lands."""
        shown = [no for no, one in enumerate(self.walls) if one == wall]
        return shown or [
            no for no, (before, after) in enumerate(pairwise(self.walls), start=1) if before < wall < after
        ]

    def _swallowed_days(self) -> set[date]:
        return {before.date() + DAY for before, after in pairwise(self.walls) if after - before > DAY}


@given(around_a_change(), windows())
def test_the_rule_and_the_walk_agree(place: tuple[ZoneInfo, datetime], hours: QuietHours) -> None:
    zone, now = place
    assert quiet_until(hours, zone, now) == Walk(zone, now).quiet_until(hours, now)


@given(around_a_change(), windows())
def test_quiet_ends_later_and_at_an_instant_that_is_not_quiet(
    place: tuple[ZoneInfo, datetime], hours: QuietHours
) -> None:
    zone, now = place
    end = quiet_until(hours, zone, now)
    assume(end is not None)
    assert end is not None
    assert end > now
    assert quiet_until(hours, zone, end) is None


@given(around_a_change(), windows(), st.integers(0, 999))
def test_every_instant_before_the_end_is_quiet_until_that_same_end(
    place: tuple[ZoneInfo, datetime], hours: QuietHours, per_mille: int
) -> None:
    zone, now = place
    end = quiet_until(hours, zone, now)
    assume(end is not None)
    assert end is not None
    assert quiet_until(hours, zone, now + (end - now) * per_mille // 1000) == end
    assert quiet_until(hours, zone, end - timedelta(microseconds=1)) == end


@given(around_a_change(), quiet_hours())
def test_a_window_that_ends_where_it_starts_is_never_quiet(place: tuple[ZoneInfo, datetime], hours: QuietHours) -> None:
    zone, now = place
    assert quiet_until(evolve(hours, end=hours.start), zone, now) is None
