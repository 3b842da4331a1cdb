"""The doubts' contract catches stores that break it: each planted fault must fail the rule it breaks."""

from collections.abc import Awaitable, Callable

import pytest
from attrs import define, evolve
from tests.services.stores import memory_stores

from fn_notifications.application.changes import LATE
from fn_notifications.domain.lifecycle import Status
from fn_notifications.testing.contracts.doubts import DoubtsContract
from fn_notifications.testing.contracts.stores import Stores


@define(slots=False)
class Planted:
    """A sound port to spoil: whatever is not overridden is the sound one's."""

    sound: object

    def __getattr__(self, name):
        return getattr(self.sound, name)


class LooksOnlyAtDoubts(Planted):
    async def overdue(self, limit):
        deliveries = self.sound.state.deliveries
        return [key for key in await self.sound.overdue(limit) if deliveries[key].status is not Status.SENT]


class AsksForEver(Planted):
    async def change(self, keys, choose):
        changed = await self.sound.change(keys, choose)
        return [self._back(one) if one.status is Status.SENT else one for one in changed]

    def _back(self, one):
        due = self.sound.state.due
        self.sound.state.deliveries[one.key] = evolve(one, due_at=self.sound.state.clock())
        due[one.key] = evolve(next(iter(due.values())), at=self.sound.state.clock()) if due else None
        return one


class ForgetsLateAnswers(Planted):
    async def finish(self, answers):
        states = await self.sound.finish(answers)
        for key, changes in self.sound.state.changes.items():
            self.sound.state.changes[key] = tuple(one for one in changes if one.event != LATE)
        return states


class TakesEveryAnswerForLate(Planted):
    async def finish(self, answers):
        for one in answers:
            place = self.sound.state.due.get(one.begun.lease.key)
            if place:
                self.sound.state.due[one.begun.lease.key] = evolve(place, worker=None)
        return await self.sound.finish([self._old(one) for one in answers])

    def _old(self, answer):
        lease = evolve(answer.begun.lease, until=self.sound.state.clock())
        return evolve(answer, begun=evolve(answer.begun, lease=lease))


class BelievesWhatItIsGiven(Planted):
    """Whatever a delivery has become since its call went out."""

    async def finish(self, answers):
        self.sound.state.deliveries |= {one.begun.delivery.key: one.begun.delivery for one in answers}
        return await self.sound.finish(answers)


class FreesWhatOthersHold(Planted):
    async def finish(self, answers):
        states = await self.sound.finish(answers)
        for one in answers:
            place = self.sound.state.due.get(one.begun.lease.key)
            if place:
                self.sound.state.due[one.begun.lease.key] = evolve(place, lease_until=None, worker=None)
        return states


class RescuesTheLiving(Planted):
    async def change(self, keys, choose):
        for key in keys:
            place = self.sound.state.due.get(key)
            if place:
                self.sound.state.due[key] = evolve(place, lease_until=None)
        return await self.sound.change(keys, choose)


class KeepsNoReasons(Planted):
    async def story(self, tenant, notification_id):
        found = await self.sound.story(tenant, notification_id)
        return evolve(found, changes=tuple(evolve(one, text=None) for one in found.changes))


class StartsTokensAnew(Planted):
    async def claim(self, wanted, *, worker, lease):
        self.sound.state.tokens = 0
        return await self.sound.claim(wanted, worker=worker, lease=lease)


class ListsTheNewestFirst(Planted):
    async def doubtful(self, tenant, limit, *, held, after=None):
        return (await self.sound.doubtful(tenant, limit, held=held, after=after))[::-1]


class ListsEverything(Planted):
    async def doubtful(self, tenant, limit, *, held, after=None):
        return await self.sound.doubtful(tenant, limit, held=False, after=after)


class BeginsAgain(Planted):
    async def doubtful(self, tenant, limit, *, held, after=None):
        return await self.sound.doubtful(tenant, limit, held=held)


class CountsPollsAsWork(Planted):
    async def unsettled(self, horizon):
        found = await self.sound.unsettled(horizon)
        return evolve(found, due_soon=len(self.sound.state.due))


class RemembersNoReporter(Planted):
    async def reporting(self):
        return frozenset(one.receipt.provider for one in self.sound.state.inbox[-1:])


class CountsNoDoubts(Planted):
    async def apply(self, limit, judge):
        return evolve(await self.sound.apply(limit, judge), resolved=0)


