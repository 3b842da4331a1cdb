"""Everything a store is for, at once: events stored, calls made, answers written, doubts cleared up. No part gives up.

There is no provider: a call is counted, and accepted.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import Final, TypeVar

from attrs import define, field

from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.intake import Event
from fn_notifications.domain.address import EMAIL
from fn_notifications.domain.commands import Command, Remedy, Rescue, Settle
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.testing.contracts.stores import (
    TENANT,
    Stores,
    allowing,
    answer,
    event,
    meet,
    proposal,
    stored,
    user,
)

T = TypeVar("T")

_LEASE: Final = timedelta(seconds=30)


@define(kw_only=True)
class Load:
    """Some thousand steps over a store that may fail at any of them."""

    stores: Stores
    events: Sequence[Event]
    acknowledged: set[bytes] = field(factory=set)
    calls: Counter[str] = field(factory=Counter)
    """By delivery."""
    failures: int = 0
    moved: asyncio.Event = field(factory=asyncio.Event)
    _stopping: bool = False

    async def run(self, disturb: Callable[["Load"], Awaitable[None]]) -> None:
        """Store every event and send every message; `disturb` goes on meanwhile. Returns when all that is done."""
        writers = [asyncio.create_task(self._store(self.events[start::4])) for start in range(4)]
        workers = [asyncio.create_task(self._send(f"w{number}")) for number in range(4)]
        disturbing = asyncio.create_task(disturb(self))
        try:
            async with asyncio.timeout(120):
                await asyncio.gather(disturbing, *writers)
                await self._drain()
        finally:
            self._stopping = True
            await asyncio.gather(disturbing, *writers, *workers, return_exceptions=True)
        for worker in workers:
            worker.result()

    async def reached(self, stored: int) -> None:
        """Return once so many events are acknowledged."""
        while len(self.acknowledged) < stored:
            self.moved.clear()
            await self.moved.wait()

    async def _store(self, events: Sequence[Event]) -> None:
        for one in events:
            await self._insist(lambda one=one: stored(self.stores, one))
            self.acknowledged.add(one.identity)
            self.moved.set()

    async def _send(self, worker: str) -> None:
        while not self._stopping:
            try:
                leases = await self.stores.deliveries.claim({EMAIL: 5}, worker=worker, lease=_LEASE)
                begun = await self.stores.deliveries.begin(leases, allowing())
            except Unavailable:
                self.failures += 1
                continue
            self.calls.update(one.delivery.key.event_key for one in begun)
            answers = [answer(one, OutcomeKind.ACCEPTED) for one in begun]
            await self._insist(lambda answers=answers: self.stores.deliveries.finish(answers))
            if not begun:
                await asyncio.sleep(0.01)

    async def _drain(self) -> None:
        """Let time pass until nothing is left open, and clear up what nobody else comes back for."""
        while await self._insist(self._open):
            overdue = await self._insist(lambda: self.stores.deliveries.overdue(100))
            await self._insist(lambda overdue=overdue: self.stores.deliveries.change(overdue, _upkeep))
            if not overdue:
                await self._insist(lambda: self.stores.advance(timedelta(seconds=10)))

    async def _open(self) -> int:
        ledger = await self.stores.history.ledger(TENANT)
        return sum(count for status, count in ledger.deliveries.items() if status is not Status.SENT)

    async def _insist(self, work: Callable[[], Awaitable[T]]) -> T:
        while True:
            try:
                return await work()
            except Unavailable:
                self.failures += 1


def _upkeep(_: Notification, delivery: Delivery, __: datetime) -> Command:
    if delivery.status is Status.SENDING:
        return Rescue(grace=timedelta())
    return Settle(remedy=Remedy.RESEND)


async def events_for(stores: Stores, count: int) -> Sequence[Event]:
    """So many events, each with something to tell somebody who is known."""
    await meet(stores, user(), email="ada@example.com")
    return [event(f"n{n}", await proposal(stores, user(), f"n{n}")) for n in range(count)]
