"""Transactions that take turns, one statement at a time, in an order that chance decides and a seed repeats."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Final

import psycopg
from attrs import define, field
from tests.services.interposed import Interposer, Run, run_it

from fn_notifications.adapters.postgres.pool import Connection

_SOON: Final = 0.002
"""Seconds after which a statement that has not returned is asked for: it may wait for somebody's lock."""
_LONGEST: Final = 30.0
_WAITING: Final = "SELECT pid FROM unnest(%s::int[]) AS pid WHERE pg_blocking_pids(pid) && %s::int[]"


@define(eq=False)
class Actor:
    """Whoever executes statements. Use it as an interposer."""

    turns: "Turns"
    inner: Interposer = run_it
    """Comes after it: once the turn is granted."""
    pid: int = 0
    granted: asyncio.Event = field(factory=asyncio.Event)
    ready: bool = False
    """Its next statement waits for a turn."""
    done: bool = False
    committed: int = 0
    """The turn with which its last transaction ended well."""

    async def __call__(self, connection: Connection, statement: str, run: Run) -> Any:
        self.pid = connection.info.backend_pid
        self.granted.clear()
        self.ready = True
        self.turns.changed.set()
        await self.granted.wait()
        result = await self.inner(connection, statement, run)
        if statement == "COMMIT":
            self.committed = self.turns.taken
        return result


@define(eq=False)
class Turns:
    """Who goes next. `observer` is a connection of nobody else's."""

    random: Random
    observer: psycopg.AsyncConnection[Any]
    looking: asyncio.Lock
    """Held while the observer is asked."""
    changed: asyncio.Event = field(factory=asyncio.Event)
    taken: int = 0
    waits: int = 0
    """How often somebody waited for another's lock."""
    actors: list[Actor] = field(factory=list)

    def actor(self, inner: Interposer = run_it) -> Actor:
        """Another one who takes turns."""
        self.actors.append(Actor(self, inner))
        return self.actors[-1]

    async def play(self, works: Sequence[Callable[[], Awaitable[Any]]]) -> list[Any]:
        """Run what each actor does, in turns, to the end of all. Returns what each came to."""

        async def one(actor: Actor, work: Callable[[], Awaitable[Any]]) -> Any:
            try:
                return await work()
            finally:
                actor.done = True
                self.changed.set()

        tasks = [asyncio.create_task(one(*each)) for each in zip(self.actors, works, strict=True)]
        try:
            async with asyncio.timeout(_LONGEST):
                while await self._settled():
                    chosen = self.random.choice([actor for actor in self.actors if actor.ready])
                    chosen.ready = False
                    self.taken += 1
                    chosen.granted.set()
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _settled(self) -> bool:
        """Wait until everybody is ready, done, or waits for a lock. Returns whether anybody is ready."""
        while busy := [actor for actor in self.actors if not (actor.ready or actor.done)]:
            self.changed.clear()
            try:
                async with asyncio.timeout(_SOON):
                    await self.changed.wait()
            except TimeoutError:
                if await self._wait_for_locks(busy) and any(actor.ready for actor in self.actors):
                    self.waits += 1
                    return True
        return any(actor.ready for actor in self.actors)

    async def _wait_for_locks(self, busy: Sequence[Actor]) -> bool:
        async with self.looking:
            pids = [actor.pid for actor in busy], [actor.pid for actor in self.actors]
            rows = await (await self.observer.execute(_WAITING, pids)).fetchall()
        return len(rows) == len(busy)
