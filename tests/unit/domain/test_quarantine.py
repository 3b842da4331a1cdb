"""What is held for an operator: by age, by number; and what is worth an alert."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.catalogue import NotificationType, Priority
from fn_notifications.domain.quarantine import HOUR, flooded, jumped, limit_of, replayed, within_hour
from fn_notifications.domain.reasons import Reason

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
DAY = NotificationType(name="day", ttl=timedelta(hours=24), hold_more_than=3)


class TestReplays:
    def test_an_event_older_than_a_quarter_of_its_time_to_live_is_one(self):
        assert replayed(DAY, NOW - timedelta(hours=6), NOW) is None
        assert replayed(DAY, NOW - timedelta(hours=6, seconds=1), NOW) is Reason.REPLAYED

    def test_a_type_may_say_another_age(self):
        patient = NotificationType(name="patient", hold_older_than=timedelta(hours=20))
        assert replayed(patient, NOW - timedelta(hours=19), NOW) is None
        assert replayed(NotificationType(name="no", hold_older_than=timedelta()), NOW - HOUR, NOW) is Reason.REPLAYED

    def test_what_lay_in_the_stream_for_long_is_none(self):
        """It is as old as its publication."""
        long_ago = NOW - timedelta(days=300)
        assert replayed(DAY, long_ago, long_ago + timedelta(minutes=1)) is None

    def test_an_event_from_the_future_is_none(self):
        assert replayed(DAY, NOW + HOUR, NOW) is None


class TestFloods:
    def test_the_limit_is_the_types_unless_it_is_urgent(self):
        assert limit_of(DAY) == 3
        assert limit_of(NotificationType(name="free")) is None
        assert limit_of(NotificationType(name="urgent", priority=Priority.URGENT, hold_more_than=3)) is None

    def test_one_more_than_the_limit_within_an_hour_is_too_many(self):
        recent = [NOW - timedelta(minutes=minutes) for minutes in (59, 30, 1)]
        assert flooded(3, recent, NOW) is Reason.FLOODED
        assert flooded(4, recent, NOW) is None
        assert flooded(3, recent, NOW + timedelta(minutes=1)) is None

    @given(
        gaps=st.lists(st.integers(0, 3600), max_size=60),
        limit=st.integers(1, 6),
    )
    def test_nobody_ever_gets_more_within_any_hour(self, gaps: list[int], limit: int):
        told: list[datetime] = []
        recent: tuple[datetime, ...] = ()
        at = NOW
        for gap in gaps:
            at += timedelta(seconds=gap)
            if flooded(limit, recent, at) is None:
                recent = (*within_hour(recent, at), at)
                told.append(at)
        assert len(recent) <= limit
        for first in told:
            assert sum(first <= one < first + HOUR for one in told) <= limit


class TestJumps:
    @pytest.mark.parametrize(
        ("recent", "amount", "jump"),
        [
            ((), 10_000, False),
            ((0, 0), 199, False),
            ((0, 0), 200, True),
            ((100, 20), 399, False),
            ((20, 100), 400, True),
            ((1000,), 3999, False),
        ],
    )
    def test_an_hour_out_of_proportion_to_the_busiest_before(self, recent, amount, jump):
        assert jumped(recent, amount) is jump
