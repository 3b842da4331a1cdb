"""The append-only log of what happened, on its way out."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from attrs import frozen


@frozen(kw_only=True)
class Entry:
    """One fact for the outside. `id` is stable: the same change has the same id however often it is published."""

    id: str
    topic: str
    key: str
    """Equal keys keep their order."""
    at: datetime
    data: Mapping[str, Any]
    shard: int
    position: int


class EventLog(Protocol):
    """Sharded by user; one reader per shard at a time, by lease."""

    async def take(self, reader: str, limit: int) -> Sequence[Entry]:
        """The next entries of the shards this reader holds, leasing free ones first; in order per key.

        An entry is only seen once everything that could still come before it is committed or gone: nothing is ever
        skipped. The same entries come again until they are `published`.
        """
        ...

    async def published(self, reader: str, entries: Sequence[Entry]) -> None:
        """Move on past these, which must be the whole of the last `take`. Raises `Conflict` when the lease was lost."""
        ...

    async def release(self, reader: str) -> None:
        """Give up this reader's shards, so that another need not wait for the lease to end. Idempotent."""
        ...

    async def backlog(self) -> int:
        """How many entries are not published yet."""
        ...
