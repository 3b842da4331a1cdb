"""How far a process has read an index that rows enter at one end and leave at the other.

While somebody holds an old snapshot, nothing that died since can be cleared away: whoever reads such an index from
its beginning walks over every row that ever passed, three million after an hour of 800 messages a second. So it is
read from where it was read to a moment ago, and from the very beginning only now and then, for what stands further
back: what came back with an old rank, what a slow transaction wrote down late.
"""

import math
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Final, Generic, TypeVar

from attrs import define, field

_MARGIN: Final = 3.0
"""Seconds. A mark is read from once it is so old, since a transaction may commit that much after it took its place."""
_REST: Final = 30
"""A look at everything takes no more than one part in so many of the time."""

Part = TypeVar("Part", bound=Hashable)
Mark = TypeVar("Mark", int, datetime)


@define
class Reach(Generic[Part, Mark]):
    """Where each part of an index was read to. Nothing depends on it but what a look costs, and when a straggler is
    found: as soon as everything is looked at again.
    """

    cheap: float = 0.02
    """Seconds. Everything is looked at every time as long as that takes no longer."""
    clock: Callable[[], float] = time.monotonic
    _known: dict[Part, Mark] = field(factory=dict, init=False)
    _ageing: dict[Part, Mark] = field(factory=dict, init=False)
    _fresh: dict[Part, Mark] = field(factory=dict, init=False)
    _behind: dict[Part, Mark] = field(factory=dict, init=False)
    """Where to go on when a look at everything found more than it could take."""
    _aged_at: float = field(default=-math.inf, init=False)
    """When what is ageing is old enough to be read from."""
    _whole_from: float = field(default=-math.inf, init=False)
    """When everything is looked at again."""

    @contextmanager
    def look(self) -> Iterator[Mapping[Part, Mark]]:
        """From where to read each part, which it includes; from the beginning, those that are not named.

        The look is what happens in the block. Of several at once only one is at everything.
        """
        began = self.clock()
        if began >= self._aged_at:
            self._known, self._ageing, self._aged_at = self._ageing, dict(self._fresh), began + _MARGIN
        whole, behind = began >= self._whole_from, self._behind
        self._behind = {}
        if whole:
            self._whole_from = math.inf
        try:
            yield {} if whole else {**self._known, **behind}
        finally:
            ended = self.clock()
            rested = ended + _REST * (ended - began) if ended - began > self.cheap else ended
            if whole:
                self._whole_from = rested
            elif behind:
                self._whole_from = max(self._whole_from, rested)

    @property
    def resting(self) -> Mapping[Part, Mark]:
        """From where each part is read, while a look at everything costs too much to be made every time."""
        return self._known if self.clock() < self._whole_from else {}

    def reached(self, part: Part, mark: Mark) -> None:
        """The part was read to here, and nothing is left before."""
        known = self._known.get(part)
        if known is not None and mark < known:
            self._behind[part] = mark
            return
        self._fresh[part] = max(mark, self._fresh.get(part, mark))


def since(marks: Mapping[Part, datetime], part: Part) -> str:
    """From when on to read a part, for a statement."""
    return marks[part].isoformat() if part in marks else "-infinity"
