"""What every `Storage` keeps to. Subclass, provide the `stores` fixture, and pytest runs the rules."""

from datetime import timedelta
from typing import Final

from fn_notifications.application.ports.intake import Batch, EventOutcome
from fn_notifications.application.ports.storage import Keeping, Pruned, Vitals
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import SMS
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.testing.contracts.stores import (
    ADA,
    PHONE,
    TENANT,
    Stores,
    answer,
    begun,
    dead,
    event,
    meet,
    now,
    proposal,
    receipt,
    stored,
    story,
    told,
    user,
)

DAY: Final = timedelta(days=1)
KEEPING: Final = Keeping(history=30 * DAY, events=10 * DAY, queue=timedelta(hours=1))
LONG: Final = 65 * DAY
"""After which any month is over by more than `KEEPING.history`."""


class StorageContract:
    """Rules for what is thrown away. After every one of them the ledger balances."""

    async def test_what_is_in_time_stays(self, stores: Stores) -> None:
        """All of it, and it is still what it was."""
        one = await _said(stores, "one")
        await stores.intake.store(Batch(tenant=TENANT, dead=(dead("bad"),)))
        before = await story(stores, one)
        assert not (await stores.storage.prune(KEEPING, 100)).amounts
        assert await story(stores, one) == before
        assert (await stored(stores, event("one"))).outcomes == (EventOutcome.DUPLICATE,)
        await balanced(stores)

    async def test_history_goes_by_the_month(self, stores: Stores) -> None:
        """With all that belongs to it; what is archived is counted where it was."""
        one = await _said(stores, "one", key="k")
        await stored(stores, event("again", await proposal(stores, user(), "again", key="k")))
        await stores.advance(LONG)
        young = await _said(stores, "young")
        await everything(stores)
        assert await stores.history.story(TENANT, one.id) is None
        assert await stores.history.recent(TENANT, 10) == [(await story(stores, young)).notification]
        ledger = await stores.history.ledger(TENANT)
        assert ledger.deliveries == {Status.DELIVERED: 1}
        assert {what: ledger.archived[what] for what in ("notifications", "deliveries", "repeats", "receipts")} == {
            "notifications": 1,
            "deliveries": 1,
            "repeats": 1,
            "receipts": 1,
        }
        await balanced(stores)

    async def test_nothing_open_goes(self, stores: Stores) -> None:
        """However old: neither on the wire nor in doubt. When it is settled, it goes."""
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        (wave,) = await begun(stores)
        await stores.advance(LONG)
        pruned = await everything(stores)
        assert pruned.held["notifications"] == 1
        assert (await story(stores, one)).notification.status is Status.PENDING
        await balanced(stores)
        await stores.deliveries.finish([answer(wave, OutcomeKind.REFUSED)])
        pruned = await everything(stores)
        assert await stores.history.story(TENANT, one.id) is None
        assert "notifications" not in pruned.held
        await balanced(stores)

    async def test_a_report_that_waits_keeps_what_it_is_about(self, stores: Stores) -> None:
        """It may still change what is kept."""
        one = await _said(stores, "one")
        (delivery,) = (await story(stores, one)).notification.deliveries
        await stores.advance(LONG)
        late = Receipt(
            provider="acme",
            key="late",
            kind=ReceiptKind.OPENED,
            at=await now(stores),
            attempt_id=delivery.attempts[0].id,
        )
        await stores.receipts.receive([late])
        await everything(stores)
        assert await stores.history.story(TENANT, one.id) is not None
        await stores.receipts.apply(10, judge)
        await everything(stores)
        assert await stores.history.story(TENANT, one.id) is None
        await balanced(stores)

    async def test_events_are_remembered_as_long_as_asked(self, stores: Stores) -> None:
        """Then the same event is new. What it says has been said, so it is a repetition, and no second message."""
        one = await _said(stores, "one")
        ignored = [event(f"ignored{number}") for number in range(4)]
        letters = tuple(dead(f"bad{number}", number) for number in range(4))
        await stores.intake.store(Batch(tenant=TENANT, events=(*ignored,), dead=letters))
        await stores.advance(KEEPING.events - timedelta(hours=1))
        await everything(stores)
        assert (await stored(stores, event("one"))).outcomes == (EventOutcome.DUPLICATE,)
        assert await stores.history.dead_letters(TENANT, 10)
        await stores.advance(timedelta(hours=2))
        await everything(stores, limit=2)
        assert await stores.history.dead_letters(TENANT, 10) == []
        await balanced(stores)
        again = await proposal(stores, user(), "one", at=one.event_at)
        assert (await stored(stores, event("one", again))).outcomes == (EventOutcome.DUPLICATE,)
        assert [each.id for each in await stores.history.recent(TENANT, 10)] == [one.id]
        await balanced(stores)

    async def test_the_log_goes_when_it_is_published(self, stores: Stores) -> None:
        """Not before, however old: what a relay has not passed stays, and how much that is, is said."""
        await meet(stores, user(), email=ADA.value)
        await told(stores, user(), "one")
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in await begun(stores)])
        await stores.advance(5 * DAY)
        pruned = await stores.storage.prune(KEEPING, 100)
        assert "event_log" in pruned.held
        assert (await stores.eventlog.backlog()).lag > KEEPING.log
        (entry,) = await stores.eventlog.take("relay", 10)
        await stores.eventlog.published("relay", [entry])
        pruned = await everything(stores)
        assert "event_log" not in pruned.held
        await balanced(stores)

    async def test_days_are_folded(self, stores: Stores) -> None:
        """Of the intakes of a day that is over one is left, with the same sums and the same account."""
        for number in range(4):
            await stores.intake.store(Batch(tenant=TENANT, events=(event(f"n{number}"),), dead=(dead(f"bad{number}"),)))
        before = await stores.history.ledger(TENANT)
        await stores.advance(2 * DAY)
        pruned = await stores.storage.prune(KEEPING, 100)
        assert pruned.amounts["intakes"] == 3
        assert not (await stores.storage.prune(KEEPING, 100)).amounts
        assert await stores.history.ledger(TENANT) == before
        await balanced(stores)

    async def test_windows_balance_as_the_whole_does(self, stores: Stores) -> None:
        """After pruning, over any number of days; the last ones are counted alone."""
        await _said(stores, "one")
        await stores.advance(LONG)
        await _said(stores, "two")
        await everything(stores)
        for days in (1, 2, 40, 100):
            ledger = await stores.history.ledger(TENANT, days)
            assert ledger.imbalances == (), days
        assert (await stores.history.ledger(TENANT, 1)).taken_in == 1
        assert (await stores.history.ledger(TENANT)).taken_in == 2

    async def test_a_report_about_nobody_is_kept_as_long_as_events(self, stores: Stores) -> None:
        """A STOP by a number alone: its effect stays for good, the report does not."""
        at = await now(stores)
        word = Receipt(
            provider="acme", key="stop", kind=ReceiptKind.OPTED_OUT, at=at, channel=SMS, address=PHONE, attempt_id=None
        )
        await stores.receipts.receive([word])
        await stores.receipts.apply(10, judge)
        await everything(stores)
        assert await stores.receipts.receive([word]) == 0
        await stores.advance(KEEPING.events + DAY)
        await everything(stores)
        assert await stores.receipts.receive([word]) == 1
        await balanced(stores)

    async def test_vitals_can_be_read(self, stores: Stores) -> None:
        """A store that nobody troubles is well."""
        vitals = await stores.storage.vitals()
        assert vitals.oldest_transaction < timedelta(minutes=5)
        assert vitals.queue_dead >= Vitals().queue_dead


async def balanced(stores: Stores) -> None:
    """Every account adds up."""
    assert (await stores.history.ledger(TENANT)).imbalances == ()


async def everything(stores: Stores, limit: int = 100) -> Pruned:
    """Prune until nothing is left to go; what is held is the last round's."""
    await _publish(stores)
    pruned = await stores.storage.prune(KEEPING, limit)
    while pruned.amounts:
        pruned = await stores.storage.prune(KEEPING, limit)
    return pruned


async def _publish(stores: Stores) -> None:
    while entries := await stores.eventlog.take("relay", 100):
        await stores.eventlog.published("relay", entries)


async def _said(stores: Stores, name: str, *, key: str | None = None) -> Notification:
    """A notification that was delivered, and reported so."""
    await meet(stores, user(), email=ADA.value)
    one = await told(stores, user(), name, key=key)
    (wave,) = await begun(stores)
    await stores.deliveries.finish([answer(wave, OutcomeKind.ACCEPTED)])
    await stores.receipts.receive([receipt(wave, ReceiptKind.DELIVERED, f"delivered {name}")])
    await stores.receipts.apply(10, judge)
    return one
