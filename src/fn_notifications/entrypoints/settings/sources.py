"""Where text comes from: command line, environment, `.env`, TOML file, the first that knows a name winning."""

import re
import tomllib
from collections.abc import Iterator, Mapping
from collections.abc import Set as AbstractSet
from datetime import date, time
from pathlib import Path
from typing import Any, Final

from attrs import evolve, field, frozen

from fn_notifications.entrypoints.settings.dotenv import parse_dotenv
from fn_notifications.entrypoints.settings.problems import Problem

DOTENV: Final = ".env"
CONFIG_FILE: Final = "CONFIG_FILE"
DEFAULT_FILE: Final = "fn-notifications.toml"


@frozen(kw_only=True)
class Source:
    """One place with its names and texts. `ours` says that nobody else's names belong there."""

    name: str
    values: Mapping[str, str] = field(repr=False)
    ours: bool = False

    def without(self, names: AbstractSet[str]) -> "Source":
        """The same place, silent about these names."""
        return evolve(self, values={name: text for name, text in self.values.items() if name not in names})


@frozen(kw_only=True)
class Gathered:
    """All places, the strongest first, and what could not be read in them."""

    sources: tuple[Source, ...]
    problems: tuple[Problem, ...]
    remarks: tuple[str, ...]
    """Lines that may have been meant for somebody else."""


def gather(environ: Mapping[str, str], overrides: Mapping[str, str], cwd: Path, known: AbstractSet[str]) -> Gathered:
    """Read the files of `cwd` and rank what they say below the environment and the command line.

    A `.env` is shared with other programs: a line that cannot be read is a problem when it assigns a `known` name.
    """
    problems: list[Problem] = []
    remarks: list[str] = []
    sources = [
        Source(name="command line", values=overrides, ours=True),
        Source(name="environment", values=environ),
        _dotenv(cwd / DOTENV, known, problems, remarks),
    ]
    named = next((value for source in sources if (value := source.values.get(CONFIG_FILE, "").strip())), None)
    sources.append(_toml(cwd / (named or DEFAULT_FILE), problems, must_exist=named is not None))
    return Gathered(sources=tuple(sources), problems=tuple(problems), remarks=tuple(remarks))


def _dotenv(path: Path, known: AbstractSet[str], problems: list[Problem], remarks: list[str]) -> Source:
    try:
        parsed = parse_dotenv(path.read_text("utf-8"))
    except FileNotFoundError:
        return Source(name=DOTENV, values={})
    except (OSError, UnicodeDecodeError):
        problems.append(Problem(DOTENV, "expected a readable UTF-8 file"))
        return Source(name=DOTENV, values={})
    for line, name in parsed.unreadable:
        if name in known:
            expected = "expected a quote that closes, with nothing but a comment behind it"
            problems.append(Problem(f"{name} ({DOTENV} line {line})", expected))
        elif name is None:
            remarks.append(f"{DOTENV} line {line} is not NAME=value and is passed over")
    return Source(name=DOTENV, values=parsed.values)


def _toml(path: Path, problems: list[Problem], *, must_exist: bool) -> Source:
    values: dict[str, str] = {}
    name = path.name
    file = CONFIG_FILE if must_exist else DEFAULT_FILE
    source = Source(name=name, values=values, ours=True)
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        if must_exist:
            problems.append(Problem(file, "expected the path of a TOML file; there is none at that path"))
        return source
    except tomllib.TOMLDecodeError as error:
        # The rest of the message may quote the file.
        place = re.search(r"line \d+, column \d+", str(error))
        problems.append(Problem(file, f"expected TOML{f'; see {place[0]}' if place else ''}"))
        return source
    except (OSError, ValueError):
        problems.append(Problem(file, "expected a readable UTF-8 file"))
        return source
    for key, value in _leaves(document):
        text = _text(value)
        if text is None:
            problems.append(Problem(f"{key} ({name})", "expected text, a number, true, false or a list of texts"))
        elif values.setdefault(key, text) != text:
            problems.append(Problem(f"{key} ({name})", "expected one value; it is written twice and differently"))
    return source


def _leaves(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        name = f"{prefix}{key}".upper().replace("-", "_")
        if isinstance(value, dict):
            yield from _leaves(value, f"{name}_")
        else:
            yield name, value


def _text(value: Any) -> str | None:
    match value:
        case str() | int() | float():
            return str(value)
        case date() | time():
            return value.isoformat()
        case list() if all(isinstance(item, str | int) for item in value):
            return ",".join(map(str, value))
        case _:
            return None
