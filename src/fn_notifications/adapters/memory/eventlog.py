"""The event log in memory: sharded, one reader per shard by lease."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import islice

from attrs import frozen

from fn_notifications.adapters.memory.state import Shard, State
from fn_notifications.application.errors import Conflict
from fn_notifications.application.ports.eventlog import LEASE, Backlog, Entry


@frozen
class MemoryEventLog:
    """The EventLog port over a `State`."""

    state: State

    async def take(self, reader: str, limit: int) -> Sequence[Entry]:
        """See the port. Oldest first over all shards held."""
        async with self.state.lock:
            await asyncio.sleep(0)
            now = self.state.clock()
            for shard in self.state.shards:
                if shard.reader == reader or shard.lease_until is None or shard.lease_until <= now:
                    shard.reader, shard.lease_until = reader, now + LEASE
            held = [entry for shard in self._held(reader, now).values() for entry in islice(shard.waiting, limit)]
            return sorted(held, key=lambda entry: entry.position)[:limit]

    async def published(self, reader: str, entries: Sequence[Entry]) -> None:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            for number, shard in self._held_of(reader, entries).items():
                shard.published = max(entry.position for entry in entries if entry.shard == number)
                shard.waiting[:] = [entry for entry in shard.waiting if entry.position > shard.published]

    async def renew(self, reader: str, entries: Sequence[Entry]) -> None:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            for shard in self._held_of(reader, entries).values():
                shard.lease_until = self.state.clock() + LEASE

    async def release(self, reader: str) -> None:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            for shard in self.state.shards:
                if shard.reader == reader:
                    shard.reader = shard.lease_until = None

    async def backlog(self) -> Backlog:
        """See the port."""
        await asyncio.sleep(0)
        times = [entry.at for shard in self.state.shards for entry in shard.waiting]
        oldest = min(times, default=None)
        return Backlog(entries=len(times), oldest=oldest, lag=self.state.clock() - oldest if oldest else timedelta())

    def _held(self, reader: str, now: datetime) -> Mapping[int, Shard]:
        return {
            number: shard
            for number, shard in enumerate(self.state.shards)
            if shard.reader == reader and shard.lease_until is not None and shard.lease_until > now
        }

    def _held_of(self, reader: str, entries: Sequence[Entry]) -> Mapping[int, Shard]:
        """The shards of these, all held by this reader. Raises `Conflict`."""
        held = self._held(reader, self.state.clock())
        try:
            return {entry.shard: held[entry.shard] for entry in entries}
        except KeyError:
            raise Conflict("another reader holds the log") from None
