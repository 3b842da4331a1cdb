"""From whatever stands in an event to a value fit for a message. Pure, total: what does not fit is absent (None)."""

import math
import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final

Convert = Callable[[Any], Any]
"""The value for a message, or None when there is none. Never raises; converting twice is converting once, `percent`
apart."""

DEFAULT: Final = "text(500)"
_LONGEST: Final = 10_000
_UNFIT: Final = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff\ud800-\udfff]"
)
"""Controls that are no white space, marks that turn the direction of writing, lone surrogates."""


def text(longest: int) -> Convert:
    """One line: runs of white space are a space, control characters go, what is too long ends in an ellipsis."""

    def convert(value: Any) -> str | None:
        return line(value, longest)

    return convert


def line(value: Any, longest: int) -> str | None:
    """What `text` makes of a value."""
    written = _written(value)
    return None if written is None else _cut(_line(written), longest)


def lines(longest: int) -> Convert:
    """As `text`, but line breaks stay, at most one empty line at a time."""

    def convert(value: Any) -> str | None:
        written = _written(value)
        if written is None:
            return None
        broken = "\n".join(_line(line) for line in written.splitlines())
        return _cut(re.sub("\n{3,}", "\n\n", broken).strip(), longest)

    return convert


def percent(value: Any) -> int | None:
    """A share from 0 to 1, or a number from 0 to 100, as whole per cent. 1 is all of it."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 100:
        return None
    return math.floor(value * 100 + 0.5 if value <= 1 else value + 0.5)


def instant(value: Any) -> str | None:
    """An ISO 8601 time as UTC, to the second; one without an offset is taken for UTC."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value.strip())
        moment = moment.astimezone(UTC) if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None
    return moment.replace(tzinfo=None).isoformat(timespec="seconds") + "Z"


_SIMPLE: Final[Mapping[str, Convert]] = MappingProxyType({"percent": percent, "datetime": instant})
_SIZED: Final[Mapping[str, Callable[[int], Convert]]] = MappingProxyType({"text": text, "lines": lines})


def converter(spec: str) -> Convert:
    """The converter a catalogue names: `percent`, `datetime`, `text(max)`, `lines(max)`. ValueError for another."""
    if simple := _SIMPLE.get(spec):
        return simple
    match = re.fullmatch(r"([a-z]+)\(([0-9]{1,5})\)", spec)
    if match and match[1] in _SIZED and 1 <= int(match[2]) <= _LONGEST:
        return _SIZED[match[1]](int(match[2]))
    raise ValueError(f"no converter {spec!r}: percent, datetime, text(max) or lines(max), max up to {_LONGEST}")


def _written(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value) if value.bit_length() <= 64 else None
    if isinstance(value, float):
        return f"{value:.15g}" if math.isfinite(value) else None
    return None


def _line(written: str) -> str:
    fit = written if written.isprintable() else _UNFIT.sub("", written)
    return " ".join(fit.split())


def _cut(written: str, longest: int) -> str | None:
    if len(written) > longest:
        written = written[: longest - 1].rstrip() + "…"
    return written or None
