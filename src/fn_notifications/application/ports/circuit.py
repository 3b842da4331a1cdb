"""Whether a route can be used: this process's own judgement of it."""

from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from attrs import field, frozen
from attrs.validators import ge, gt

_NOTHING: Final = timedelta()


class CircuitState(StrEnum):
    """Closed lets everything through, open nothing, half-open one probe."""

    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"


@frozen(kw_only=True)
class CircuitRules:
    """`threshold` failures without a success between, all within `window`, open a circuit; after `reset_after` one
    probe may go. A probe that says nothing is given up after another `reset_after`.
    """

    threshold: int = field(default=5, validator=ge(1))
    window: timedelta = field(default=timedelta(seconds=60), validator=gt(_NOTHING))
    reset_after: timedelta = field(default=timedelta(seconds=300), validator=gt(_NOTHING))


class Circuit(Protocol):
    """A circuit breaker per route: opened by failures with no success between, closed by one good probe.

    Only answers about the route are reported. `now` is the caller's clock, aware.
    """

    def state(self, route: str, now: datetime) -> CircuitState:
        """How it stands; asking changes nothing. Half-open only while no probe is under way. A route nobody reported
        on is closed.
        """
        ...

    def probing(self, route: str, now: datetime) -> None:
        """A probe goes out: until its result, or a while without one, the route counts as open."""
        ...

    def succeeded(self, route: str, now: datetime) -> None:
        """A call was answered as a working route answers. Closes a half-open circuit.

        One that is open stays so until its time: the call may be older than the failures.
        """
        ...

    def failed(self, route: str, now: datetime) -> None:
        """A call failed in a way that says something about the route. A failed probe opens it again."""
        ...

    def pause(self, route: str, now: datetime, span: timedelta) -> None:
        """The provider asked for a pause: open for `span`, whatever the failures. A longer pause wins.

        Asked for by a probe, it is that probe's result: another may go after it.
        """
        ...
