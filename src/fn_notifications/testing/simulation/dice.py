"""Chance: one seeded source for everything, and a count of what it brought about."""

from collections import Counter
from random import Random

from attrs import define, field

from fn_notifications.testing.simulation.faults import Fault, Rates


@define(eq=False, repr=False)
class Dice:
    """Decides by chance, and keeps count. Once `calm`, nothing goes wrong any more."""

    random: Random
    rates: Rates
    """Of the faults this seed has."""
    calm: bool = False
    counts: Counter[Fault] = field(factory=Counter)

    def strikes(self, fault: Fault) -> bool:
        """Whether this fault strikes now. Counted if so."""
        rate = self.rates.get(fault, 0.0)
        if self.calm or not rate or self.random.random() >= rate:
            return False
        self.counts[fault] += 1
        return True

    def times(self, fault: Fault) -> int:
        """How often a fault that strikes by itself will: around its rate."""
        rate = self.rates.get(fault, 0.0)
        return self.random.randint(0, round(2 * rate)) if rate else 0

    def chance(self) -> float:
        """In [0, 1)."""
        return self.random.random()

    def latency(self) -> float:
        """Seconds one half of a call takes: often none, mostly some milliseconds, now and then a long while."""
        draw = self.random.random()
        if draw < 0.4:
            return 0.0
        if draw < 0.97:
            return self.random.random() * 0.05
        return self.random.random() * (1.0 if draw < 0.995 else 8.0)

    def lateness(self) -> float:
        """Seconds from an alarm to the look."""
        return 0.01 + self.random.random() * 0.4
