"""The event log, its relays, the ledger and the pruner under faults 16, 17, 30, 31, 32, 38, 47 and 48."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import permutations
from typing import Final

import pytest
from attrs import define, field
from tests.services.stores import memory_stores, postgres_stores

from fn_notifications.adapters.memory.events import MemoryStream
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.outward import DELIVERED, SENT
from fn_notifications.application.ports.deliveries import Begun
from fn_notifications.application.ports.events import Outgoing
from fn_notifications.application.pruning import Pruning
from fn_notifications.application.receipts import judge
from fn_notifications.application.relay import Relay
from fn_notifications.domain.commands import Rescue
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.testing.contracts.storage import KEEPING, LONG, balanced, everything
from fn_notifications.testing.contracts.stores import (
    ADA,
    GRACE,
    LEASE,
    TENANT,
    Stores,
    answer,
    begun,
    delivery,
    meet,
    on_the_wire,
    receipt,
    told,
    user,
)

ORDERS: Final = tuple(
    permutations((ReceiptKind.ACCEPTED, ReceiptKind.DELIVERED, ReceiptKind.BOUNCED, ReceiptKind.OPENED))
)


@define
class Outside:
    """A broker and who listens to it."""

    stream: MemoryStream = field(factory=lambda: MemoryStream(lambda: datetime(2026, 6, 1, tzinfo=UTC)))

    def relay(self, stores: Stores, reader: str = "one", **more) -> Relay:
        more.setdefault("publisher", self.stream.publisher())
        return Relay(log=stores.eventlog, telemetry=MemoryTelemetry(), reader=reader, **more)

    def heard(self, *topics: str) -> list[dict]:
        """Every event on these topics, in order per user."""
        return [json.loads(one.value) for topic in topics for one in self.stream.records(topic)]


class LogFaults:
    """What holds for every store."""

    async def test_fault_16_ten_times_at_once_is_one_change_and_one_event(self, stores: Stores) -> None:
        one = await on_the_wire(stores)
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        report = receipt(one, ReceiptKind.DELIVERED, "k1")
        new = await asyncio.gather(*(stores.receipts.receive([report]) for _ in range(10)))
        assert sorted(new) == [0] * 9 + [1]
        applied = await asyncio.gather(*(stores.receipts.apply(10, judge) for _ in range(10)))
        assert sum(each.applied for each in applied) == 1
        entries = await stores.eventlog.take("relay", 10)
        assert [entry.topic for entry in entries] == [SENT, DELIVERED]
        assert (await delivery(stores, one.notification)).version == entries[-1].data["version"] == 4
        await balanced(stores)

    async def test_fault_17_every_order_ends_in_the_same_state(self, stores: Stores) -> None:
        """Delivered wins over a later bounce, whatever came in between; and the accounts do not show the order."""
        await meet(stores, user(), email=ADA.value)
        for number in range(len(ORDERS)):
            await told(stores, user(), f"n{number}")
        wave = await begun(stores)
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in wave])
        for step in range(len(ORDERS[0])):
            await stores.receipts.receive(
                [
                    receipt(one, order[step], f"{number}-{step}", hard=False)
                    for number, (one, order) in enumerate(zip(wave, ORDERS, strict=True))
                ]
            )
            await stores.receipts.apply(100, judge)
        ends = {one.notification.id: (await delivery(stores, one.notification)) for one in wave}
        assert {each.status for each in ends.values()} == {Status.DELIVERED}
        assert len({tuple(attempt.evidence for attempt in each.attempts) for each in ends.values()}) == 1
        await balanced(stores)

    async def test_fault_30_a_broker_that_is_away_holds_nothing_up(self, stores: Stores) -> None:
        """Events are stored meanwhile, and follow in order per delivery, each under its own id."""
        outside = Outside()
        relay = outside.relay(stores, batch=4)
        await _sent(stores, 3)
        outside.stream.go_down(after=2)
        with pytest.raises(Unavailable):
            await relay.once()
        wave = await _sent(stores, 9, "later")
        await stores.receipts.receive([receipt(one, ReceiptKind.DELIVERED, one.lease.key.event_key) for one in wave])
        await stores.receipts.apply(100, judge)
        for _ in range(5):
            await stores.advance(timedelta(minutes=6))
            with pytest.raises(Unavailable):
                await relay.once()
        outside.stream.come_up()
        assert await _drained(relay) == 21
        everything_heard = outside.heard(SENT, DELIVERED)
        assert len({event["id"] for event in everything_heard}) == 21
        assert len(everything_heard) == 21 + 2
        for one in wave:
            mine = [event["data"]["version"] for event in outside.heard(SENT, DELIVERED) if _is_of(event, one)]
            assert mine == sorted(mine)
            assert len(mine) == 2

    async def test_fault_32_a_relay_that_dies_after_the_answer_repeats_the_same_ids(self, stores: Stores) -> None:
        """Whoever listens knows them again."""
        outside = Outside()
        await _sent(stores, 4)

        class Killed(Exception):
            pass

        class Dies:
            async def publish(self, messages: Sequence[Outgoing]) -> None:
                await outside.stream.publisher().publish(messages)
                raise Killed

        with pytest.raises(Killed):
            await outside.relay(stores, publisher=Dies()).once()
        assert await outside.relay(stores, "two").once() == 0
        await stores.advance(timedelta(minutes=1))
        assert await _drained(outside.relay(stores, "two")) == 4
        ids = [event["id"] for event in outside.heard(SENT)]
        assert len(ids) == 8
        assert len(set(ids)) == 4

    async def test_fault_47_two_relays_on_one_shard_are_one(self, stores: Stores) -> None:
        """The one that was away comes back with a page in its hands: it moves nothing on, and skips nothing."""
        outside = Outside()
        await _sent(stores, 6)
        slow = await stores.eventlog.take("one", 3)
        await stores.advance(timedelta(minutes=1))
        second = outside.relay(stores, "two", batch=2)
        first = outside.relay(stores, "one", batch=2)
        while await second.once() + await first.once():
            pass
        assert len(slow) == 3
        ids = [event["id"] for event in outside.heard(SENT)]
        assert len(ids) == len(set(ids)) == 6
        assert (await stores.eventlog.backlog()).entries == 0

    async def test_fault_47_two_upkeeps_have_one_effect(self, stores: Stores) -> None:
        """Both find the same dead lease, the same old month, the same day to fold."""
        one = await on_the_wire(stores)
        await stores.advance(LEASE + timedelta(seconds=1))

        async def rescue() -> int:
            overdue = await stores.deliveries.overdue(10)
            return len(await stores.deliveries.change(overdue, lambda *_: Rescue(grace=GRACE)))

        assert sum(await asyncio.gather(*(rescue() for _ in range(4)))) == 1
        assert (await delivery(stores, one.notification)).version == 3
        await stores.deliveries.finish([answer(one, OutcomeKind.REFUSED)])
        for number in range(10):
            await _sent(stores, 1, f"n{number}")
        await stores.advance(LONG)
        await _drained(Outside().relay(stores))
        pruners = [Pruning(storage=stores.storage, keeping=KEEPING, telemetry=MemoryTelemetry()) for _ in range(3)]
        await asyncio.gather(*(_patiently(pruner.once) for pruner in pruners))
        assert await stores.history.recent(TENANT, 10) == []
        ledger = await stores.history.ledger(TENANT)
        assert (ledger.archived["notifications"], ledger.archived["identities"]) == (11, 11)
        await balanced(stores)

    async def test_fault_48_what_is_open_is_never_dropped(self, stores: Stores) -> None:
        """The pruner runs again and again while old and new messages are planned, sent and reported."""
        await meet(stores, user(), email=ADA.value)
        first = [await told(stores, user(), f"old{number}") for number in range(3)]
        old = await begun(stores)
        await stores.advance(LONG)
        stopped = asyncio.Event()

        async def prune() -> None:
            while not stopped.is_set():
                await _patiently(lambda: stores.storage.prune(KEEPING, 3))

        async def live() -> None:
            for number in range(12):
                (wave,) = await _sent(stores, 1, f"new{number}")
                await stores.receipts.receive([receipt(wave, ReceiptKind.DELIVERED, f"k{number}")])
                await stores.receipts.apply(10, judge)
                assert [(await delivery(stores, one)).status for one in first] == [Status.SENDING] * 3
            stopped.set()

        await asyncio.gather(prune(), live())
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in old])
        for one in first:
            assert (await delivery(stores, one)).status is Status.SENT
        await balanced(stores)
        await everything(stores)
        assert len(await stores.history.recent(TENANT, 100)) == 12
        await balanced(stores)


class TestInMemory(LogFaults):
    @pytest.fixture
    def stores(self) -> Stores:
        return memory_stores()


@pytest.mark.external
class TestInPostgres(LogFaults):
    @pytest.fixture
    async def stores(self, postgres_url: str) -> AsyncIterator[Stores]:
        async with postgres_stores(postgres_url) as (stores, _):
            yield stores


async def _begun(stores: Stores, count: int, name: str = "n") -> Sequence[Begun]:
    await meet(stores, user(), email=ADA.value)
    for number in range(count):
        await told(stores, user(), f"{name}-{number}")
    return await begun(stores)


async def _sent(stores: Stores, count: int, name: str = "n") -> Sequence[Begun]:
    wave = await _begun(stores, count, name)
    await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in wave])
    return wave


async def _drained(relay: Relay) -> int:
    """Publish until nothing is left. Returns how many."""
    total = 0
    while amount := await relay.once():
        total += amount
    return total


async def _patiently(step: Callable[[], Awaitable[object]]) -> None:
    """Again, as the supervisor does, when a table was too busy."""
    async with asyncio.timeout(60):
        while True:
            try:
                await step()
            except Unavailable:
                continue
            return


def _is_of(event: dict, one: Begun) -> bool:
    return event["data"]["delivery_id"] == one.lease.key.event_key
