"""An event loop whose clock jumps to the next timer: hours pass in milliseconds, and always in the same order.

asyncio runs what is ready first in, first out. So the order of everything follows from the timers, and a simulation
that draws all its delays from one seeded source runs the same way every time.
"""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Final, TypeVar, cast

T = TypeVar("T")

_MOST_JUMPS: Final = 400_000
_ROUNDS: Final = 50


class Stuck(Exception):
    """Nothing is left that could ever happen, or things happen without end."""


class _Jumps:
    """Stands where a loop has its selector: instead of waiting for a socket, it moves the time on."""

    def __init__(self) -> None:
        self.now = 0.0
        self.jumps = 0

    def select(self, timeout: float | None) -> list[Any]:
        """Move on by `timeout` seconds. Raises `Stuck` when there is no timer to move on to, or no end."""
        self.jumps += 1
        if timeout is None:
            raise Stuck("every task waits for another")
        if self.jumps > _MOST_JUMPS:
            raise Stuck(f"no end after {_MOST_JUMPS} turns of the loop, at {self.now:.0f} s")
        self.now += timeout
        return []

    def close(self) -> None:
        """Nothing was opened."""


class _Task(asyncio.Task[T]):
    """A task with a number: sets of tasks are gone through in an order that no memory address decides."""

    def __init__(self, *args: Any, number: int, **kwargs: Any) -> None:
        self._number = number
        super().__init__(*args, **kwargs)

    def __hash__(self) -> int:
        return self._number


class VirtualLoop(asyncio.BaseEventLoop):
    """No sockets, no threads, no signals. Time starts at 0 and is in seconds."""

    def __init__(self) -> None:
        super().__init__()
        self._selector = _Jumps()
        numbers = itertools.count(1)

        def task(loop: asyncio.AbstractEventLoop, coro: Coroutine[Any, Any, T], **more: Any) -> _Task[T]:
            return _Task(coro, loop=loop, number=next(numbers), **more)

        self.set_task_factory(cast(Any, task))

    def time(self) -> float:
        """Seconds since the beginning of the simulated time."""
        return self._selector.now

    def _process_events(self, event_list: list[Any]) -> None:
        """There are none."""

    def _write_to_self(self) -> None:
        """Nobody waits in `select` to be woken from another thread."""


def run(main: Callable[[], Awaitable[T]]) -> T:
    """Run `main` in a virtual loop of its own, then end every task that is left, in the order they were made."""
    loop = VirtualLoop()
    try:
        asyncio.set_event_loop(loop)
        return loop.run_until_complete(_with_an_end(main))
    finally:
        asyncio.set_event_loop(None)
        loop.close()


async def _with_an_end(main: Callable[[], Awaitable[T]]) -> T:
    try:
        return await main()
    finally:
        await _collect()


async def _collect() -> None:
    """Cancel what is left until nothing is: what is cancelled may want to tidy up, and be cancelled again."""
    for _ in range(_ROUNDS):
        left = sorted(asyncio.all_tasks() - {asyncio.current_task()}, key=hash)
        if not left:
            return
        for task in left:
            task.cancel()
        await asyncio.wait(left, timeout=0.001)
    raise Stuck(f"{len(left)} tasks cannot be cancelled")
