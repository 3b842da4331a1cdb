"""Rule 4: quiet hours by the wall clock. The expected instants were worked out by hand from each zone's rules."""

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest

from fn_notifications.domain.quiet_hours import QuietHours, quiet_until

SECOND = timedelta(seconds=1)


def hours(window: str) -> QuietHours:
    start, end = window.split("-")
    return QuietHours(start=time.fromisoformat(start), end=time.fromisoformat(end))


def utc(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def until(zone: str, window: str, now: str) -> datetime | None:
    return quiet_until(hours(window), ZoneInfo(zone), utc(now))


ORDINARY = {
    "within one day": ("America/Bogota", "13:00-15:00", "2026-05-04 18:30", "2026-05-04 20:00"),
    "before midnight": ("America/Bogota", "22:00-07:00", "2026-05-05 03:00", "2026-05-05 12:00"),
    "after midnight": ("America/Bogota", "22:00-07:00", "2026-05-05 06:00", "2026-05-05 12:00"),
    "an offset of quarters": ("Asia/Kathmandu", "22:00-06:00", "2026-01-01 18:00", "2026-01-02 00:15"),
    "east of the date line": ("Pacific/Apia", "22:00-06:00", "2026-06-01 10:00", "2026-06-01 17:00"),
}

SPRING = {
    # New York, 8 March 2026: 02:00 EST (07:00Z) becomes 03:00 EDT.
    "the night is an hour shorter": ("America/New_York", "22:00-07:00", "2026-03-08 05:00", "2026-03-08 11:00"),
    "the end is swallowed": ("America/New_York", "22:00-02:30", "2026-03-08 04:00", "2026-03-08 07:00"),
    "the start is swallowed": ("America/New_York", "02:30-06:00", "2026-03-08 07:00", "2026-03-08 10:00"),
    # Berlin, 29 March 2026: 02:00 CET (01:00Z) becomes 03:00 CEST.
    "Berlin": ("Europe/Berlin", "22:00-08:00", "2026-03-28 23:00", "2026-03-29 06:00"),
    "Berlin, end swallowed": ("Europe/Berlin", "22:00-02:15", "2026-03-29 00:30", "2026-03-29 01:00"),
    # Lord Howe, 4 October 2026: 02:00 +10:30 (15:30Z the day before) becomes 02:30 +11.
    "half an hour swallows the end": ("Australia/Lord_Howe", "22:00-02:15", "2026-10-03 15:00", "2026-10-03 15:30"),
    # Havana, 8 March 2026: 00:00 CST (05:00Z) becomes 01:00 CDT.
    "midnight is swallowed": ("America/Havana", "20:00-00:30", "2026-03-08 04:00", "2026-03-08 05:00"),
    "midnight was the start": ("America/Havana", "00:00-06:00", "2026-03-08 05:00", "2026-03-08 10:00"),
    # São Paulo, 4 November 2018: 00:00 -03 (03:00Z) becomes 01:00 -02.
    "São Paulo": ("America/Sao_Paulo", "22:00-00:15", "2018-11-04 02:00", "2018-11-04 03:00"),
    # Casablanca, 22 March 2026, after Ramadan: 02:00 +00 (02:00Z) becomes 03:00 +01.
    "after Ramadan": ("Africa/Casablanca", "23:00-02:30", "2026-03-22 01:00", "2026-03-22 02:00"),
    # Apia skipped 30 December 2011: at 10:00Z midnight -10 became 31 December 00:00 +14. The nights of the 29th and
    # of the day that never was are one.
    "a day is swallowed": ("Pacific/Apia", "22:00-06:00", "2011-12-30 09:00", "2011-12-30 16:00"),
}

AUTUMN = {
    # New York, 1 November 2026: 02:00 EDT (06:00Z) becomes 01:00 EST.
    "the night is an hour longer": ("America/New_York", "22:00-07:00", "2026-11-01 03:00", "2026-11-01 12:00"),
    "the end comes twice": ("America/New_York", "22:00-01:30", "2026-11-01 05:45", "2026-11-01 06:30"),
    "the start comes twice": ("America/New_York", "01:30-05:00", "2026-11-01 06:10", "2026-11-01 10:00"),
    "both come twice": ("America/New_York", "01:15-01:45", "2026-11-01 05:50", "2026-11-01 06:45"),
    # Berlin, 25 October 2026: 03:00 CEST (01:00Z) becomes 02:00 CET.
    "Berlin": ("Europe/Berlin", "23:00-02:30", "2026-10-25 00:45", "2026-10-25 01:30"),
    # Lord Howe, 5 April 2026: 02:00 +11 (15:00Z the day before) becomes 01:30 +10:30.
    "half an hour comes twice": ("Australia/Lord_Howe", "22:00-01:45", "2026-04-04 14:50", "2026-04-04 15:15"),
    # Havana, 1 November 2026: 01:00 CDT (05:00Z) becomes 00:00 CST.
    "the hour after midnight": ("America/Havana", "21:00-00:30", "2026-11-01 04:45", "2026-11-01 05:30"),
    # São Paulo, 17 February 2019: 00:00 -02 (02:00Z) becomes 23:00 -03 of the 16th.
    "the hour before midnight": ("America/Sao_Paulo", "23:30-06:00", "2019-02-17 02:10", "2019-02-17 09:00"),
    # The Azores, 25 October 2026: 01:00 +00 (01:00Z) becomes 00:00 -01.
    "Azores": ("Atlantic/Azores", "22:00-00:30", "2026-10-25 00:45", "2026-10-25 01:30"),
    # Casablanca, 15 February 2026, before Ramadan: 03:00 +01 (02:00Z) becomes 02:00 +00.
    "before Ramadan": ("Africa/Casablanca", "22:00-02:30", "2026-02-15 01:45", "2026-02-15 02:30"),
    # 23 h 45 min a day: what is left between two windows, 02:15 to 02:30, lies within the repeated hour in Berlin.
    "two windows run into each other": ("Europe/Berlin", "02:30-02:15", "2026-10-24 12:00", "2026-10-26 01:15"),
}


@pytest.mark.parametrize(("zone", "window", "now", "end"), ORDINARY.values(), ids=ORDINARY)
def test_quiet_lasts_until_the_end_by_the_wall_clock(zone: str, window: str, now: str, end: str) -> None:
    assert until(zone, window, now) == utc(end)


@pytest.mark.parametrize(("zone", "window", "now", "end"), SPRING.values(), ids=SPRING)
def test_a_time_that_spring_swallows_is_the_first_instant_after_the_gap(
    zone: str, window: str, now: str, end: str
) -> None:
    assert until(zone, window, now) == utc(end)


@pytest.mark.parametrize(("zone", "window", "now", "end"), AUTUMN.values(), ids=AUTUMN)
def test_an_hour_that_autumn_repeats_is_quiet_from_the_first_start_to_the_last_end(
    zone: str, window: str, now: str, end: str
) -> None:
    assert until(zone, window, now) == utc(end)


@pytest.mark.parametrize(
    ("zone", "window", "start"),
    [
        ("America/Bogota", "22:00-07:00", "2026-05-05 03:00"),
        ("America/New_York", "02:30-06:00", "2026-03-08 07:00"),
        ("America/New_York", "01:30-05:00", "2026-11-01 05:30"),
        ("Australia/Lord_Howe", "01:45-05:00", "2026-04-04 14:45"),
        ("America/Havana", "00:00-06:00", "2026-03-08 05:00"),
        ("America/Sao_Paulo", "23:30-06:00", "2019-02-17 01:30"),
    ],
)
def test_quiet_begins_with_its_start_and_not_a_second_before(zone: str, window: str, start: str) -> None:
    assert quiet_until(hours(window), ZoneInfo(zone), utc(start) - SECOND) is None
    assert quiet_until(hours(window), ZoneInfo(zone), utc(start)) is not None


def test_the_end_is_no_longer_quiet() -> None:
    assert until("America/Bogota", "22:00-07:00", "2026-05-05 12:00") is None


@pytest.mark.parametrize("now", ["2026-05-05 00:00", "2026-05-05 12:00", "2026-05-05 22:00"])
def test_a_window_that_ends_where_it_starts_is_none(now: str) -> None:
    assert until("America/Bogota", "22:00-22:00", now) is None
