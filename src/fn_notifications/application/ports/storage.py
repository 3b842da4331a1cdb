"""The store's own upkeep: what is thrown away when its time is over, and how the store fares."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Protocol

from attrs import field, frozen


@frozen(kw_only=True)
class Keeping:
    """How long things are kept."""

    history: timedelta
    """Notifications with their deliveries, attempts and reports, by month of event time: a month goes as a whole."""
    events: timedelta
    """Identities of events, deduplication keys, dead letters, reports that are about none of our attempts."""
    queue: timedelta
    """The intakes of a day that is over this long stand for themselves; then one for all."""
    log: timedelta = timedelta(hours=48)
    """The event log, by day."""


@frozen(kw_only=True)
class Pruned:
    """What one round threw away."""

    amounts: Mapping[str, int] = field(factory=dict)
    """Rows by what they were; partitions of the event log count one each."""
    held: Mapping[str, int] = field(factory=dict)
    """What stays although its time is over: months with something open, days of the log that are not published."""


@frozen(kw_only=True)
class Vitals:
    """How a store fares."""

    oldest_transaction: timedelta = timedelta()
    """Age of the oldest that keeps dead rows from being cleared away."""
    queue_dead: int = 0
    """Dead rows that claims walk over."""


class Storage(Protocol):
    """Looks after the store; any number of processes may do so at once."""

    async def prune(self, keeping: Keeping, limit: int) -> Pruned:
        """Throw away what is past its time, up to about `limit` rows of each thing, or a partition.

        Never anything open: a delivery with a next wake-up, a report that waits, an entry that is not published. What
        the ledger counts is counted as archived in the transaction that throws it away. No lock that anybody waits
        for is held for a second. Nothing in `amounts`: there was nothing left.
        """
        ...

    async def vitals(self) -> Vitals:
        """How it fares now."""
        ...
