"""Looking back, in memory."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from attrs import frozen

from fn_notifications.adapters.memory.state import State
from fn_notifications.application.ports.history import DeadLetter, Ledger, Story, Unsettled
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification


@frozen
class MemoryHistory:
    """The History port over a `State`."""

    state: State

    async def story(self, tenant: str, notification_id: UUID) -> Story | None:
        """See the port."""
        await asyncio.sleep(0)
        key = (tenant, notification_id)
        if key not in self.state.notifications:
            return None
        return Story(
            notification=self.state.whole(key),
            changes=self.state.changes.get(key, ()),
            receipts=self.state.receipts.get(key, ()),
            repeats=self.state.repeats.get(key, 0),
        )

    async def recent(self, tenant: str, limit: int, *, user_id: str | None = None) -> Sequence[Notification]:
        """See the port."""
        await asyncio.sleep(0)
        keys = [
            key
            for key, one in self.state.notifications.items()
            if key[0] == tenant and user_id in (None, one.user.user_id)
        ]
        return [self.state.whole(key) for key in sorted(keys, key=lambda key: key[1], reverse=True)[:limit]]

    async def dead_letters(self, tenant: str, limit: int) -> Sequence[DeadLetter]:
        """See the port."""
        await asyncio.sleep(0)
        letters = [letter for owner, letter in self.state.dead_letters if owner == tenant]
        return letters[: -limit - 1 : -1]

    async def unsettled(self, horizon: timedelta) -> Unsettled:
        """See the port."""
        await asyncio.sleep(0)
        soon = self.state.clock() + horizon
        statuses = [(self.state.deliveries[key].status, place) for key, place in self.state.due.items()]
        return Unsettled(
            sending=sum(status is Status.SENDING for status, _ in statuses),
            due_soon=sum(
                status is not Status.SENDING and place.at is not None and place.at <= soon for status, place in statuses
            ),
            unpublished=len(self.state.log) - self.state.published,
            unapplied=len(self.state.inbox),
        )

    async def ledger(self, tenant: str) -> Ledger:
        """See the port."""
        await asyncio.sleep(0)
        statuses = Counter(
            one.status for one in self.state.deliveries.values() if one.status and one.key.tenant == tenant
        )
        return Ledger(events=dict(self.state.outcomes), deliveries=dict(statuses))
