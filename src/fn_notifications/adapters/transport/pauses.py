"""How long an answer asks us to wait."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

from fn_notifications.adapters.transport.http import Response

LONGEST: Final = timedelta(hours=1)
"""No header makes a route wait longer: asking again after an hour harms nobody, a wrong header would."""


def asked_pause(response: Response, *, reset: str | None = None) -> timedelta | None:
    """The pause of `Retry-After` (seconds or a date, RFC 9110 §10.2.3), else until the epoch second in header `reset`.

    Instants count from the answer's own `Date`, so that no two clocks are compared. None when there is no sense in it.
    """
    asked = response.headers.get("retry-after", "")
    if _is_number(asked):
        return _bounded(timedelta(seconds=int(asked)))
    until = _instant(asked)
    if until is None and reset is not None and _is_number(epoch := response.headers.get(reset, "")):
        until = datetime.fromtimestamp(int(epoch), UTC)
    now = _instant(response.headers.get("date", ""))
    return None if until is None or now is None else _bounded(until - now)


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 10


def _instant(text: str) -> datetime | None:
    try:
        instant = parsedate_to_datetime(text)
    except ValueError:
        return None
    return instant.replace(tzinfo=UTC) if instant.tzinfo is None else instant


def _bounded(pause: timedelta) -> timedelta:
    return min(max(pause, timedelta()), LONGEST)
