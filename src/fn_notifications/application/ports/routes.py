"""What all processes hold in common about the ways out: what is shut, held, pinned, slow, and how fast it may go."""

from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from attrs import frozen

from fn_notifications.domain.routes import Board, HoldKind
from fn_notifications.domain.slowness import Demotion, Speed
from fn_notifications.domain.stops import Turn, Word


@frozen(kw_only=True)
class Seen:
    """A board, and when it was read by the store's time."""

    now: datetime
    board: Board


Change = tuple[str, Demotion]
"""A route, and until when it goes behind the others of its channel."""
Judge = Callable[[Mapping[str, Demotion | None], Mapping[str, Speed], datetime], Change | None]
"""What changes, given how some routes stand and did: see `slowness.judged`."""


class Routes(Protocol):
    """Written when something turns, not with every call; read before calls are made. Time is the store's own.

    What is decided is `domain.stops` and `domain.slowness`, under lock: processes that tell the same thing at once
    agree, and one of them hears that it turned. `Deliveries.begin` reads the same board in its own transaction.
    """

    async def board(self) -> Seen:
        """Everything as it stands. Reads only."""
        ...

    async def report(self, words: Sequence[Word]) -> Sequence[Turn]:
        """Note what calls said about their ways, in this order. Returns what turned by it. One transaction.

        Idempotent: what is known already, or came too late to say anything, turns nothing.
        """
        ...

    async def permits(self, wanted: Mapping[str, int], rates: Mapping[str, float]) -> Mapping[str, int]:
        """Up to so many permits to call, per route; `rates` has each route's calls a second.

        One rate for all who ask: what one process took, no other gets. What is not used up at once is to be dropped.
        """
        ...

    async def hold(self, kind: HoldKind, name: str, *, reason: str, by: str) -> bool:
        """Hold a type, channel, route or everything back. False when it was held already: the first hold stays.

        Calls that have begun go on; nothing begins after this returns.
        """
        ...

    async def release(self, kind: HoldKind, name: str) -> bool:
        """End a hold. False when there was none. What waits under any hold is looked at again at once.

        Releasing a route, held or not, also lets a probe try at once what is shut on its way: somebody mended it.
        Several transactions, and idempotent: after a crash half-way, the same again wakes the rest, and so does time.
        """
        ...

    async def pin(self, route: str, span: timedelta, *, reason: str, by: str) -> datetime:
        """Try this route of its channel first, for so long; ends any other pin there. Returns until when."""
        ...

    async def unpin(self, route: str) -> bool:
        """End a pin. False when there was none."""
        ...

    async def weigh(self, routes: Collection[str], judge: Judge) -> Change | None:
        """Measure these routes of one channel, ask what changes, write it down, and return it. One transaction.

        Measured are the latest attempts old enough to be late (see `slowness`), a bounded sample. A route none of
        whose messages was reported delivered counts as not measured: nobody knows when they arrived.
        """
        ...
