"""What every `EventLog` keeps to. Subclass, provide the `stores` fixture, and pytest runs the rules."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta

import pytest

from fn_notifications.application.errors import Conflict
from fn_notifications.application.ports.deliveries import Begun
from fn_notifications.application.ports.eventlog import LEASE, Backlog, Entry
from fn_notifications.application.receipts import judge
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.testing.contracts.stores import (
    ADA,
    TENANT,
    Stores,
    answer,
    begun,
    meet,
    receipt,
    told,
    user,
)

LAPSE = timedelta(minutes=10)
"""Longer than a reader's lease."""


class EventLogContract:
    """Rules for the log of what happened, on its way out."""

    async def test_entries_come_again_until_they_are_published(self, stores: Stores) -> None:
        """Taken twice, the same twice; published, they are gone and the backlog is smaller."""
        await _sent(stores, 3)
        first = await stores.eventlog.take("relay", 2)
        assert len(first) == 2
        assert await stores.eventlog.take("relay", 2) == first
        assert (await stores.eventlog.backlog()).entries == 3
        await stores.eventlog.published("relay", first)
        assert (await stores.eventlog.backlog()).entries == 1
        (last,) = await stores.eventlog.take("relay", 2)
        assert last not in first
        await stores.eventlog.published("relay", [last])
        assert await stores.eventlog.take("relay", 2) == []
        assert (await stores.eventlog.backlog()).entries == 0

    async def test_an_entry_says_what_happened_to_whom(self, stores: Stores) -> None:
        """Keyed by the user, in the user's shard, with an id that is made from the change."""
        (one,) = await _sent(stores, 1)
        (entry,) = await stores.eventlog.take("relay", 10)
        assert (entry.key, entry.topic) == (one.notification.user.user_id, "fn-notifications.notification.sent")
        assert entry.data["notification_id"] == str(one.notification.id)
        assert entry.data["tenant"] == TENANT
        assert entry.id.startswith(one.delivery.key.event_key)

    async def test_one_persons_entries_keep_their_order(self, stores: Stores) -> None:
        """Sent before delivered, for every delivery, whatever the size of the pages."""
        wave = await _sent(stores, 8)
        reports = [receipt(one, ReceiptKind.DELIVERED, f"k{n}") for n, one in enumerate(wave)]
        await stores.receipts.receive(reports)
        await stores.receipts.apply(10, judge)
        entries = [*await stores.eventlog.take("relay", 3)]
        await stores.eventlog.published("relay", entries)
        entries += await _all(stores, page=100)
        versions: dict[str, list[int]] = {}
        for entry in entries:
            versions.setdefault(entry.data["delivery_id"], []).append(entry.data["version"])
        assert len(versions) == 8
        assert all(len(of_one) == 2 and of_one == sorted(of_one) for of_one in versions.values())

    async def test_nothing_is_skipped_under_concurrent_writes(self, stores: Stores) -> None:
        """Read while it is written: every entry once, none missing."""
        for number in range(8):
            await meet(stores, user(f"user{number}"), email=ADA.value)
            await told(stores, user(f"user{number}"), f"n{number}")
        wave = await begun(stores)
        writes = asyncio.gather(*(stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)]) for one in wave))
        entries: list[Entry] = []
        while not writes.done():
            page = await stores.eventlog.take("relay", 3)
            await stores.eventlog.published("relay", page)
            entries += page
        await writes
        entries += await _all(stores, page=3)
        assert sorted(entry.key for entry in entries) == sorted(one.notification.user.user_id for one in wave)

    async def test_one_reader_at_a_time(self, stores: Stores) -> None:
        """A second gets nothing until the first's lease runs out; then the first's word counts no more."""
        await _sent(stores, 2)
        held = await stores.eventlog.take("one", 10)
        assert await stores.eventlog.take("two", 10) == []
        with pytest.raises(Conflict):
            await stores.eventlog.published("two", held)
        await stores.advance(LAPSE)
        assert await stores.eventlog.take("two", 10) == held
        with pytest.raises(Conflict):
            await stores.eventlog.published("one", held)
        await stores.eventlog.published("two", held)
        assert (await stores.eventlog.backlog()).entries == 0

    async def test_a_lease_that_is_over_counts_no_more(self, stores: Stores) -> None:
        """Even when nobody has taken over yet: somebody may any moment, and would publish the same after it."""
        await _sent(stores, 2)
        held = await stores.eventlog.take("one", 10)
        await stores.advance(LAPSE)
        with pytest.raises(Conflict):
            await stores.eventlog.published("one", held)
        with pytest.raises(Conflict):
            await stores.eventlog.renew("one", held)
        assert (await stores.eventlog.backlog()).entries == 2
        assert await stores.eventlog.take("one", 10) == held
        await stores.eventlog.published("one", held)

    async def test_a_reader_may_take_its_time(self, stores: Stores) -> None:
        """As long as it renews its lease, nobody else gets what it holds."""
        await _sent(stores, 2)
        held = await stores.eventlog.take("one", 10)
        for _ in range(4):
            await stores.advance(LEASE / 2)
            await stores.eventlog.renew("one", held)
            assert await stores.eventlog.take("two", 10) == []
        with pytest.raises(Conflict):
            await stores.eventlog.renew("two", held)
        await stores.eventlog.published("one", held)

    async def test_readers_share_the_shards(self, stores: Stores) -> None:
        """Whoever comes while others hold some gets the rest; together they miss nothing and repeat nothing."""
        for number in range(12):
            await meet(stores, user(f"user{number}"), email=ADA.value)
            await told(stores, user(f"user{number}"), f"n{number}")
        wave = await begun(stores)
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in wave[:6]])
        first = await stores.eventlog.take("one", 100)
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in wave[6:]])
        assert await stores.eventlog.take("two", 100) == []
        await stores.eventlog.published("one", first)
        await stores.eventlog.release("one")
        second = await stores.eventlog.take("two", 100)
        keys = [entry.key for entry in (*first, *second)]
        assert sorted(keys) == sorted(f"user{number}" for number in range(12))

    async def test_what_is_not_told_is_moved_past(self, stores: Stores) -> None:
        """Planned, begun and skipped are rows of the log, but no entries, and no backlog."""
        await meet(stores, user(), email=ADA.value)
        await told(stores, user(), "one")
        await begun(stores)
        assert await stores.eventlog.take("relay", 10) == []
        assert await stores.eventlog.backlog() == Backlog()
        (account,) = [one for one in (await stores.history.ledger(TENANT)).accounts if one.equation == "transitions"]
        assert (account.expected, account.found) == (2, 2)

    async def test_the_backlog_says_since_when(self, stores: Stores) -> None:
        """The oldest entry's time."""
        early = (await _sent(stores, 1))[0]
        await stores.advance(LAPSE)
        await told(stores, user(), "later")
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in await begun(stores)])
        backlog = await stores.eventlog.backlog()
        assert backlog.entries == 2
        (first, second) = await stores.eventlog.take("relay", 10)
        assert backlog.oldest == first.at <= second.at - LAPSE / 2
        assert first.data["delivery_id"] == early.delivery.key.event_key

    async def test_a_reader_that_stops_makes_room_at_once(self, stores: Stores) -> None:
        """What it had not published comes to the next, who need not wait for the lease to end."""
        await _sent(stores, 2)
        held = await stores.eventlog.take("one", 10)
        await stores.eventlog.release("one")
        assert await stores.eventlog.take("two", 10) == held
        with pytest.raises(Conflict):
            await stores.eventlog.published("one", held)
        await stores.eventlog.release("one")
        await stores.eventlog.published("two", held)
        assert (await stores.eventlog.backlog()).entries == 0


async def _sent(stores: Stores, count: int) -> Sequence[Begun]:
    await meet(stores, user(), email=ADA.value)
    for number in range(count):
        await told(stores, user(), f"n{number}")
    wave = await begun(stores)
    await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in wave])
    return wave


async def _all(stores: Stores, page: int) -> list[Entry]:
    entries: list[Entry] = []
    while taken := await stores.eventlog.take("relay", page):
        assert len(taken) <= page
        await stores.eventlog.published("relay", taken)
        entries += taken
    return entries
