"""What every `History` keeps to. Subclass, provide the `stores` fixture, and pytest runs the rules."""

from datetime import datetime, timedelta

from attrs import evolve

from fn_notifications.application.ports.history import Overruled, Unsettled
from fn_notifications.application.ports.intake import Batch
from fn_notifications.application.ports.ledger import Backlog
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import EMAIL
from fn_notifications.domain.commands import Report
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.events import Evidence, Finding
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.outcome import OutcomeKind, Scope
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.testing.contracts.stores import (
    ADA,
    TENANT,
    Stores,
    answer,
    begun,
    claim,
    dead,
    deciding,
    event,
    meet,
    now,
    on_the_wire,
    proposal,
    receipt,
    stored,
    story,
    told,
    user,
)

SOON = timedelta(minutes=1)


class HistoryContract:
    """Rules for looking back."""

    async def test_a_stranger_has_no_story(self, stores: Stores) -> None:
        """Neither an id nobody made nor another tenant's."""
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        assert await stores.history.story("elsewhere", one.id) is None
        await meet(stores, user("bea"), email=ADA.value)
        never = await proposal(stores, user("bea"), "never")
        assert await stores.history.story(TENANT, never.notification.id) is None

    async def test_a_story_tells_all_in_order(self, stores: Stores) -> None:
        """Decisions, second thoughts, attempts, reports and repetitions of one notification."""
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one", key="k")
        await stored(stores, event("again", await proposal(stores, user(), "again", key="k")))
        at = await now(stores)
        later = deciding(lambda each, now: Decision.defer(each.channel, Reason.QUIET_HOURS, now + SOON))
        await stores.deliveries.begin(await claim(stores), later)
        await stores.advance(2 * SOON)
        (first,) = await begun(stores)
        await stores.deliveries.finish([answer(first, OutcomeKind.UNSENT)])
        await stores.advance(SOON)
        (second,) = await begun(stores)
        await stores.deliveries.finish([answer(second, OutcomeKind.ACCEPTED)])
        report = receipt(second, ReceiptKind.DELIVERED, "k1")
        await stores.receipts.receive([report])
        await stores.receipts.apply(10, judge)
        told_of = await story(stores, one)
        assert told_of.notification.decisions == one.decisions
        assert [(each.event, each.reason) for each in told_of.changes] == [
            ("deferred", Reason.QUIET_HOURS),
            ("retried", Reason.RETRY),
        ]
        deferred = told_of.changes[0]
        assert deferred.until is not None
        assert (deferred.delivery_no, at <= deferred.at, deferred.until - deferred.at) == (1, True, SOON)
        (delivery,) = told_of.notification.deliveries
        assert [attempt.no for attempt in delivery.attempts] == [1, 2]
        assert (told_of.notification.status, told_of.receipts) == (Status.DELIVERED, ((1, report),))
        assert told_of.repeats == 1

    async def test_a_story_says_what_somebody_comes_back_for(self, stores: Stores) -> None:
        """Every open delivery has a place in the queue; one that is settled has none."""
        await meet(stores, user(), email=ADA.value)
        one, before = await told(stores, user(), "one"), await now(stores)
        later = deciding(lambda each, now: Decision.defer(each.channel, Reason.QUIET_HOURS, now + SOON))
        await stores.deliveries.begin(await claim(stores), later)
        told_of = await story(stores, one)
        assert told_of.queue == {1: told_of.notification.deliveries[0].due_at}
        assert before <= told_of.read_at <= await now(stores)
        await stores.advance(SOON)
        (begun_one,) = await begun(stores)
        assert (await story(stores, one)).queue.keys() == {1}
        await stores.deliveries.finish([answer(begun_one, OutcomeKind.ACCEPTED)])
        assert (await story(stores, one)).queue == {}

    async def test_what_was_known_of_an_attempt_is_kept_when_more_is_learnt(self, stores: Stores) -> None:
        """With its time and code, and that the provider took it too, which had no time of its own."""
        one = await on_the_wire(stores)
        await stores.deliveries.finish([answer(one, OutcomeKind.IN_DOUBT)])
        assert (await story(stores, one.notification)).overruled == ()
        found = []

        def arrived(_: object, _delivery: Delivery, now: datetime) -> Report:
            found.append(now)
            return Report(finding=Finding(no=1, evidence=Evidence.DELIVERED, at=now))

        await stores.deliveries.change([one.delivery.key], arrived)
        told_of = await story(stores, one.notification)
        kept = Overruled(until=found[-1], delivery_no=1, attempt_no=1, evidence=Evidence.IN_DOUBT, code="said_in_doubt")
        assert told_of.overruled == (kept, evolve(kept, evidence=Evidence.ACCEPTED, code=None))
        assert told_of.changes == ()

    async def test_what_a_report_tells_is_not_kept_twice(self, stores: Stores) -> None:
        """That the provider took it goes without saying; what no report implies is kept."""
        for number, kind in enumerate((OutcomeKind.ACCEPTED, OutcomeKind.IN_DOUBT)):
            one = await on_the_wire(stores, name=f"n{number}")
            said = answer(one, kind)
            outcome = evolve(said.record.outcome, code=None)
            await stores.deliveries.finish([evolve(said, record=evolve(said.record, outcome=outcome))])
            await stores.receipts.receive([receipt(one, ReceiptKind.DELIVERED, f"k{number}")])
            await stores.receipts.apply(10, judge)
            kept = [each.evidence for each in (await story(stores, one.notification)).overruled]
            assert kept == [Evidence.IN_DOUBT][:number]

    async def test_what_waits_for_its_way_out_is_counted(self, stores: Stores) -> None:
        """By what it was turned down for, since it was first and never for another reason in between."""
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        waiting = Backlog(type=one.type, channel=EMAIL, reason=None, deliveries=1, since=await self._due(stores, one))
        assert await stores.history.backlog(TENANT) == [waiting]
        assert await stores.history.backlog("elsewhere") == []
        (first,) = await begun(stores)
        assert await stores.history.backlog(TENANT) == []
        await stores.deliveries.finish([answer(first, OutcomeKind.UNSENT, scope=Scope.ROUTE)])
        turned_down = (await story(stores, one)).changes[0].at
        waiting = evolve(waiting, reason=Reason.LANE_WAITS, since=turned_down)
        assert await stores.history.backlog(TENANT) == [waiting]
        await self._put_off(stores, Reason.HELD)
        assert await stores.history.backlog(TENANT) == [evolve(waiting, reason=Reason.HELD)]
        await self._put_off(stores, Reason.QUIET_HOURS)
        assert await stores.history.backlog(TENANT) == []
        await self._put_off(stores, Reason.HELD)
        since = (await story(stores, one)).changes[-1].at
        await told(stores, user(), "two")
        await self._put_off(stores, Reason.HELD)
        waiting = evolve(waiting, reason=Reason.HELD, since=since, deliveries=2)
        assert await stores.history.backlog(TENANT) == [waiting]

    async def _due(self, stores: Stores, one: Notification) -> datetime:
        due_at = (await story(stores, one)).queue[1]
        assert due_at is not None
        return due_at

    async def _put_off(self, stores: Stores, reason: Reason) -> None:
        await stores.advance(2 * SOON)
        put_off = deciding(lambda each, now: Decision.defer(each.channel, reason, now + SOON))
        await stores.deliveries.begin(await claim(stores), put_off)

    async def test_the_newest_come_first(self, stores: Stores) -> None:
        """Of everybody or of one person, no more than asked for, with deliveries and decisions; tenants apart."""
        for name in ("ada", "bea"):
            await meet(stores, user(name), email=ADA.value)
        made = []
        for number, name in enumerate(("ada", "bea", "ada")):
            made.append(await told(stores, user(name), f"n{number}"))
            await stores.advance(SOON)
        assert await stores.history.recent(TENANT, 10) == made[::-1]
        assert await stores.history.recent(TENANT, 2) == [made[2], made[1]]
        assert await stores.history.recent(TENANT, 10, user_id="ada") == [made[2], made[0]]
        assert await stores.history.recent(TENANT, 10, user_id="nobody") == []
        assert await stores.history.recent("elsewhere", 10) == []

    async def test_the_newest_dead_letters_come_first(self, stores: Stores) -> None:
        """No more than asked for."""
        for number in range(3):
            await stores.intake.store(Batch(tenant=TENANT, dead=(dead(f"bad{number}", number),)))
        letters = await stores.history.dead_letters(TENANT, 2)
        assert [letter.position.offset for letter in letters] == [2, 1]

    async def test_where_events_came_from_is_remembered(self, stores: Stores) -> None:
        """Whatever became of them; only of the topics asked for, and tenants apart."""
        assert await stores.history.taken_from(TENANT, ["posts"]) == frozenset()
        await stores.intake.store(Batch(tenant=TENANT, dead=(dead("bad"),)))
        assert await stores.history.taken_from(TENANT, ["posts", "users"]) == {"posts"}
        assert await stores.history.taken_from(TENANT, ["users"]) == frozenset()
        assert await stores.history.taken_from("elsewhere", ["posts"]) == frozenset()

    async def test_what_is_unsettled_becomes_settled(self, stores: Stores) -> None:
        """From due to the wire, to the log, to nothing; what is due beyond the horizon is not counted."""
        nothing = Unsettled()
        assert await stores.history.unsettled(SOON) == nothing
        assert nothing.settled
        await meet(stores, user(), email=ADA.value)
        await told(stores, user(), "one")
        assert await stores.history.unsettled(SOON) == evolve(nothing, due_soon=1)
        later = deciding(lambda each, now: Decision.defer(each.channel, Reason.QUIET_HOURS, now + 3 * SOON))
        await stores.deliveries.begin(await claim(stores), later)
        assert await stores.history.unsettled(SOON) == nothing
        assert await stores.history.unsettled(5 * SOON) == evolve(nothing, due_soon=1)
        await stores.advance(4 * SOON)
        (one,) = await begun(stores)
        assert await stores.history.unsettled(SOON) == evolve(nothing, sending=1)
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        assert await stores.history.unsettled(SOON) == evolve(nothing, unpublished=1)
        await stores.eventlog.published("relay", await stores.eventlog.take("relay", 10))
        await stores.receipts.receive([receipt(one, ReceiptKind.OPENED, "k1")])
        assert await stores.history.unsettled(SOON) == evolve(nothing, unapplied=1)
        await stores.receipts.apply(10, judge)
        await stores.eventlog.published("relay", await stores.eventlog.take("relay", 10))
        assert (await stores.history.unsettled(SOON)).settled

    async def test_the_ledger_counts_deliveries_where_they_stand(self, stores: Stores) -> None:
        """By status; another tenant's are not among them."""
        one = await on_the_wire(stores)
        await told(stores, user(), "two")
        assert (await stores.history.ledger(TENANT)).deliveries == {Status.SENDING: 1, Status.PENDING: 1}
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        assert (await stores.history.ledger(TENANT)).deliveries == {Status.SENT: 1, Status.PENDING: 1}
        assert (await stores.history.ledger("elsewhere")).deliveries == {}
