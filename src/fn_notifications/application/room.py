"""How much may go by each route: what one wave may begin, and the permits of routes that have a rate."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from math import inf
from typing import Final

from attrs import define, field

from fn_notifications.application.ports.routes import Routes

_PERMIT: Final = 1.0
"""Seconds after which a permit to call that was not used is dropped."""
_SLICE: Final = 0.05
"""Seconds between two requests for permits."""

Way = tuple[str, int]
"""A route, and how many messages may share a call by it."""


@define
class Allotment:
    """What one wave may begin, and what is left of it: by route, calls and the messages in them."""

    calls: dict[str, int]
    messages: dict[str, float]
    _begun: Counter[Way] = field(factory=Counter, init=False)

    def fits(self, way: Way) -> bool:
        """Whether one more message may go this way: in a call that has room for it, or in one of its own."""
        route, size = way
        return self.messages[route] >= 1 and (self._begun[way] % size > 0 or self.calls[route] > 0)

    def take(self, way: Way) -> None:
        """One more goes this way."""
        route, size = way
        self.calls[route] -= self._begun[way] % size == 0
        self.messages[route] -= 1
        self._begun[way] += 1

    def give_back(self, way: Way) -> None:
        """One that was to go this way does not."""
        route, size = way
        self._begun[way] -= 1
        self.messages[route] += 1
        self.calls[route] += self._begun[way] % size == 0


@define
class Permits:
    """Taken ahead, for what there is room for, and dropped when they are not used in time."""

    _given: dict[str, tuple[int, float]] = field(factory=dict, init=False)
    """How many are left by route, and when they were given."""

    async def renew(self, routes: Routes, wanted: Mapping[str, int], rates: Mapping[str, float]) -> None:
        """Ask for as many as are wanted by the routes that have a rate and were given none just now. Raises the port's
        errors.
        """
        time = asyncio.get_running_loop().time()
        self._given = {
            route: (left, given)
            for route, (left, given) in self._given.items()
            if time - given < (_PERMIT if left else _SLICE)
        }
        lacking = {route: wanted[route] for route in rates if wanted[route] > 0 and route not in self._given}
        if lacking:
            given = await routes.permits(lacking, {route: rates[route] for route in lacking})
            self._given |= {route: (amount, time) for route, amount in given.items()}

    def left(self, route: str, rate: float | None) -> float:
        """How many messages may go by a route that has this rate."""
        return self._given.get(route, (0, 0.0))[0] if rate else inf

    def used(self, route: str, messages: int) -> None:
        """Messages went by a route."""
        if route in self._given:
            amount, given = self._given[route]
            self._given[route] = (max(amount - messages, 0), given)
