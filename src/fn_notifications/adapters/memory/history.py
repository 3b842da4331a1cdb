"""Looking back, in memory."""

import asyncio
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from uuid import UUID

from attrs import frozen

from fn_notifications.adapters.memory.ledger import Accounts, backlog, day_at
from fn_notifications.adapters.memory.state import State
from fn_notifications.application.ports.history import DeadLetter, Doubtful, Story, Unsettled
from fn_notifications.application.ports.ledger import Backlog, Ledger
from fn_notifications.domain.address import Channel
from fn_notifications.domain.delivery import Delivery, DeliveryKey
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
            read_at=self.state.clock(),
            queue={
                one.no: place.at for one, place in self.state.due.items() if key == (one.tenant, one.notification_id)
            },
            changes=self.state.changes.get(key, ()),
            overruled=self.state.overruled.get(key, ()),
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

    async def doubtful(
        self, tenant: str, limit: int, *, held: bool, after: DeliveryKey | None = None
    ) -> Sequence[Doubtful]:
        """See the port."""
        await asyncio.sleep(0)
        last = (after.notification_id, after.no) if after else (UUID(int=0), 0)
        found = [
            one
            for one in self._in_doubt(tenant)
            if (one.key.notification_id, one.key.no) > last and (not held or one.due_at == one.expires_at)
        ]
        found.sort(key=lambda one: (one.key.notification_id, one.key.no))
        return [
            Doubtful(type=self.state.notifications[tenant, one.key.notification_id].type, delivery=one)
            for one in found[:limit]
        ]

    async def doubts(self, tenant: str) -> Mapping[Channel, int]:
        """See the port."""
        await asyncio.sleep(0)
        return Counter(one.channel for one in self._in_doubt(tenant))

    def _in_doubt(self, tenant: str) -> list[Delivery]:
        owned = (one for key, one in self.state.deliveries.items() if key.tenant == tenant)
        return [one for one in owned if one.status is Status.IN_DOUBT]

    async def dead_letters(self, tenant: str, limit: int) -> Sequence[DeadLetter]:
        """See the port."""
        await asyncio.sleep(0)
        letters = [letter for owner, letter in self.state.dead_letters if owner == tenant]
        return letters[: -limit - 1 : -1]

    async def unsettled(self, horizon: timedelta, waiting: Collection[Channel] = ()) -> Unsettled:
        """See the port."""
        await asyncio.sleep(0)
        soon = self.state.clock() + horizon
        open_ = [(self.state.deliveries[key], place) for key, place in self.state.due.items()]
        due = [one for one, place in open_ if place.at is not None and place.at <= soon]
        waits = sum(one.status is Status.PENDING and one.channel in waiting for one in due)
        return Unsettled(
            sending=sum(one.status is Status.SENDING for one, _ in open_),
            due_soon=sum(one.status in (Status.PENDING, Status.IN_DOUBT) for one in due) - waits,
            unpublished=sum(len(shard.waiting) for shard in self.state.shards),
            unapplied=len(self.state.inbox),
        )

    async def backlog(self, tenant: str) -> Sequence[Backlog]:
        """See the port."""
        await asyncio.sleep(0)
        return backlog(self.state, tenant)

    async def ledger(self, tenant: str, days: int | None = None) -> Ledger:
        """See the port."""
        await asyncio.sleep(0)
        since = 0 if days is None else day_at(self.state.clock()) - days + 1
        return Accounts(self.state, tenant, since).ledger()

    async def taken_from(self, tenant: str, topics: Collection[str]) -> frozenset[str]:
        """See the port."""
        await asyncio.sleep(0)
        return frozenset(topic for topic in topics if (tenant, topic) in self.state.topics)
