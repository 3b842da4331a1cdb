"""One incarnation of a process as the outside meets it: every call it makes goes through here, or goes nowhere.

A killed process is not told: its calls never take effect any more and never return, and what its tasks would still
do, nobody sees. A frozen one goes no further than its next call until it thaws. A call has two halves, and anything
may happen in either: before its effect, and after it, when the caller does not know yet.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Final, TypeVar, cast

from attrs import define, field, frozen

from fn_notifications.application.errors import PortError, Unavailable
from fn_notifications.testing.simulation.alarm import news_of
from fn_notifications.testing.simulation.faults import Fault
from fn_notifications.testing.simulation.surroundings import Surroundings

T = TypeVar("T")


@define(eq=False, repr=False)
class Life:
    """From a start to an end."""

    name: str
    struck: Callable[["Life", Fault], None]
    """What a mishap that hits this process brings about."""
    alive: bool = True
    stopping: bool = False
    _thaw: "asyncio.Future[None] | None" = field(default=None, init=False)
    _lost: list["asyncio.Future[None]"] = field(factory=list, init=False)

    @property
    def frozen(self) -> bool:
        """Whether it stands still."""
        return self._thaw is not None

    @property
    def doubtful(self) -> bool:
        """Whether what it has on the wire may never be written down."""
        return self.frozen or self.stopping or not self.alive

    def freeze(self) -> None:
        """Stand still until `thaw`."""
        if self._thaw is None:
            self._thaw = asyncio.get_running_loop().create_future()

    def thaw(self) -> None:
        """Go on."""
        if self._thaw is not None:
            self._thaw.set_result(None)
            self._thaw = None

    async def here(self) -> None:
        """Go on only if this process does. For a dead one this never returns."""
        while self._thaw is not None:
            await asyncio.shield(self._thaw)
        if not self.alive:
            never: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._lost.append(never)  # or the task would be garbage, and be collected at a moment of its own
            await never

    async def half(self, around: Surroundings, *, quiet: bool = False) -> None:
        """Half a call: time passes, and the process may not live through it (unless `quiet`)."""
        if seconds := around.dice.latency():
            await asyncio.sleep(seconds)
        if not quiet:
            self._befall(around)
        if self._thaw is not None or not self.alive:
            await self.here()

    def _befall(self, around: Surroundings) -> None:
        """Whatever may hit a process at any instruction."""
        for fault in (Fault.KILL, Fault.FREEZE, Fault.TERMINATE):
            if self.alive and not self.doubtful and around.dice.strikes(fault):
                self.struck(self, fault)


READS: Final = frozenset(
    {
        *("load", "story", "recent", "dead_letters", "unsettled", "ledger", "doubts", "doubtful", "taken_from"),
        *("overdue", "outlived", "waiting", "backlog", "board", "reporting", "held", "opened", "tally", "vitals"),
    }
)
"""Methods of the store's ports that change nothing: a mishap there would show no more than one a call later."""
POLLS: Final = frozenset({"claim", "take", "apply", "permits", "weigh", "prune", "renew"})
"""Methods that loops call again and again, and that mostly change nothing."""


@frozen(eq=False, repr=False)
class Line:
    """The way from a process to one port."""

    life: Life
    around: Surroundings
    port: str
    store: bool = True

    async def call(self, name: str, effect: Callable[..., Awaitable[Any]], args: Any, kwargs: Any) -> Any:
        """Make one call of a port, late, in part or in vain."""
        dice, life = self.around.dice, self.life
        await life.half(self.around, quiet=name in POLLS or name in READS)
        self._may_fail(name)
        try:
            result = await effect(*args, **kwargs)
        except PortError as error:
            self.around.happened(life.name, f"{self.port}.{name}", type(error).__name__)
            await life.half(self.around)
            raise
        self.around.watch.saw(life, name, args, result)
        self.around.happened(life.name, f"{self.port}.{name}", _amount(result))
        if name == "claim" and result:
            self.around.claimed(result)
        if name not in READS and (result is None or name == "begin" or _amount(result)):
            self.around.alarm.ring(*news_of(self.port, name))
        if name in READS or (name in POLLS and not _amount(result)):
            await life.here()
            return result
        await life.half(self.around)
        if self.store and name not in READS and dice.strikes(Fault.COMMIT_UNKNOWN):
            self.around.watch.unanswered(name, result)
            raise Unavailable("the connection was lost on commit")
        return result

    def _may_fail(self, name: str) -> None:
        if not self.store:
            return
        if self.around.weather.store_out or self.life.name in self.around.weather.store_cut:
            self.around.happened(self.life.name, f"{self.port}.{name}", "out of reach")
            raise Unavailable("the store cannot be reached")
        if self.around.dice.strikes(Fault.STORE_ERROR):
            self.around.happened(self.life.name, f"{self.port}.{name}", "failed")
            raise Unavailable("the store failed")


class _Wired:
    """Any port, reached over a line."""

    def __init__(self, target: object, line: Line) -> None:
        self._target = target
        self._line = line

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        effect = getattr(self._target, name)

        async def call(*args: Any, **kwargs: Any) -> Any:
            return await self._line.call(name, effect, args, kwargs)

        return call


def wired(target: T, line: Line) -> T:
    """The same port, as a process reaches it that may be late, frozen, cut off or dead."""
    return cast(T, _Wired(target, line))


def _amount(result: object) -> object:
    """How much a call came to, for the trace; nothing when it changed nothing."""
    if isinstance(result, Collection):
        return len(result)
    applied = getattr(result, "applied", None)
    if applied is not None:
        return applied + getattr(result, "parked", 0)
    return "" if result is None else 1 if not isinstance(result, int) else result
