"""Field names joined by dots: places for the base install."""

import re
from collections.abc import Mapping
from typing import Any, Final

from fn_notifications.application.ports.paths import InvalidPath, Path

_DOTTED: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)*")
_WHOLE: Final = "@"


class DottedPaths:
    """`post.user.id` and `@`; nothing more."""

    def compile(self, expression: str) -> Path:
        """See `Paths`."""
        if expression == _WHOLE:
            return lambda document: document
        if not _DOTTED.fullmatch(expression):
            raise InvalidPath(f"{expression!r} is not a dotted path; more than that needs fn-notifications[jmespath]")
        names = tuple(expression.split("."))
        return lambda document: _walk(document, names)


def _walk(node: Any, names: tuple[str, ...]) -> Any:
    for name in names:
        if not isinstance(node, Mapping):
            return None
        node = node.get(name)
    return node
