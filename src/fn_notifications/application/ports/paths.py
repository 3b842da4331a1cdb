"""Where things stand in an event's body."""

from collections.abc import Callable
from typing import Any, Protocol

Path = Callable[[Any], Any]
"""What stands at a place in a document; None when nothing does, or null. Never raises, however odd the document."""


class InvalidPath(ValueError):
    """An expression is no path; the message says where and why."""


class Paths(Protocol):
    """A language for places in a document."""

    def compile(self, expression: str) -> Path:
        """The path an expression names.

        Every adapter understands field names joined by dots (`post.user.id`) and `@`, the whole document; what more
        there is, is the adapter's. Raises `InvalidPath` for anything it cannot evaluate, so that a typing error
        shows when a catalogue is loaded and not as a value that is for ever absent.
        """
        ...
