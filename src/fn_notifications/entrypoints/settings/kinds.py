"""How the text of a variable becomes a value: numbers, switches, choices, lists, times."""

import re
from collections.abc import Callable, Hashable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Final, Generic, Literal, TypeVar

from attrs import frozen

from fn_notifications.entrypoints.settings.secret import Secret

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)
Item = TypeVar("Item", bound=Hashable)

IntakeStart = Literal["now", "earliest"] | datetime
"""Where a consumer group begins that has never been here: an aware UTC instant, or one of the two ends."""

GroupProtocol = Literal["classic", "cooperative", "consumer"]
"""How a consumer group shares its partitions."""


@frozen
class Kind(Generic[T_co]):
    """A reader of text and the words for what it expects.

    `read` raises ValueError or OverflowError; nobody looks at their messages, which may hold the text.
    """

    expected: str
    read: Callable[[str], T_co]


def matching(pattern: str, expected: str) -> Kind[str]:
    """Text that fits a pattern as a whole."""
    compiled = re.compile(pattern)

    def read(text: str) -> str:
        if not compiled.fullmatch(text):
            raise ValueError
        return text

    return Kind(expected, read)


def whole(low: int, high: int, unit: str = "") -> Kind[int]:
    """A whole number in decimal ASCII digits, `low` and `high` included."""

    def read(text: str) -> int:
        if not re.fullmatch(r"[0-9]{1,15}", text) or not low <= int(text) <= high:
            raise ValueError
        return int(text)

    return Kind(f"a whole number{unit} from {low} to {high}", read)


def number(low: float, high: float) -> Kind[float]:
    """A number from `low` to `high`, with or without decimals."""

    def read(text: str) -> float:
        if not re.fullmatch(r"[0-9]{1,9}(\.[0-9]{1,9})?", text) or not low <= float(text) <= high:
            raise ValueError
        return float(text)

    return Kind(f"a number from {low:g} to {high:g}", read)


def milliseconds(low: int, high: int) -> Kind[float]:
    """Written in milliseconds, kept in seconds."""
    number = whole(low, high, " of milliseconds")
    return Kind(number.expected, lambda text: number.read(text) / 1000)


_UNITS: Final = MappingProxyType({"": 1, "s": 1, "m": 60, "h": 3600, "d": 86400})


def duration(longest: int, *, least: int = 0) -> Kind[float]:
    """Seconds, or a number with the unit s, m, h or d; kept in seconds, from `least` to `longest`."""

    def read(text: str) -> float:
        match = re.fullmatch(r"([0-9]{1,9})([smhd]?)", text)
        if match is None or not least <= (seconds := int(match[1]) * _UNITS[match[2]]) <= longest:
            raise ValueError
        return float(seconds)

    bounds = f"{least} to {longest}" if least else f"at most {longest}"
    return Kind(f"seconds, or a number with s, m, h or d, such as 15m; {bounds} seconds", read)


def one_of(spellings: Mapping[str, T], expected: str | None = None) -> Kind[T]:
    """One of a few words, in any case. `expected` when not every spelling should be advertised."""

    def read(text: str) -> T:
        try:
            return spellings[text.lower()]
        except KeyError:
            raise ValueError from None

    return Kind(expected or f"one of {', '.join(spellings)}", read)


def listing(item: Kind[Item]) -> Kind[tuple[Item, ...]]:
    """Items between commas, at least one, in the order written; a repeated one counts once."""

    def read(text: str) -> tuple[Item, ...]:
        parts = [part.strip() for part in text.split(",")]
        items = tuple(dict.fromkeys(item.read(part) for part in parts if part))
        if not items:
            raise ValueError
        return items

    return Kind(f"a comma-separated list, each {item.expected}", read)


def secret(kind: Kind[str]) -> Kind[Secret[str]]:
    """The same text, not to be seen again."""
    return Kind(kind.expected, lambda text: Secret(kind.read(text)))


def _read_queues(text: str) -> Mapping[str, int]:
    pairs = [re.fullmatch(r"\s*([a-z][a-z0-9_]*)\s*:\s*([0-9]{1,4})\s*", part) for part in text.split(",")]
    queues = {pair[1]: int(pair[2]) for pair in pairs if pair}
    if len(queues) != len(pairs) or not all(queues.values()):
        raise ValueError
    return MappingProxyType(queues)


def _read_properties(text: str) -> Mapping[str, Secret[str]]:
    pairs = [re.fullmatch(r"\s*([a-z][a-z0-9.]*)\s*=\s*(.*?)\s*", part, re.DOTALL) for part in text.split(",")]
    properties = {pair[1]: Secret(pair[2]) for pair in pairs if pair}
    if len(properties) != len(pairs):
        raise ValueError
    return MappingProxyType(properties)


_PROTOCOLS: Final[Mapping[str, GroupProtocol]] = MappingProxyType(
    {"classic": "classic", "cooperative": "cooperative", "consumer": "consumer"}
)
_ENDS: Final[Mapping[str, Literal["now", "earliest"]]] = MappingProxyType({"now": "now", "earliest": "earliest"})


def _read_start(text: str) -> IntakeStart:
    if end := _ENDS.get(text.lower()):
        return end
    instant = datetime.fromisoformat(text)
    if instant.tzinfo is None:
        raise ValueError
    return instant.astimezone(UTC)


boolean: Final = one_of(
    {"true": True, "1": True, "yes": True, "false": False, "0": False, "no": False}, "true or false (1/0, yes/no)"
)
level: Final = one_of(
    {"debug": "debug", "info": "info", "warn": "warning", "warning": "warning", "error": "error"},
    "debug, info, warn or error",
)
text: Final = matching(r"[^\x00-\x1f\x7f-\x9f\u2028\u2029]{1,200}", "one line of at most 200 characters")
anything: Final = Kind("any text", str)
path: Final = Kind("a path, from the working directory if relative", str)
password: Final = secret(Kind("a secret of your own", str))
token: Final = secret(matching(r"[!-~]+", "printable ASCII without spaces"))
queues: Final = Kind("name:number pairs between commas, such as default:10,notifications:20,retries:5", _read_queues)
group_protocol: Final = one_of(_PROTOCOLS)
properties: Final = Kind(
    "name=value pairs between commas, such as ssl.ca.location=/etc/ssl/kafka.pem,client.rack=a", _read_properties
)
start: Final = Kind(
    "now, earliest, or an ISO 8601 timestamp with its offset, such as 2026-11-01T00:00:00Z", _read_start
)
