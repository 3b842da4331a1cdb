"""When has a route failed too often: this process's own count."""

from datetime import datetime, timedelta
from typing import Final, Protocol

from attrs import field, frozen
from attrs.validators import ge, gt

_NOTHING: Final = timedelta()


@frozen(kw_only=True)
class CircuitRules:
    """`threshold` failures without a success between, all within `window`, are too many; the route then rests for
    `reset_after` before a probe goes.
    """

    threshold: int = field(default=5, validator=ge(1))
    window: timedelta = field(default=timedelta(seconds=60), validator=gt(_NOTHING))
    reset_after: timedelta = field(default=timedelta(seconds=300), validator=gt(_NOTHING))


class Circuit(Protocol):
    """Counts failures per route. What follows from too many is shared by all processes (see `Routes`).

    Only answers about the route are reported. `now` is the caller's clock, aware.
    """

    def failed(self, route: str, now: datetime) -> bool:
        """A call failed in a way that says something about the route. True when that is one too many.

        The next failure is the first of a new count then.
        """
        ...

    def succeeded(self, route: str, now: datetime) -> None:
        """A call was answered as a working route answers: the count starts anew."""
        ...

    def rest(self, route: str) -> timedelta:
        """How long a route that failed too often is left alone the first time."""
        ...
