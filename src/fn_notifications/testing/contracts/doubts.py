"""What nobody can know, and what the stores keep of it. Subclass and provide the `stores` fixture."""

from datetime import timedelta
from typing import Final

from attrs import evolve

from fn_notifications.application.ports.deliveries import Answer, Begun
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import EMAIL, SMS
from fn_notifications.domain.commands import Ask, Cancel, Remedy, Rescue, Resolve, Settle
from fn_notifications.domain.events import Evidence, Ruling
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import OutcomeKind, Scope
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.testing.contracts.stores import (
    ADA,
    BOTH,
    GRACE,
    LEASE,
    PHONE,
    TENANT,
    Stores,
    allowing,
    answer,
    begun,
    claim,
    delivery,
    meet,
    on_the_wire,
    receipt,
    story,
    told,
    user,
)

SECOND: Final = timedelta(seconds=1)
HOUR: Final = timedelta(hours=1)
NOTE: Final = "the provider's console lists it, O'Brien \\u0041 {x} 100 %"


def _asking(one: Begun) -> Answer:
    """Taken by a provider that can be asked an hour later."""
    taken = answer(one, OutcomeKind.ACCEPTED)
    return evolve(taken, record=evolve(taken.record, ask_after=HOUR))


async def _resent_and_arrived(stores: Stores) -> Begun:
    """The second attempt, on the wire while a report says that the first one arrived."""
    one = await on_the_wire(stores)
    await stores.deliveries.finish([answer(one, OutcomeKind.IN_DOUBT)])
    await stores.deliveries.change([one.delivery.key], lambda *_: Settle(remedy=Remedy.RESEND))
    (again,) = await begun(stores)
    await stores.receipts.receive([receipt(one, ReceiptKind.DELIVERED, "r1")])
    await stores.receipts.apply(10, judge)
    return again


