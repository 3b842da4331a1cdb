"""How the command line's values are read. What cannot be one is answered with what is expected."""

import unicodedata
from argparse import ArgumentTypeError
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Final, TypeVar

from fn_notifications.application.redaction import Redaction
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import CHANNELS
from fn_notifications.domain.commands import NOTE_LENGTH
from fn_notifications.entrypoints.settings.kinds import Kind, duration

T = TypeVar("T")

_LONGEST_PIN: Final = 30 * 86_400
_LONGEST_NAME: Final = 60
_LONGEST_ID: Final = 255
"""Of a user, as events may write one."""
_MOST: Final = 1_000_000
_MOST_DAYS: Final = 36_500


def name(text: str) -> str:
    """A name. Never an empty one: a variable that is not set must not come to mean everything."""
    if not text.strip():
        raise ArgumentTypeError("it is empty; to mean everything, say --all")
    return text


def signature(text: str) -> str:
    """What somebody calls themselves: not by an address, for it is kept and shown."""
    return _plain(text, _LONGEST_NAME, "a name", needed=True)


def reason(text: str) -> str:
    """Why, where somebody must say so: one line without an address, for it is kept and shown."""
    return _plain(text, NOTE_LENGTH, "one line", needed=True)


def remark(text: str) -> str:
    """As `reason`, where it may be left out."""
    return _plain(text, NOTE_LENGTH, "one line", needed=False)


def user_id(text: str) -> str:
    """What names a person, as in events."""
    controls = any(unicodedata.category(sign) in ("Cc", "Cs") for sign in text)
    if not text.strip() or len(text) > _LONGEST_ID or controls:
        raise ArgumentTypeError(f"expected a user id: one line of at most {_LONGEST_ID} characters")
    return text


def seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        amount = float(text)
    except ValueError:
        amount = 0
    if not 0 < amount < float("inf"):
        raise ArgumentTypeError(f"expected a positive number of seconds, not {text!r}")
    return amount


def amount(text: str) -> int:
    """How many, at least one."""
    return _whole(text, _MOST, "a whole number")


def days(text: str) -> int:
    """So many days, at least one."""
    return _whole(text, _MOST_DAYS, "a whole number of days")


def number(text: str) -> int:
    """The number of a stored thing."""
    return _whole(text, 2**63 - 1, "a number as listed,")


def moment(text: str) -> datetime:
    """A moment with its offset from UTC."""
    try:
        read = datetime.fromisoformat(text)
    except ValueError:
        read = None
    if read is None or read.tzinfo is None:
        raise ArgumentTypeError(f"expected ISO 8601 with an offset, such as 2026-11-22T15:30:00Z, not {text!r}")
    return read


def span(text: str) -> float:
    """A length of time, in seconds; thirty days at most."""
    try:
        return duration(_LONGEST_PIN, least=1).read(text)
    except ValueError:
        raise ArgumentTypeError(f"expected a time from 1s to 30d, such as 30m or 2h, not {text!r}") from None


def _plain(text: str, longest: int, what: str, *, needed: bool) -> str:
    fits = len(text) <= longest and text.isprintable() and bool(text.strip() or not needed)
    if not fits or Redaction().text(text, longest) != text:
        raise ArgumentTypeError(f"expected {what} of at most {longest} characters and no address")
    return text


def _whole(text: str, most: int, what: str) -> int:
    try:
        read = int(text)
    except ValueError:
        read = 0
    if not 1 <= read <= most:
        raise ArgumentTypeError(f"expected {what} from 1 to {most}, not {text[:40]!r}")
    return read


def told(kind: Kind[T]) -> Callable[[str], T]:
    """A value as a setting of this kind is read."""

    def read(text: str) -> T:
        try:
            return kind.read(text)
        except (ValueError, OverflowError):
            raise ArgumentTypeError(f"expected {kind.expected}, not {text[:40]!r}") from None

    return read


def by_channel(kind: Kind[float], example: str) -> Callable[[str], Mapping[Channel, float]]:
    """A number for each channel that is named."""

    def read(text: str) -> Mapping[Channel, float]:
        pairs = [part.partition("=") for part in text.split(",")]
        numbers = {Channel(name.strip()): number.strip() for name, _, number in pairs}
        if not all(sign for _, sign, _ in pairs) or len(numbers) != len(pairs) or not numbers.keys() <= CHANNELS.keys():
            expected = f"each of {', '.join(CHANNELS)} at most once"
            raise ArgumentTypeError(f"expected channel=number pairs such as {example}, {expected}, not {text[:40]!r}")
        return {channel: told(kind)(number) for channel, number in numbers.items()}

    return read