class ForgetsTheWaitIsOver(Planted):
    async def apply(self, limit, judge):
        due = dict(self.sound.state.due)
        applied = await self.sound.apply(limit, judge)
        self.sound.state.due |= due
        for key in due:
            one = self.sound.state.deliveries[key]
            self.sound.state.deliveries[key] = evolve(one, status=Status.SENT)
        return applied


class ForgetsCallsWhenOneArrived(Planted):
    async def apply(self, limit, judge):
        applied = await self.sound.apply(limit, judge)
        state = self.sound.state
        state.due = {key: one for key, one in state.due.items() if state.deliveries[key].status is not Status.DELIVERED}
        return applied


class EndsLeasesWhenOneArrived(Planted):
    async def apply(self, limit, judge):
        applied = await self.sound.apply(limit, judge)
        for key, place in self.sound.state.due.items():
            self.sound.state.due[key] = evolve(place, lease_until=None, worker=None)
        return applied


class LooksNotAtWhatArrived(Planted):
    async def overdue(self, limit):
        deliveries = self.sound.state.deliveries
        return [key for key in await self.sound.overdue(limit) if deliveries[key].status is not Status.DELIVERED]


Rule = Callable[[Stores], Awaitable[None]]
RULES = DoubtsContract()


@pytest.mark.parametrize(
    ("port", "planted", "rule"),
    [
        ("deliveries", LooksOnlyAtDoubts, RULES.test_what_was_sent_is_overdue_when_it_is_to_be_asked_about),
        ("deliveries", AsksForEver, RULES.test_asked_again_it_waits_again_and_asked_enough_it_is_left),
        ("receipts", ForgetsTheWaitIsOver, RULES.test_a_report_ends_the_wait),
        ("history", CountsPollsAsWork, RULES.test_what_waits_to_be_asked_about_is_settled),
        ("deliveries", ForgetsLateAnswers, RULES.test_a_late_answer_is_kept_as_one),
        ("deliveries", TakesEveryAnswerForLate, RULES.test_a_late_answer_is_kept_as_one),
        ("deliveries", TakesEveryAnswerForLate, RULES.test_a_report_that_was_faster_makes_no_answer_late),
        ("deliveries", ForgetsLateAnswers, RULES.test_a_late_answer_that_proves_nothing_new_is_kept_too),
        ("deliveries", BelievesWhatItIsGiven, RULES.test_a_report_that_was_faster_makes_no_answer_late),
        ("deliveries", FreesWhatOthersHold, RULES.test_a_late_answer_leaves_the_new_holders_call_alone),
        ("deliveries", RescuesTheLiving, RULES.test_a_call_on_the_wire_is_its_holders),
        ("receipts", ForgetsCallsWhenOneArrived, RULES.test_a_call_outlives_the_arrival_of_another_attempt),
        ("receipts", EndsLeasesWhenOneArrived, RULES.test_a_call_outlives_the_arrival_of_another_attempt),
        (
            "deliveries",
            LooksNotAtWhatArrived,
            RULES.test_a_call_whose_worker_died_ends_although_another_attempt_arrived,
        ),
        ("history", KeepsNoReasons, RULES.test_an_operators_word_is_kept_with_its_reason),
        ("deliveries", StartsTokensAnew, RULES.test_what_an_operator_retries_begins_anew),
        ("history", ListsTheNewestFirst, RULES.test_what_is_in_doubt_is_listed_the_oldest_first),
        ("history", ListsEverything, RULES.test_what_is_in_doubt_is_listed_the_oldest_first),
        ("history", BeginsAgain, RULES.test_what_is_in_doubt_is_listed_the_oldest_first),
        ("history", KeepsNoReasons, RULES.test_who_stopped_it_is_kept_with_the_reason),
        ("receipts", RemembersNoReporter, RULES.test_who_reports_is_known_from_the_first_report_on),
        ("receipts", CountsNoDoubts, RULES.test_reports_that_end_doubts_are_counted),
    ],
)
async def test_a_broken_store_fails_its_rule(port: str, planted: type[Planted], rule: Rule) -> None:
    """The sound store passes the same rule, so it is the planted fault that fails it."""
    await rule(memory_stores())
    stores = memory_stores()
    with pytest.raises((AssertionError, ValueError)):
        await rule(evolve(stores, **{port: planted(getattr(stores, port))}))