class DoubtsContract:
    """Rules for what is polled, late, in doubt and decided by people."""

    async def test_what_was_sent_is_overdue_when_it_is_to_be_asked_about(self, stores: Stores) -> None:
        """Not before, and never to be sent again for that."""
        one = await on_the_wire(stores)
        (state,) = await stores.deliveries.finish([_asking(one)])
        assert (state.status, state.queued) == (Status.SENT, True)
        assert await delivery(stores, one.notification) == state
        assert not await stores.deliveries.overdue(10)
        await stores.advance(HOUR + SECOND)
        assert not await claim(stores)
        assert await stores.deliveries.overdue(10) == [state.key]

    async def test_asked_again_it_waits_again_and_asked_enough_it_is_left(self, stores: Stores) -> None:
        """Its place in the queue is gone then."""
        one = await on_the_wire(stores)
        (state,) = await stores.deliveries.finish([_asking(one)])
        await stores.advance(HOUR + SECOND)
        await stores.deliveries.change([state.key], lambda *_: Ask(no=1, answered=True, again=5 * HOUR))
        assert not await stores.deliveries.overdue(10)
        await stores.advance(5 * HOUR)
        assert await stores.deliveries.overdue(10) == [state.key]
        (left,) = await stores.deliveries.change([state.key], lambda *_: Ask(no=1, answered=False))
        assert (left.status, left.due_at) == (Status.SENT, None)
        await stores.advance(timedelta(days=9))
        assert not await stores.deliveries.overdue(10)
        asked = [(one.event, one.reason) for one in (await story(stores, one.notification)).changes]
        assert asked == [("asked", Reason.NOTHING_NEW), ("asked", Reason.NOT_ANSWERED)]

    async def test_a_report_ends_the_wait(self, stores: Stores) -> None:
        """What is delivered is not asked about."""
        one = await on_the_wire(stores)
        await stores.deliveries.finish([_asking(one)])
        await stores.receipts.receive([receipt(one, ReceiptKind.DELIVERED, "r1")])
        await stores.receipts.apply(10, judge)
        await stores.advance(timedelta(days=1))
        assert not await stores.deliveries.overdue(10)

    async def test_what_waits_to_be_asked_about_is_settled(self, stores: Stores) -> None:
        """Nothing of it is still to be done by us, however soon it is asked about."""
        one = await on_the_wire(stores)
        await stores.deliveries.finish([_asking(one)])
        unsettled = await stores.history.unsettled(timedelta(days=1))
        assert (unsettled.sending, unsettled.due_soon) == (0, 0)

    async def test_a_late_answer_is_kept_as_one(self, stores: Stores) -> None:
        """Once, beside what it proves; an answer that came in time never is, however often it is written."""
        one = await on_the_wire(stores)
        timely = answer(one, OutcomeKind.IN_DOUBT)
        for _ in range(2):
            await stores.deliveries.finish([timely])
        assert (await story(stores, one.notification)).changes == ()
        await stores.advance(LEASE + SECOND)
        late = answer(one, OutcomeKind.REFUSED)
        for _ in range(2):
            await stores.deliveries.finish([late])
        (change,) = (await story(stores, one.notification)).changes
        assert (change.event, change.delivery_no, change.text) == ("late", 1, "attempt 1: refused (said_refused)")

    async def test_a_report_that_was_faster_makes_no_answer_late(self, stores: Stores) -> None:
        """The delivery is settled before the call returned; its worker holds the lease all the same."""
        one = await on_the_wire(stores)
        await stores.receipts.receive([receipt(one, ReceiptKind.DELIVERED, "r1")])
        await stores.receipts.apply(10, judge)
        (state,) = await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        assert (state.status, (await story(stores, one.notification)).changes) == (Status.DELIVERED, ())

    async def test_a_late_answer_that_proves_nothing_new_is_kept_too(self, stores: Stores) -> None:
        """The report was faster: the state stays, and so does the word of the worker that woke up."""
        one = await on_the_wire(stores)
        await stores.advance(LEASE + SECOND)
        await stores.deliveries.change([one.delivery.key], lambda *_: Rescue(grace=GRACE))
        await stores.receipts.receive([receipt(one, ReceiptKind.DELIVERED, "r1")])
        await stores.receipts.apply(10, judge)
        before = await delivery(stores, one.notification)
        late = answer(one, OutcomeKind.IN_DOUBT)
        for _ in range(2):
            (state,) = await stores.deliveries.finish([late])
        assert (state.status, state.due_at) == (Status.DELIVERED, before.due_at)
        assert [change.text for change in (await story(stores, one.notification)).changes] == [
            "attempt 1: in_doubt (said_in_doubt)"
        ]

    async def test_a_late_answer_leaves_the_new_holders_call_alone(self, stores: Stores) -> None:
        """The delivery was resent and is on the wire again: still sending, still leased, ended by its holder."""
        one = await on_the_wire(stores)
        await stores.advance(LEASE + SECOND)
        await stores.deliveries.change([one.delivery.key], lambda *_: Rescue(grace=GRACE))
        await stores.deliveries.change([one.delivery.key], lambda *_: Settle(remedy=Remedy.RESEND))
        (again,) = await begun(stores)
        (state,) = await stores.deliveries.finish([answer(one, OutcomeKind.UNSENT, scope=Scope.ROUTE)])
        assert state.status is Status.SENDING
        assert not await stores.deliveries.overdue(10)
        assert not await claim(stores, worker="w3")
        (state,) = await stores.deliveries.finish([answer(again, OutcomeKind.ACCEPTED)])
        assert (state.status, state.attempts[0].evidence) == (Status.SENT, Evidence.UNSENT)

    async def test_a_call_outlives_the_arrival_of_another_attempt(self, stores: Stores) -> None:
        """It keeps its lease, and nobody else can end it while that lives; after its answer nothing is left to do."""
        again = await _resent_and_arrived(stores)
        state = await delivery(stores, again.notification)
        assert (state.status, state.calling) == (Status.DELIVERED, True)
        assert not await stores.deliveries.overdue(10)
        assert not await stores.deliveries.change([state.key], lambda *_: Rescue(grace=GRACE))
        assert (await stores.history.unsettled(timedelta(days=1))).due_soon == 0
        assert (await stores.history.ledger(TENANT)).imbalances == ()
        (state,) = await stores.deliveries.finish([answer(again, OutcomeKind.ACCEPTED)])
        assert (state.status, state.attempts[1].evidence) == (Status.DELIVERED, Evidence.ACCEPTED)
        await stores.advance(LEASE + SECOND)
        assert not await stores.deliveries.overdue(10)
        assert (await stores.history.ledger(TENANT)).imbalances == ()

    async def test_a_call_whose_worker_died_ends_although_another_attempt_arrived(self, stores: Stores) -> None:
        """Nobody can know what became of it. Delivered all the same; and a word that comes later is kept."""
        again = await _resent_and_arrived(stores)
        key = again.delivery.key
        await stores.advance(LEASE + SECOND)
        assert not await claim(stores)
        assert await stores.deliveries.overdue(10) == [key]
        (state,) = await stores.deliveries.change([key], lambda *_: Rescue(grace=GRACE))
        assert await delivery(stores, again.notification) == state
        assert (state.status, state.attempts[1].evidence) == (Status.DELIVERED, Evidence.IN_DOUBT)
        assert not await stores.deliveries.overdue(10)
        assert (await stores.history.ledger(TENANT)).imbalances == ()
        (state,) = await stores.deliveries.finish([answer(again, OutcomeKind.ACCEPTED)])
        assert (state.status, state.attempts[1].evidence) == (Status.DELIVERED, Evidence.ACCEPTED)

    async def test_a_call_on_the_wire_is_its_holders(self, stores: Stores) -> None:
        """Whatever somebody decided on an older picture of it; a dead lease is nobody's."""
        one = await on_the_wire(stores)
        assert not await stores.deliveries.change([one.delivery.key], lambda *_: Rescue(grace=GRACE))
        assert await delivery(stores, one.notification) == one.delivery
        await stores.advance(LEASE + SECOND)
        assert len(await stores.deliveries.change([one.delivery.key], lambda *_: Rescue(grace=GRACE))) == 1

    async def test_an_operators_word_is_kept_with_its_reason(self, stores: Stores) -> None:
        """Letter by letter; the delivery is settled by it."""
        one = await on_the_wire(stores)
        await stores.deliveries.finish([answer(one, OutcomeKind.IN_DOUBT)])
        ruling = Resolve(ruling=Ruling.SENT, note=NOTE)
        (state,) = await stores.deliveries.change([one.delivery.key], lambda *_: ruling)
        assert (state.status, state.attempts[0].code) == (Status.SENT, "operator")
        assert await delivery(stores, one.notification) == state
        (change,) = (await story(stores, one.notification)).changes
        assert (change.event, change.reason, change.text) == ("resolved", Reason.OPERATOR, NOTE)
        await stores.advance(timedelta(days=9))
        assert not await stores.deliveries.overdue(10)

    async def test_who_stopped_it_is_kept_with_the_reason(self, stores: Stores) -> None:
        """Also where it turns out that something may have gone out before."""
        one = await on_the_wire(stores)
        await stores.deliveries.finish([answer(one, OutcomeKind.IN_DOUBT)])
        await stores.deliveries.change([one.delivery.key], lambda *_: Settle(remedy=Remedy.RESEND))
        stop = Cancel(reason=Reason.OPERATOR, note=NOTE, by="eve")
        (state,) = await stores.deliveries.change([one.delivery.key], lambda *_: stop)
        assert (state.status, state.reason) == (Status.UNCONFIRMED, Reason.OPERATOR)
        (_, change) = (await story(stores, one.notification)).changes
        assert (change.event, change.text) == ("unconfirmed", f"{NOTE} (by eve)")

    async def test_what_an_operator_retries_begins_anew(self, stores: Stores) -> None:
        """Due at once, in a new place that the leases of the old one mean nothing to."""
        one = await on_the_wire(stores)
        refused = answer(one, OutcomeKind.UNSENT)
        spent = evolve(refused, record=evolve(refused.record, retry=evolve(refused.record.retry, tries=1)))
        (failed,) = await stores.deliveries.finish([spent])
        assert (failed.status, failed.reason) == (Status.FAILED, Reason.TRIES_SPENT)
        ruling = Resolve(ruling=Ruling.RESEND, note="the number is back in service")
        await stores.deliveries.change([failed.key], lambda *_: ruling)
        (lease,) = await claim(stores, worker="w2")
        assert lease.token > one.lease.token
        await stores.deliveries.finish([answer(one, OutcomeKind.IN_DOUBT)])
        assert not await claim(stores, worker="w3")
        (again,) = await stores.deliveries.begin([lease], allowing())
        assert again.delivery.attempts[-1].no == 2

    async def test_what_is_in_doubt_is_listed_the_oldest_first(self, stores: Stores) -> None:
        """All of it, or what waits for an operator; one tenant's alone; and counted by channel."""
        await meet(stores, user(), email=ADA.value, phone=PHONE.value)
        notifications = []
        for number in range(3):
            notifications.append(await told(stores, user(), f"n{number}", BOTH))
            await stores.advance(SECOND)
        waves = [*await begun(stores, EMAIL, BOTH), *await begun(stores, SMS, BOTH)]
        await stores.deliveries.finish([answer(one, OutcomeKind.IN_DOUBT) for one in waves])
        emails = [one.deliveries[0].key for one in notifications]
        for key in (emails[2], emails[0]):
            await stores.deliveries.change([key], lambda *_: Settle(remedy=Remedy.HOLD))
        held = await stores.history.doubtful(TENANT, 10, held=True)
        assert [(one.delivery.key, one.type) for one in held] == [(emails[0], BOTH.name), (emails[2], BOTH.name)]
        assert held[0].delivery == await delivery(stores, notifications[0])
        everything = await stores.history.doubtful(TENANT, 5, held=False)
        assert [one.delivery.key.notification_id for one in everything] == [
            one.id for one in notifications for _ in one.deliveries
        ][:5]
        (last,) = await stores.history.doubtful(TENANT, 10, held=True, after=emails[0])
        assert last.delivery.key == emails[2]
        assert not await stores.history.doubtful(TENANT, 10, held=True, after=emails[2])
        assert await stores.history.doubts(TENANT) == {EMAIL: 3, SMS: 3}
        assert not await stores.history.doubtful("other", 10, held=False)
        assert not await stores.history.doubts("other")

    async def test_who_reports_is_known_from_the_first_report_on(self, stores: Stores) -> None:
        """For ever, whatever the report was about."""
        assert await stores.receipts.reporting() == frozenset()
        one = await on_the_wire(stores)
        await stores.receipts.receive([receipt(one, ReceiptKind.DELIVERED, "r1")])
        assert await stores.receipts.reporting() == {"acme"}
        other = evolve(receipt(one, ReceiptKind.OPENED, "r2"), provider="umbrella", attempt_id=None)
        await stores.receipts.receive([other, receipt(one, ReceiptKind.DELIVERED, "r1")])
        assert await stores.receipts.reporting() == {"acme", "umbrella"}

    async def test_reports_that_end_doubts_are_counted(self, stores: Stores) -> None:
        """Once per delivery, and not for one that stays in doubt or never was."""
        one = await on_the_wire(stores)
        await stores.deliveries.finish([answer(one, OutcomeKind.IN_DOUBT)])
        accepted, delivered = (ReceiptKind.ACCEPTED, ReceiptKind.DELIVERED)
        await stores.receipts.receive([receipt(one, accepted, "r1"), receipt(one, delivered, "r2")])
        assert (await stores.receipts.apply(10, judge)).resolved == 1
        await stores.receipts.receive([receipt(one, ReceiptKind.OPENED, "r3")])
        assert (await stores.receipts.apply(10, judge)).resolved == 0
