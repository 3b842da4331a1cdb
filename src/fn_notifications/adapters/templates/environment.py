"""Jinja2 with everything shut that a template for messages does not need, and everything out that is not repeatable."""

from collections.abc import Callable, Iterable, Sequence
from functools import cache, wraps
from pathlib import Path
from types import BuiltinMethodType
from typing import Any, Final, TypeVar

from attrs import field, frozen
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, UndefinedError, meta, nodes
from jinja2.exceptions import SecurityError, TemplateSyntaxError
from jinja2.runtime import Context
from jinja2.sandbox import ImmutableSandboxedEnvironment

from fn_notifications.adapters.templates.filters import lines, moment, plain, short, spoken
from fn_notifications.adapters.templates.joined import joined
from fn_notifications.application.content import LARGEST_HTML
from fn_notifications.application.ports.sending import ContentError

T = TypeVar("T")
_PADDING: Final = ("batch", "center", "indent", "slice", "tojson")
"""Filters that make as much as a number says."""
_FORMATS: Final = frozenset({"format", "format_map"})
_PASSED: Final = (Context, Environment, nodes.EvalContext)


def _refuse_vast(arguments: Iterable[object]) -> None:
    if any(isinstance(one, int) and abs(one) > LARGEST_HTML for one in arguments):
        raise SecurityError("a number this large is not for templates")


def _bounded(make: Callable[..., T]) -> Callable[..., T]:
    """A filter that refuses lengths no message can have, such as a width to pad to. The value itself may be any."""

    @wraps(make)
    def bounded(*arguments: Any, **named: Any) -> T:
        _refuse_vast((*_after_value(arguments), *named.values()))
        return make(*arguments, **named)

    return bounded


def _after_value(arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    """Without the value, which a filter gets first, or behind what Jinja itself passes."""
    behind = next((place for place, one in enumerate(arguments) if not isinstance(one, _PASSED)), 0)
    return arguments[behind + 1 :]


class _Sandbox(ImmutableSandboxedEnvironment):
    """Jinja's sandbox, which keeps templates from objects' insides, and from filling the memory too."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.filters |= {name: _bounded(self.filters[name]) for name in _PADDING}
        # A format says in its text how wide it pads.
        del self.filters["format"]

    def call(self, context: Context, called: Any, /, *arguments: Any, **named: Any) -> Any:
        """Refuse lengths that no message can have, where a text pads itself."""
        if isinstance(called, BuiltinMethodType):
            _refuse_vast((*arguments, *named.values()))
        return super().call(context, called, *arguments, **named)

    def is_safe_callable(self, obj: Any) -> bool:
        """Methods that format are none, for the same reason as the filter."""
        return getattr(obj, "__name__", "") not in _FORMATS and super().is_safe_callable(obj)

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """Refuse powers, formats, and repetitions that make more than a message can be."""
        if operator == "%" and isinstance(left, str):
            raise SecurityError("% of a text is not for templates")
        repeated = [len(side) for side in (left, right) if isinstance(side, str | list | tuple)]
        times = [side for side in (left, right) if isinstance(side, int)]
        if operator == "**" or (repeated and times and repeated[0] * times[0] > LARGEST_HTML):
            raise SecurityError(f"{operator} of these is not for templates")
        return super().call_binop(context, operator, left, right)


@frozen
class Templates:
    """The files of some folders as templates; an earlier folder's file wins. They are read once, when first used."""

    directories: Sequence[Path]
    _environment: Environment = field(init=False, repr=False)
    _names: list[frozenset[str]] = field(factory=list, init=False, repr=False)
    _ready: Callable[[str], Template] = field(init=False, repr=False)

    @_environment.default
    def _sandbox(self) -> Environment:
        environment = _Sandbox(
            loader=FileSystemLoader([str(directory) for directory in self.directories]),
            undefined=StrictUndefined,
            autoescape=lambda name: bool(name and name.endswith(".html")),
            finalize=lambda value: "" if value is None else value,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
            cache_size=-1,
        )
        environment.globals.clear()
        del environment.filters["random"]
        environment.filters |= {"datetime": moment, "short": short, "spoken": spoken, "lines": lines, "plain": plain}
        return environment

    @_ready.default
    def _once(self) -> Callable[[str], Template]:
        return cache(self._load)

    def __contains__(self, name: str) -> bool:
        return name in self.names()

    def names(self) -> frozenset[str]:
        """Every file there is, whatever it holds."""
        if not self._names:
            self._names.append(frozenset(self._environment.list_templates()))
        return self._names[0]

    def source(self, name: str) -> str:
        """A file as it is. Raises `ContentError` when there is none."""
        if name not in self or self._environment.loader is None:
            raise ContentError(f"{name}: no such file")
        return self._environment.loader.get_source(self._environment, name)[0]

    def apply(self, name: str, use: Callable[[Template], T]) -> T:
        """What `use` makes of a template. Raises `ContentError` for whatever goes wrong.

        The original error is dropped on purpose: it may quote a value.
        """
        try:
            return use(self._ready(name))
        except ContentError:
            raise
        except UndefinedError as error:
            flaw = f"undefined: {_undefined(error)}"
        except Exception as error:  # noqa: BLE001 - a template can provoke any error of Python's own
            flaw = type(error).__name__
        raise ContentError(f"{name}: {flaw}")

    def used(self, name: str) -> frozenset[str]:
        """The variables a template needs, with those of every template it extends, imports or includes.

        Raises `ContentError` when one of them is missing or is no template.
        """
        try:
            tree = self._environment.parse(self.source(name))
        except TemplateSyntaxError as error:
            raise ContentError(f"{name}, line {error.lineno}: {error.message}") from None
        used = meta.find_undeclared_variables(tree) - _made_in(tree)
        for other in meta.find_referenced_templates(tree):
            used |= self.used(other) if other else set()
        return frozenset(used)

    def _load(self, name: str) -> Template:
        environment = self._environment
        tree = joined(environment, environment.parse(self.source(name), name), name)
        return Template.from_code(environment, environment.compile(tree, name, name), environment.globals)


def _made_in(tree: nodes.Template) -> set[str]:
    """Names of the file's own: imports and assignments outside of blocks, which Jinja's analysis of blocks forgets."""
    imported = {
        name if isinstance(name, str) else name[1] for node in tree.find_all(nodes.FromImport) for name in node.names
    }
    return imported | {node.target.name for node in tree.find_all(nodes.Assign) if isinstance(node.target, nodes.Name)}


def _undefined(error: UndefinedError) -> str:
    """The variable's name, which Jinja puts into quotes in front."""
    parts = (error.message or "").split("'")
    return repr(parts[1]) if len(parts) == 3 and parts[1].isidentifier() else "something"
