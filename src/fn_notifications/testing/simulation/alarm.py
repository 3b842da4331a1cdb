"""When it is worth looking again: the simulation leaves out polls that would find nothing."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from types import MappingProxyType
from typing import Final

from attrs import define, field, frozen

_FIRST: Final = 5.0
_LONGEST: Final = 3600.0
"""Seconds between looks at something that stays as it is."""


class News(Enum):
    """What there may be something new of."""

    EVENTS = 1
    INBOX = 2
    LOG = 3
    DUE = 4
    TIMES = 5
    """Something falls due at another time than before."""


_OF: Final[Mapping[str, tuple[News, ...]]] = MappingProxyType(
    {
        "intake.store": (News.DUE, News.LOG),
        "people.save": (News.DUE,),
        "people.suppress": (News.DUE,),
        "receipts.receive": (News.INBOX,),
        "receipts.apply": (News.DUE, News.LOG),
        "deliveries.claim": (News.TIMES,),
        "deliveries.begin": (News.TIMES, News.LOG),
        "deliveries.finish": (News.DUE, News.LOG),
        "deliveries.release": (News.DUE,),
        "deliveries.change": (News.DUE, News.LOG),
        "routes.release": (News.DUE,),
    }
)


def news_of(port: str, name: str) -> tuple[News, ...]:
    """What a call that changed something may have made new."""
    return _OF.get(f"{port}.{name}", ())


@frozen
class Interest:
    """What a loop waits for."""

    news: News | None
    """None: for time alone."""
    timed: bool = False
    """Whether it also waits for the next thing to fall due."""


@define(eq=False, repr=False)
class Alarm:
    """Rung when something was changed."""

    next_due: Callable[[], float | None]
    """Seconds until something in the store falls due; None for never."""
    _counts: Counter[News] = field(factory=Counter, init=False)
    _waiting: list[tuple[Interest, "asyncio.Future[None]"]] = field(factory=list, init=False)

    def ring(self, *news: News) -> None:
        """There is something new of these."""
        self._counts.update(news)
        waiting, self._waiting = self._waiting, []
        for interest, one in waiting:
            if interest.news in news or (interest.timed and (News.TIMES in news or News.DUE in news)):
                _let_go(one)
            elif not one.done():
                self._waiting.append((interest, one))

    def seen(self, interest: Interest) -> int:
        """How much there was so far of what interests somebody."""
        return self._counts[interest.news] if interest.news else 0

    async def wait(self, interest: Interest, seen: int, longest: float) -> bool:
        """Return when there is something new since `seen`; False when only time went by."""
        loop = asyncio.get_running_loop()
        until = loop.time() + longest
        while self.seen(interest) == seen:
            due = self.next_due() if interest.timed else None
            at = until if due is None else min(loop.time() + due, until)
            rung = loop.create_future()
            self._waiting.append((interest, rung))
            timer = loop.call_at(at, _let_go, rung)
            try:
                await rung
            finally:
                timer.cancel()
            if loop.time() >= at:
                return self.seen(interest) != seen
        return True


def _let_go(waiting: "asyncio.Future[None]") -> None:
    if not waiting.done():
        waiting.set_result(None)


@define(eq=False, repr=False)
class Patient:
    """A loop's step that, having found nothing, rests until it is worth looking again.

    A poll that finds nothing changes nothing, so leaving it out changes nothing either, except the time a seed takes.
    What stays undone is looked at again after 5 s, 10 s and so on.
    """

    step: Callable[[], Awaitable[int]]
    interest: Interest
    alarm: Alarm
    lateness: Callable[[], float]
    """Seconds between the alarm and the look: what else rings by then is seen with it."""
    _fruitless: int = field(default=0, init=False)

    async def __call__(self) -> int:
        """One step, and after a vain one the rest."""
        seen = self.alarm.seen(self.interest)
        done = await self.step()
        if done:
            self._fruitless = 0
            return done
        rung = await self.alarm.wait(self.interest, seen, min(_FIRST * 2**self._fruitless, _LONGEST))
        self._fruitless = 0 if rung else min(self._fruitless + 1, 16)
        await asyncio.sleep(self.lateness())
        return 0
