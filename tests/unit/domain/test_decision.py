"""A decision says why: none can be made that a reader would have to guess at."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.address import SMS
from fn_notifications.domain.decision import Decision, Verdict
from fn_notifications.domain.errors import InvalidValue
from fn_notifications.domain.reasons import SENTENCES, Reason
from fn_notifications.testing.strategies import decisions

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
SHAPES = {Verdict.SEND: (None, None), Verdict.SKIP: (Reason.STALE, None), Verdict.DEFER: (Reason.SCHEDULED, NOON)}


@given(decisions(SMS))
def test_a_skip_has_a_reason_and_a_deferral_a_time_too(decision: Decision) -> None:
    assert (decision.reason is None) == (decision.verdict is Verdict.SEND)
    assert (decision.until is not None) == (decision.verdict is Verdict.DEFER)


@given(st.sampled_from(Verdict), st.sampled_from((None, Reason.STALE, Reason.SCHEDULED)), st.sampled_from((None, NOON)))
def test_any_other_shape_is_refused(verdict: Verdict, reason: Reason | None, until: datetime | None) -> None:
    """A skip without a reason would otherwise pass for a send."""
    shape = SHAPES[verdict]
    if (reason is None, until is None) == (shape[0] is None, shape[1] is None):
        assert Decision(channel=SMS, verdict=verdict, reason=reason, until=until).verdict is verdict
    else:
        with pytest.raises(InvalidValue):
            Decision(channel=SMS, verdict=verdict, reason=reason, until=until)


def test_every_reason_has_a_sentence() -> None:
    assert set(SENTENCES) == set(Reason)
