"""What a measurement comes to."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

from attrs import field, frozen

_LOOK = 0.01


@frozen(kw_only=True)
class Figures:
    """Of one round. Everything is per unit of work; `why` stands in for figures that there are none of."""

    rate: float | None = None
    """Units a second."""
    cpu_ms: Mapping[str, float] = field(factory=dict)
    """By who used it."""
    latency_ms: Mapping[str, float] = field(factory=dict)
    more: Mapping[str, float] = field(factory=dict)
    why: str | None = None


@frozen(kw_only=True)
class Reading:
    """Of a meter, at a moment."""

    at: float
    units: int
    cpu: Mapping[str, float]

    def since(self, first: "Reading") -> Figures:
        """What happened in between."""
        units = self.units - first.units
        cpu = {name: (used - first.cpu[name]) / units * 1000 for name, used in self.cpu.items()}
        return Figures(rate=units / (self.at - first.at), cpu_ms=cpu)


@frozen(kw_only=True)
class Meter:
    """Counts units of work and the CPU of everybody who has a hand in it."""

    units: Callable[[], int]
    cpu: Mapping[str, Callable[[], float]]
    alive: Callable[[], bool] = lambda: True
    """Looked at while waiting; raises when there is nothing left to wait for."""

    def read(self) -> Reading:
        """Now."""
        return Reading(at=time.monotonic(), units=self.units(), cpu={name: used() for name, used in self.cpu.items()})

    async def reach(self, goal: int, *, within: float = 300.0) -> Reading:
        """As soon as so many units are done."""
        async with asyncio.timeout(within):
            while self.units() < goal and self.alive():  # noqa: ASYNC110 - another process counts them
                await asyncio.sleep(_LOOK)
        return self.read()


def percentiles(seconds: Sequence[float]) -> Mapping[str, float]:
    """p50, p95 and p99 in milliseconds."""
    ordered = sorted(seconds)
    return {f"p{part}": ordered[min(len(ordered) - 1, len(ordered) * part // 100)] * 1000 for part in (50, 95, 99)}
