"""The append-only log of what happened, on its way out."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

from attrs import frozen

SHARDS: Final = 16
"""How many a log has. A user's entries are all in the one that `identity.shard_of` says, modulo this."""
LEASE: Final = timedelta(seconds=5)
"""How long a reader's word holds. What a killed one held is held back this long; renewing costs a few rows a second."""


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


@frozen(kw_only=True)
class Backlog:
    """What is not published yet."""

    entries: int = 0
    oldest: datetime | None = None
    """When the first of them happened."""
    lag: timedelta = timedelta()
    """How long ago that is, by the store's time."""


class EventLog(Protocol):
    """Every event of every delivery, and what else is told; sharded by user; one reader per shard at a time, by lease.

    Readers are given what has a topic. The rest is kept beside it, for the ledger, and moved past.
    """

    async def take(self, reader: str, limit: int) -> Sequence[Entry]:
        """The next entries of the shards this reader holds, leasing free ones first; in order per key.

        An entry is only seen once everything that could still come before it is committed or gone: nothing is ever
        skipped. The same entries come again until they are `published`.
        """
        ...

    async def published(self, reader: str, entries: Sequence[Entry]) -> None:
        """Move on past these, which must be the whole of the last `take`. Raises `Conflict` when the lease was lost."""
        ...

    async def renew(self, reader: str, entries: Sequence[Entry]) -> None:
        """Hold on to the shards of these while their publication takes its time. Raises `Conflict` when one is lost."""
        ...

    async def release(self, reader: str) -> None:
        """Give up this reader's shards, so that another need not wait for the lease to end. Idempotent."""
        ...

    async def backlog(self) -> Backlog:
        """What is not published yet, over all shards."""
        ...
