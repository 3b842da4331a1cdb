"""The inbox of reports, in memory."""

import asyncio
from collections.abc import Sequence

from attrs import frozen

from fn_notifications.adapters.memory.people import suppress
from fn_notifications.adapters.memory.state import EARLY, Inboxed, State
from fn_notifications.adapters.memory.transitions import write
from fn_notifications.application.ports.people import OptOut
from fn_notifications.application.ports.receipts import Applied, Judge
from fn_notifications.domain.delivery import DeliveryKey, decide
from fn_notifications.domain.identity import parse_attempt_id
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.receipts import CAUSES, Receipt, ReceiptKind


@frozen
class MemoryReceipts:
    """The Receipts port over a `State`."""

    state: State
    tenant: str = "default"

    async def receive(self, receipts: Sequence[Receipt]) -> int:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            new = 0
            for receipt in receipts:
                key = (receipt.provider, receipt.key)
                if key not in self.state.receipt_keys:
                    self.state.receipt_keys.add(key)
                    if parse_attempt_id(receipt.attempt_id or "") is None:
                        self.state.nameless[key] = self.state.clock()
                    self.state.inbox.append(Inboxed(receipt=receipt, received_at=self.state.clock()))
                    new += 1
            self.state.reported += new
            return new

    async def reporting(self) -> frozenset[str]:
        """See the port."""
        await asyncio.sleep(0)
        return frozenset(provider for provider, _ in self.state.receipt_keys)

    async def apply(self, limit: int, judge: Judge) -> Applied:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            batch, rest = self.state.inbox[:limit], self.state.inbox[limit:]
            doubtful = {key for key, one in self.state.deliveries.items() if one.status is Status.IN_DOUBT}
            waiting = [one for one in batch if not self._apply(one.receipt, judge)]
            parked = [one for one in waiting if self.state.clock() - one.received_at >= EARLY]
            waiting = [one for one in waiting if one not in parked]
            # Those that wait go behind the others, or a full page of them would starve the rest.
            self.state.inbox[:] = [*rest, *waiting]
            return Applied(
                applied=len(batch) - len(waiting) - len(parked),
                waiting=len(waiting),
                parked=len(parked),
                resolved=sum(self.state.deliveries[key].status is not Status.IN_DOUBT for key in doubtful),
            )

    def _apply(self, receipt: Receipt, judge: Judge) -> bool:
        """Whether it could be applied: a report about an address alone always can."""
        named = parse_attempt_id(receipt.attempt_id or "")
        if receipt.attempt_id is not None:
            key = DeliveryKey(tenant=self.tenant, notification_id=named[0], no=named[1]) if named else None
            before = self.state.deliveries.get(key) if key else None
            if named is None or before is None or named[2] > len(before.attempts):
                return False
            notification = self.state.whole((self.tenant, named[0]))
            now = self.state.clock()
            command = judge(before, receipt, now)
            if command and (events := decide(before, command, now)):
                write(self.state, notification, before, events, reported=True)
            told = self.state.receipts.get((self.tenant, named[0]), ())
            self.state.receipts[self.tenant, named[0]] = (*told, (named[1], receipt))
        self._suppress(receipt)
        return True

    def _suppress(self, receipt: Receipt) -> None:
        lifted = receipt.kind is ReceiptKind.OPTED_IN
        if receipt.channel is None or receipt.address is None or not (receipt.suppresses or lifted):
            return
        suppress(
            self.state,
            OptOut(
                tenant=self.tenant,
                channel=receipt.channel,
                address=receipt.address,
                cause=CAUSES[receipt.kind],
                at=receipt.at,
                lifted=lifted,
            ),
        )
