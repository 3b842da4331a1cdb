"""What the sources say about each variable, read; with whatever could not be."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen

from fn_notifications.entrypoints.settings.kinds import T
from fn_notifications.entrypoints.settings.problems import Problem
from fn_notifications.entrypoints.settings.scope import Scope
from fn_notifications.entrypoints.settings.sources import Source
from fn_notifications.entrypoints.settings.variable import Variable

_PLACEHOLDER: Final = re.compile(
    r"your-.*|\+1234567890|.*\$\{[A-Za-z_][A-Za-z0-9_]*\}.*|<base64-encoded-.*>", re.DOTALL
)


class State(Enum):
    """How a variable was found."""

    ABSENT = auto()
    PLACEHOLDER = auto()
    UNREADABLE = auto()
    GIVEN = auto()


@frozen(kw_only=True)
class Reading:
    """One variable: its value, or the default when it is absent or cannot be read."""

    value: Any = field(repr=False)
    where: str
    """How its author would find it: the name written and its source, else every name it goes by."""
    state: State
    written: str | None = None
    problem: Problem | None = None


@frozen
class Readings:
    """All of them, by variable."""

    _by_variable: Mapping[Variable[Any], Reading]

    def __getitem__(self, variable: Variable[T]) -> T:
        value: T = self._by_variable[variable].value
        return value

    def get(self, variable: Variable[T | None], otherwise: T) -> T:
        """Its value, or `otherwise` when it has none."""
        value: T | None = self._by_variable[variable].value
        return otherwise if value is None else value

    def given(self, variable: Variable[Any]) -> bool:
        """Whether somebody gave it a value of their own, readable or not: what is unreadable is said elsewhere."""
        return self._by_variable[variable].state in {State.GIVEN, State.UNREADABLE}

    def readable(self, variable: Variable[Any]) -> bool:
        """Whether its value is what somebody meant: given, or left to the default."""
        return self._by_variable[variable].state in {State.GIVEN, State.ABSENT}

    def where(self, variable: Variable[Any]) -> str:
        """How to point at it."""
        return self._by_variable[variable].where

    def placeholder(self, variable: Variable[Any]) -> bool:
        """Whether it still holds what the deployment guide shows in the place of a value."""
        return self._by_variable[variable].state is State.PLACEHOLDER

    def written(self, variable: Variable[Any]) -> str | None:
        """The name it was written under, or None when it is absent."""
        return self._by_variable[variable].written

    def problems(self, scope: Scope) -> tuple[Problem, ...]:
        """What could not be read, in these sections."""
        found = ((variable, reading.problem) for variable, reading in self._by_variable.items())
        return tuple(problem for variable, problem in found if problem and variable.section in scope)


def read_all(variables: Iterable[Variable[Any]], sources: Sequence[Source]) -> Readings:
    """Read every variable from the strongest source that names it. A blank value says it is not set."""
    return Readings(MappingProxyType({variable: _read(variable, sources) for variable in variables}))


def _read(variable: Variable[Any], sources: Sequence[Source]) -> Reading:
    for source in sources:
        texts = {name: source.values[name].strip() for name in variable.names if name in source.values}
        if not texts:
            continue
        found = {name: text for name, text in texts.items() if text}
        if len(set(found.values())) > 1:
            problem = Problem(
                f"{' and '.join(found)} ({source.name})", "two names of one setting, two values: keep one"
            )
            return _unreadable(variable, problem, next(iter(found)))
        for name, text in found.items():
            return _parse(variable, name, text, source)
        break
    return Reading(value=_default(variable), where=" or ".join(variable.names), state=State.ABSENT)


def _parse(variable: Variable[Any], name: str, text: str, source: Source) -> Reading:
    where = f"{name} ({source.name})"
    if _PLACEHOLDER.fullmatch(text):
        return Reading(value=_default(variable), where=where, state=State.PLACEHOLDER, written=name)
    try:
        text.encode()  # the environment may hold bytes that are no text
        value = variable.kind.read(text)
    except (ValueError, OverflowError):
        return _unreadable(variable, Problem(where, f"expected {variable.kind.expected}"), name)
    return Reading(value=value, where=where, state=State.GIVEN, written=name)


def _unreadable(variable: Variable[Any], problem: Problem, name: str) -> Reading:
    return Reading(value=_default(variable), where=problem.where, state=State.UNREADABLE, written=name, problem=problem)


def _default(variable: Variable[Any]) -> Any:
    return None if variable.default is None else variable.kind.read(variable.default)
