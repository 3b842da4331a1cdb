"""How often one person is written to on one channel."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from attrs import field, frozen
from attrs.validators import ge, gt


@frozen(kw_only=True)
class Cap:
    """At most `count` messages in any span of `window`."""

    count: int = field(validator=ge(1))
    window: timedelta = field(validator=gt(timedelta()))


def capped_until(cap: Cap, recent: Sequence[datetime], now: datetime) -> datetime | None:
    """When the next message fits under the cap, or None when one fits now. `recent` are the times of past sends."""
    inside = sorted(sent for sent in recent if sent > now - cap.window)
    if len(inside) < cap.count:
        return None
    return inside[len(inside) - cap.count] + cap.window
