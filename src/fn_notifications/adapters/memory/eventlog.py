"""The event log in memory: one reader at a time, one shard for all."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Final

from attrs import frozen

from fn_notifications.adapters.memory.state import State
from fn_notifications.application.errors import Conflict
from fn_notifications.application.ports.eventlog import Entry

_LEASE: Final = timedelta(seconds=30)


@frozen
class MemoryEventLog:
    """The EventLog port over a `State`."""

    state: State

    async def take(self, reader: str, limit: int) -> Sequence[Entry]:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            now = self.state.clock()
            held = self.state.reader
            if held and held[0] != reader and held[1] > now:
                return []
            self.state.reader = (reader, now + _LEASE)
            return [
                Entry(
                    id=one.outward.id,
                    topic=one.outward.topic,
                    key=one.outward.key,
                    at=one.outward.at,
                    data=one.outward.data,
                    shard=one.shard,
                    position=one.position,
                )
                for one in self.state.log[self.state.published : self.state.published + limit]
            ]

    async def published(self, reader: str, entries: Sequence[Entry]) -> None:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            if not self.state.reader or self.state.reader[0] != reader:
                raise Conflict("another reader holds the log")
            if entries:
                self.state.published = max(self.state.published, entries[-1].position + 1)

    async def release(self, reader: str) -> None:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            if self.state.reader and self.state.reader[0] == reader:
                self.state.reader = None

    async def backlog(self) -> int:
        """See the port."""
        await asyncio.sleep(0)
        return len(self.state.log) - self.state.published
