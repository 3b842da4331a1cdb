"""What every part of a simulated world shares."""

from attrs import define, field

from fn_notifications.testing.simulation.alarm import Alarm
from fn_notifications.testing.simulation.clocks import Clock
from fn_notifications.testing.simulation.dice import Dice
from fn_notifications.testing.simulation.trace import Trace
from fn_notifications.testing.simulation.watch import Watch


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
    steps: int = 0
    """Calls of ports so far."""

    def happened(self, who: str, what: str, amount: object = "") -> None:
        """A call took effect, or failed."""
        self.steps += 1
        self.note(who, what, amount)

    def note(self, who: str, what: str, detail: object = "") -> None:
        """Write a line of the trace."""
        self.trace.note(who, what, detail)
