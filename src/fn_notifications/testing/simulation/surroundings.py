"""What every part of a simulated world shares."""

from collections.abc import Callable, Sequence

from attrs import define, field

from fn_notifications.application.ports.deliveries import Lease
from fn_notifications.testing.simulation.alarm import Alarm
from fn_notifications.testing.simulation.clocks import Clock
from fn_notifications.testing.simulation.dice import Dice
from fn_notifications.testing.simulation.trace import Trace
from fn_notifications.testing.simulation.watch import Watch


def _nobody_cares(_: Sequence[Lease]) -> None:
    """Nobody does anything about it."""


@define
class Weather:
    """What is out of order at the moment."""

    store_out: bool = False
    store_cut: list[str] = field(factory=list)
    """Processes that cannot reach it."""
    webhooks_out: bool = False


@define(eq=False, repr=False, kw_only=True)
class Surroundings:
    """Chance, time, trouble, and who watches."""

    dice: Dice
    clock: Clock
    """The store's."""
    alarm: Alarm
    watch: Watch
    trace: Trace
    weather: Weather = field(factory=Weather)
    claimed: Callable[[Sequence[Lease]], None] = _nobody_cares
    """Called when deliveries were leased."""
    steps: int = 0
    """Calls of ports so far."""

    def happened(self, who: str, what: str, amount: object = "") -> None:
        """A call took effect, or failed."""
        self.steps += 1
        self.note(who, what, amount)

    def note(self, who: str, what: str, detail: object = "") -> None:
        """Write a line of the trace."""
        self.trace.note(who, what, detail)
