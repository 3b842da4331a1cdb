"""What every `Receipts` store keeps to. Subclass, provide the `stores` fixture, and pytest runs the rules."""

import asyncio
from datetime import timedelta
from itertools import permutations
from uuid import UUID

from attrs import evolve

from fn_notifications.application.ports.receipts import Applied
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import EMAIL
from fn_notifications.domain.events import Evidence
from fn_notifications.domain.identity import attempt_id
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.testing.contracts.stores import (
    ADA,
    Stores,
    answer,
    begun,
    delivery,
    meet,
    now,
    on_the_wire,
    point,
    receipt,
    story,
    told,
    user,
)

SECOND = timedelta(seconds=1)
BOUND = timedelta(hours=1)
"""Longer than any store keeps looking for an attempt."""


class ReceiptsContract:
    """Rules for the inbox of reports."""

    async def test_a_report_is_stored_once(self, stores: Stores) -> None:
        """By its provider's key, twice in a batch or in two; another provider's key is its own."""
        one = await on_the_wire(stores)
        first, second = (receipt(one, ReceiptKind.DELIVERED, key) for key in ("k1", "k2"))
        assert await stores.receipts.receive([first, first, second]) == 2
        assert await stores.receipts.receive([second, evolve(second, provider="other")]) == 1
        assert await stores.receipts.receive([]) == 0

    async def test_a_report_reaches_its_attempt(self, stores: Stores) -> None:
        """Applied once, shown in the story as it came, told to the outside."""
        one = await on_the_wire(stores)
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        report = receipt(one, ReceiptKind.DELIVERED, "k1", code="250", channel=EMAIL, address=ADA, provider_id="p1")
        await stores.receipts.receive([report])
        assert await stores.receipts.apply(10, judge) == Applied(applied=1)
        assert await stores.receipts.apply(10, judge) == Applied()
        assert (await delivery(stores, one.notification)).status is Status.DELIVERED
        assert (await story(stores, one.notification)).receipts == ((1, report),)
        entries = await stores.eventlog.take("relay", 10)
        assert [entry.data["status"] for entry in entries] == ["sent", "delivered"]

    async def test_the_order_of_reports_does_not_matter(self, stores: Stores) -> None:
        """Every order, repeated, one by one or together, before our own answer and after it: the same state."""
        kinds = (ReceiptKind.ACCEPTED, ReceiptKind.DELIVERED, ReceiptKind.BOUNCED)
        for number, order in enumerate(permutations(kinds)):
            one = await on_the_wire(stores, user(f"user{number}"), f"n{number}")
            reports = [receipt(one, kind, f"{number}-{kind}", hard=False) for kind in order]
            for report in reports[: number % 3]:
                await stores.receipts.receive([report, report])
                await stores.receipts.apply(10, judge)
            await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
            await stores.receipts.receive(reports)
            await stores.receipts.apply(10, judge)
            state = await delivery(stores, one.notification)
            assert (state.status, state.attempts[0].evidence) == (Status.DELIVERED, Evidence.DELIVERED)
            assert len((await story(stores, one.notification)).receipts) == 3

    async def test_a_report_ahead_of_its_attempt_waits(self, stores: Stores) -> None:
        """It came before our own commit: applied as soon as the attempt is there."""
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        name = attempt_id(one.id, 1, 1)
        early = Receipt(provider="acme", key="k", kind=ReceiptKind.DELIVERED, at=await now(stores), attempt_id=name)
        await stores.receipts.receive([early])
        assert await stores.receipts.apply(10, judge) == Applied(waiting=1)
        assert not (await story(stores, one)).receipts
        assert len(await begun(stores)) == 1
        await stores.advance(5 * SECOND)
        assert await stores.receipts.apply(10, judge) == Applied(applied=1)
        assert (await delivery(stores, one)).status is Status.DELIVERED

    async def test_a_report_of_nobodys_attempt_is_given_up(self, stores: Stores) -> None:
        """It waits for a bounded time, and is not looked at ever after."""
        at = await now(stores)
        names = ("not one of ours", attempt_id(UUID(int=1), 1, 1), attempt_id(UUID(int=2), 999_999_999, 1))
        strangers = [
            Receipt(provider="acme", key=f"k{n}", kind=ReceiptKind.DELIVERED, at=at, attempt_id=name)
            for n, name in enumerate(names)
        ]
        await stores.receipts.receive(strangers)
        assert await stores.receipts.apply(10, judge) == Applied(waiting=3)
        assert (await stores.history.unsettled(SECOND)).unapplied == 3
        await stores.advance(BOUND)
        assert await stores.receipts.apply(10, judge) == Applied(parked=3)
        assert await stores.receipts.apply(10, judge) == Applied()
        assert (await stores.history.unsettled(SECOND)).unapplied == 0

    async def test_those_that_wait_keep_nobody_else_waiting(self, stores: Stores) -> None:
        """A full page of strangers, and one that can be applied."""
        one = await on_the_wire(stores)
        at = await now(stores)
        strangers = [
            Receipt(provider="acme", key=f"k{n}", kind=ReceiptKind.DELIVERED, at=at, attempt_id=f"stranger {n}")
            for n in range(6)
        ]
        await stores.receipts.receive(strangers)
        await stores.receipts.receive([receipt(one, ReceiptKind.DELIVERED, "ours")])
        applied = [await stores.receipts.apply(3, judge) for _ in range(3)]
        assert sum(each.applied for each in applied) == 1
        assert (await delivery(stores, one.notification)).status is Status.DELIVERED

    async def test_a_complaint_proves_arrival_and_suppresses(self, stores: Stores) -> None:
        """It never makes a failure of it."""
        one = await on_the_wire(stores)
        await stores.receipts.receive([receipt(one, ReceiptKind.COMPLAINED, "k1", channel=EMAIL, address=ADA)])
        await stores.receipts.apply(10, judge)
        assert (await delivery(stores, one.notification)).status is Status.DELIVERED
        suppression = (await point(stores, user())).suppression
        assert suppression is not None
        assert suppression.cause == "complaint"

    async def test_a_bounce_suppresses_only_when_it_is_hard(self, stores: Stores) -> None:
        """A full mailbox is no reason never to write again."""
        one = await on_the_wire(stores)
        for key, hard in (("soft", False), ("hard", True)):
            await stores.receipts.receive(
                [receipt(one, ReceiptKind.BOUNCED, key, channel=EMAIL, address=ADA, hard=hard)]
            )
            await stores.receipts.apply(10, judge)
            assert bool((await point(stores, user())).suppression) is hard
        assert (await delivery(stores, one.notification)).status is Status.FAILED

    async def test_a_word_about_an_address_needs_no_attempt(self, stores: Stores) -> None:
        """STOP suppresses, START lifts; the latest by the provider's clock counts."""
        await meet(stores, user(), email=ADA.value)
        at = await now(stores)
        kinds = (ReceiptKind.OPTED_OUT, ReceiptKind.OPTED_IN)
        first, second = (
            Receipt(provider="acme", key=kind, kind=kind, at=at + n * SECOND, channel=EMAIL, address=ADA)
            for n, kind in enumerate(kinds)
        )
        await stores.receipts.receive([first])
        assert await stores.receipts.apply(10, judge) == Applied(applied=1)
        assert (await point(stores, user())).suppression
        await stores.receipts.receive([second])
        await stores.receipts.apply(10, judge)
        assert (await point(stores, user())).suppression is None

    async def test_reports_at_once_lose_nothing(self, stores: Stores) -> None:
        """Two reports about one settled delivery, applied by two at the same moment: the better evidence holds."""
        for number in range(10):
            one = await on_the_wire(stores, user(f"user{number}"), f"n{number}")
            await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
            kinds = (ReceiptKind.DELIVERED, ReceiptKind.BOUNCED)
            await stores.receipts.receive([receipt(one, kind, f"{number}-{kind}", hard=False) for kind in kinds])
            await asyncio.gather(*(stores.receipts.apply(1, judge) for _ in range(4)))
            assert (await delivery(stores, one.notification)).status is Status.DELIVERED, number
            assert len((await story(stores, one.notification)).receipts) == 2

    async def test_at_once_each_is_applied_once(self, stores: Stores) -> None:
        """However many apply: one change, one event outside."""
        one = await on_the_wire(stores)
        copies = [receipt(one, ReceiptKind.DELIVERED, "same") for _ in range(4)]
        counts = await asyncio.gather(*(stores.receipts.receive([copy]) for copy in copies))
        assert sum(counts) == 1
        rounds = await asyncio.gather(*(stores.receipts.apply(10, judge) for _ in range(5)))
        assert sum(each.applied for each in rounds) == 1
        assert len(await stores.eventlog.take("relay", 10)) == 1
