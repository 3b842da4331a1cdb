"""When not to disturb: a daily window in somebody's own time zone, right across every change of clocks."""

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache

from attrs import frozen

_DAY = timedelta(days=1)


@frozen(kw_only=True)
class QuietHours:
    """[start, end) by the wall clock; may span midnight; start = end means none. `zone` is an IANA name, if set."""

    start: time
    end: time
    zone: str | None = None


def quiet_until(hours: QuietHours, zone: tzinfo, now: datetime) -> datetime | None:
    """When the quiet that holds at `now` ends (UTC), or None when it is not quiet.

    A wall-clock time that a spring gap swallows stands for the first instant after the gap; one that autumn repeats
    begins with its first and ends with its last occurrence.
    """
    if hours.start == hours.end:
        return None
    today = now.astimezone(zone).date()
    end: datetime | None = None
    # Two days back and one ahead cover every window that can hold `now`, in every zone and on every change.
    for day in (today - 2 * _DAY, today - _DAY, today, today + _DAY):
        starts, ends = _window(hours, zone, day)
        if starts <= (end or now) < ends:
            end = ends
    return end


def quiet_everywhere_until(hours: QuietHours, zones: Sequence[tzinfo], now: datetime) -> datetime | None:
    """When it is quiet in none of these zones any more (UTC), or None when it is quiet in none at `now`.

    Where a country is so wide that it is always quiet somewhere in it, the first zone's word counts.
    """
    end, bound = now, now + _DAY
    while until := max((at for zone in zones if (at := quiet_until(hours, zone, end))), default=None):
        if until > bound:
            return quiet_until(hours, zones[0], now)
        end = until
    return None if end == now else end


@lru_cache(maxsize=4096)
def _window(hours: QuietHours, zone: tzinfo, day: date) -> tuple[datetime, datetime]:
    """The one that begins on a day. Many people's is the same."""
    last_day = day if hours.start < hours.end else day + _DAY
    return _instant(day, hours.start, zone, fold=0), _instant(last_day, hours.end, zone, fold=1)


def _instant(day: date, wall: time, zone: tzinfo, *, fold: int) -> datetime:
    local = datetime.combine(day, wall.replace(tzinfo=None))
    instant = local.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == local:
        return instant
    return _end_of_gap(local, zone)


def _end_of_gap(local: datetime, zone: tzinfo) -> datetime:
    """The first instant after the gap that holds `local`: offsets before and after enclose it (PEP 495)."""
    one, other = (local.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    low, high = min(one, other), max(one, other)
    after = high.astimezone(zone).utcoffset()
    while high - low > timedelta(seconds=1):
        middle = low + timedelta(seconds=(high - low) // timedelta(seconds=2))
        if middle.astimezone(zone).utcoffset() == after:
            high = middle
        else:
            low = middle
    return high
