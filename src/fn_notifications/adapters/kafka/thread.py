"""A thread for things that allow only one, called from asyncio."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future
from functools import partial
from queue import SimpleQueue
from typing import Any, ParamSpec, TypeVar

from attrs import field, frozen

P = ParamSpec("P")
T = TypeVar("T")


@frozen
class JobThread:
    """Does jobs one after the other, those of cancelled callers too once they have begun.

    A daemon, unlike an executor's thread: a job that never ends does not keep the process from ending.
    """

    name: str
    _jobs: "SimpleQueue[tuple[Future[Any], Callable[[], Any]] | None]" = field(factory=SimpleQueue, init=False)

    def start(self) -> None:
        """Begin; once."""
        threading.Thread(target=self._work, name=self.name, daemon=True).start()

    def stop(self) -> None:
        """End after the jobs that are waiting; later ones are never done."""
        self._jobs.put(None)

    async def run(self, job: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Do one job, and return or raise what it does."""
        done: Future[T] = Future()
        self._jobs.put((done, partial(job, *args, **kwargs)))
        return await asyncio.wrap_future(done)

    def _work(self) -> None:
        while (entry := self._jobs.get()) is not None:
            done, job = entry
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(job())
                except BaseException as error:  # noqa: BLE001 - it is the caller's
                    done.set_exception(error)
