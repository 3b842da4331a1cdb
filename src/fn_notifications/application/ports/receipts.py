"""Reports from providers: stored once, applied later."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol

from attrs import frozen

from fn_notifications.domain.commands import Command
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.receipts import Receipt


@frozen(kw_only=True)
class Applied:
    """What one round did."""

    applied: int = 0
    waiting: int = 0
    """Their attempt is not known (yet)."""
    parked: int = 0
    """Waited too long; kept, and never looked at again."""
    resolved: int = 0
    """Deliveries that were in doubt and no longer are."""


Judge = Callable[[Delivery, Receipt, datetime], Command | None]
"""What a receipt asks of its delivery."""


class Receipts(Protocol):
    """The inbox of reports."""

    async def receive(self, receipts: Sequence[Receipt]) -> int:
        """Store reports, each key of a provider once, in one transaction. Returns how many were new."""
        ...

    async def reporting(self) -> frozenset[str]:
        """The provider accounts that ever sent a report. What is pruned since does not matter."""
        ...

    async def apply(self, limit: int, judge: Judge) -> Applied:
        """Apply up to `limit` stored reports, in one transaction: to their deliveries and to suppressions.

        Order does not matter. One whose attempt nobody knows waits, for a bounded time.
        """
        ...
