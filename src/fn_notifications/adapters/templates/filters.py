"""What templates can do to a value. None of it calls its argument, and no text makes any of it fail."""

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from attrs import frozen
from jinja2 import pass_context
from jinja2.runtime import Context

from fn_notifications.application.converters import line
from fn_notifications.domain import segments

WORDS: Final = "_words"
LANGUAGE: Final = "language"
CONTEXT: Final = frozenset({WORDS, LANGUAGE})
"""What every template is given besides the variables."""


@frozen(kw_only=True)
class Words:
    """How a language writes times."""

    months: tuple[str, ...]
    datetime: str
    """A format of `day`, `month`, `year`, `hour`, `minute` and `zone`."""
    zone: tzinfo = UTC
    """Of the person who will read it."""


def short(value: object, longest: int = 60) -> str:
    """One line of at most so many characters; nothing for None."""
    return line(value, longest) or ""


def plain(value: object) -> str:
    """The text in the cheap alphabet of text messages, before it is cut: an ellipsis takes three characters there."""
    return "" if value is None else segments.plain(str(value))


def lines(value: object) -> list[str]:
    """The lines of a text."""
    return [] if value is None else str(value).splitlines()


def spoken(value: object) -> str:
    """A code such as `time_limit_reached` as words; a sentence stays as it is."""
    return short(value, 200).replace("_", " ")


@pass_context
def moment(context: Context, value: object) -> str:
    """An ISO 8601 time in the reader's zone and language. Any other text stays as it is."""
    words: Words = context[WORDS]
    try:
        at = datetime.fromisoformat(str(value))
        at = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(words.zone)
    except (ValueError, OverflowError):
        return short(value)
    return words.datetime.format(
        day=at.day,
        month=words.months[at.month - 1],
        year=at.year,
        hour=f"{at.hour:02}",
        minute=f"{at.minute:02}",
        zone=_offset(at.utcoffset() or timedelta()),
    )


def _offset(offset: timedelta) -> str:
    """UTC, UTC-5, UTC+5:30: unlike a zone's abbreviation, understood everywhere."""
    minutes = round(offset.total_seconds() / 60)
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02}" if rest else "")
