"""One call of a store's method, as the tests of PostgreSQL's faults repeat it."""

from collections.abc import Awaitable, Callable
from typing import Any

from attrs import frozen

from fn_notifications.application.errors import PortError
from fn_notifications.testing.contracts.stores import Stores

Prepare = Callable[[Stores], Awaitable[Any]]
"""Fills an empty store, and returns what a call in it is given."""


def _as_it_is(result: Any) -> Any:
    return result


async def _nothing(_: Stores) -> None:
    """An empty store."""


@frozen(kw_only=True)
class Case:
    """One call of a port's method."""

    port: str
    method: str
    what: str = ""
    prepare: Prepare = _nothing
    call: Callable[[Stores, Any], Awaitable[Any]]
    """Given the stores and what `prepare` came to."""
    tell: Callable[[Any], Any] = _as_it_is
    """What is the same of two results, whatever numbers were drawn."""
    repeated: type[PortError] | None = None
    """What the caller is told whose call was carried out unknown to it, and was repeated."""
    reads: bool = False
    """Whether it changes nothing: then one database serves every repetition."""
    repeatable: bool = True
    """Whether it is repeated at all when nobody knows whether it was carried out."""

    @property
    def name(self) -> str:
        return f"{self.port}.{self.method}{self.what and ': ' + self.what}"
