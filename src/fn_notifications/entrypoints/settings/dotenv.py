"""The `.env` file: `NAME=value` lines as shells and Compose write them."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import frozen

_ASSIGNMENT: Final = re.compile(r"\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_.]*)\s*=(.*)", re.DOTALL)
_SINGLE: Final = re.compile(r"\s*'([^']*)'\s*(?:#.*)?", re.DOTALL)
_DOUBLE: Final = re.compile(r'\s*"((?:\\.|[^"\\])*)"\s*(?:#.*)?', re.DOTALL)
_ESCAPE: Final = re.compile(r"\\(.)", re.DOTALL)
_ESCAPES: Final = MappingProxyType({"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\", "$": "$"})


@frozen
class DotEnv:
    """What the file says, and the numbers and names of the lines that say nothing readable."""

    values: Mapping[str, str]
    unreadable: tuple[tuple[int, str | None], ...] = ()


def parse_dotenv(text: str) -> DotEnv:
    r"""Read the assignments of a `.env`; the last one of a name wins.

    Unquoted values end at ` #` and lose the space around them; single quotes keep everything; double quotes know
    the escapes \n, \r, \t, \", \\ and \$. Nothing is substituted: `${NAME}` stays as it is. A value is one line.
    """
    values: dict[str, str] = {}
    unreadable: list[tuple[int, str | None]] = []
    for number, line in enumerate(text.removeprefix("\ufeff").split("\n"), start=1):
        if not (bare := line.strip()) or bare.startswith("#"):
            continue
        assignment = _ASSIGNMENT.fullmatch(line)
        value = _value(assignment[2]) if assignment else None
        if assignment is None or value is None:
            unreadable.append((number, assignment[1] if assignment else None))
        else:
            values[assignment[1]] = value
    return DotEnv(MappingProxyType(values), tuple(unreadable))


def _value(text: str) -> str | None:
    """The value behind an equals sign, or None when a quote does not close or something follows it."""
    match text.lstrip()[:1]:
        case "'":
            single = _SINGLE.fullmatch(text)
            return single[1] if single else None
        case '"':
            double = _DOUBLE.fullmatch(text)
            return _ESCAPE.sub(lambda found: _ESCAPES.get(found[1], found[0]), double[1]) if double else None
        case _:
            return re.split(r"\s#", text, maxsplit=1)[0].strip()
