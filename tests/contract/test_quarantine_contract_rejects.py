"""The contracts of quarantine and fairness catch stores that break them: each planted fault fails its rule."""

import asyncio
from collections.abc import Awaitable, Callable
from itertools import count

import pytest
from attrs import evolve
from tests.contract.test_stores_contract_rejects import Planted
from tests.services.stores import memory_stores

from fn_notifications.domain.identity import digest
from fn_notifications.testing.contracts.fairness import FairnessContract
from fn_notifications.testing.contracts.intake import IntakeContract
from fn_notifications.testing.contracts.quarantine import DeadLettersContract, QuarantineContract
from fn_notifications.testing.contracts.stores import TENANT, Stores

SERIAL = count()


class Ranking(Planted):
    """Gives ranks of its own to what is new."""

    async def store(self, batch):
        before = set(self.sound.state.due)
        report = await self.sound.store(batch)
        for key, place in self.sound.state.due.items():
            if key not in before:
                self.sound.state.due[key] = evolve(place, rank=self.rank(key))
        return report


class RanksByArrival(Ranking):
    def rank(self, key):
        return next(SERIAL)


class RanksByPersonAlone(Ranking):
    def rank(self, key):
        return 0


class RanksInReverse(Ranking):
    def rank(self, key):
        return -next(SERIAL)


class StartsAnew(Ranking):
    """A lane in which nothing is ready begins at the beginning, whatever still comes back."""

    async def store(self, batch):
        now = self.sound.state.clock()
        if not any(place.at and place.at <= now for place in self.sound.state.due.values()):
            self.serial = count()
        return await super().store(batch)

    def rank(self, key):
        return next(self.serial)


class ForgetsHowFarItGot(Planted):
    """An empty lane goes by each type's own turns alone."""

    async def store(self, batch):
        for turns in self.sound.state.turns.values():
            turns |= {flow: (last, -1) for flow, (last, _) in turns.items()}
        return await self.sound.store(batch)


class GoesByWhatWasGivenLast(Planted):
    """An empty lane starts behind everything, whatever still comes back."""

    async def store(self, batch):
        due = dict(self.sound.state.due)
        self.sound.state.due.clear()
        report = await self.sound.store(batch)
        self.sound.state.due |= due
        return report


class HoldsNothing(Planted):
    async def store(self, batch):
        return await self.sound.store(evolve(batch, events=tuple(evolve(one, holds=()) for one in batch.events)))


class HoldsWholeEvents(Planted):
    async def store(self, batch):
        events = tuple(evolve(one, proposals=() if one.holds else one.proposals) for one in batch.events)
        return await self.sound.store(evolve(batch, events=events))


class KnowsNoLimit(Planted):
    async def store(self, batch):
        events = tuple(
            evolve(one, proposals=tuple(evolve(each, limit=None) for each in one.proposals)) for one in batch.events
        )
        return await self.sound.store(evolve(batch, events=events))


class CountsByBatch(Planted):
    async def store(self, batch):
        self.turn = getattr(self, "turn", None) or asyncio.Lock()
        async with self.turn:
            self.sound.state.received.clear()
            return await self.sound.store(batch)


class CountsWhatIsSilent(Planted):
    async def store(self, batch):
        report = await self.sound.store(batch)
        now = self.sound.state.clock()
        for event in batch.events:
            for one in (proposal.notification for proposal in event.proposals):
                recent = self.sound.state.received.get((one.user, one.type), ())
                self.sound.state.received[one.user, one.type] = (*recent, now)
        return report


class GivesKeysToTheHeld(Planted):
    async def store(self, batch):
        before = dict(self.sound.state.kept)
        unlimited = tuple(
            evolve(one, proposals=tuple(evolve(each, limit=None) for each in one.proposals)) for one in batch.events
        )
        report = await self.sound.store(batch)
        if report.holds:
            clean = memory_stores()
            await clean.intake.store(evolve(batch, events=unlimited))
            self.sound.state.kept = before | clean.intake.state.kept
        return report


class ReleasesWithoutLooking(Planted):
    async def store(self, batch):
        events = tuple(
            one if one.released is None else evolve(one, identity=digest(str(next(SERIAL))), released=None)
            for one in batch.events
        )
        return await self.sound.store(evolve(batch, events=events))


class LetsGoFirst(Planted):
    """Out of quarantine before it is stored."""

    async def store(self, batch):
        for one in batch.events:
            if one.released is not None:
                held = self.sound.state.quarantine[one.released]
                self.sound.state.quarantine[one.released] = evolve(held, outcome="released", original=None)
        return await self.sound.store(batch)


class HoldsAgainBesideIt(Planted):
    async def store(self, batch):
        events = tuple(
            evolve(one, identity=digest(str(next(SERIAL)))) if one.released and one.holds else one
            for one in batch.events
        )
        return await self.sound.store(evolve(batch, events=events))


class SaysNothingOfVolumes(Planted):
    async def store(self, batch):
        return evolve(await self.sound.store(batch), volumes=())


class ForgetsWhatBecameOfIt(Planted):
    async def store(self, batch):
        return evolve(await self.sound.store(batch), repeated={})


class ListsAsTheyCame(Planted):
    async def held(self, tenant, wanted, limit, *, after=None):
        found = sorted(await self.sound.held(tenant, wanted, 10_000), key=lambda one: one.id)
        return [one for one in found if after is None or one.id > after.id][:limit]


class KeepsTheOldest(Planted):
    async def discard(self, tenant, wanted, *, keep=0):
        held = await self.sound.held(tenant, wanted, 10_000)
        seen, before = {}, dict(self.sound.state.quarantine)
        await self.sound.discard(tenant, wanted)
        for one in held:
            seen[one.user_id] = seen.get(one.user_id, 0) + 1
            if seen[one.user_id] <= keep:
                self.sound.state.quarantine[one.id] = before[one.id]
        return sum(max(0, amount - keep) for amount in seen.values())


class DiscardsWhatIsGone(Planted):
    async def discard(self, tenant, wanted, *, keep=0):
        state = self.sound.state
        for id_, one in state.quarantine.items():
            state.quarantine[id_] = evolve(one, outcome="discarded", original=None)
        return len(state.quarantine)


class CountsEverything(Planted):
    async def tally(self, tenant, wanted):
        return await self.sound.tally(tenant, evolve(wanted, type=None, user_id=None, reason=None))


class OpensAnybodys(Planted):
    async def opened(self, tenant, letter):
        return await self.sound.opened(TENANT, letter)


class NotesNothing(Planted):
    async def replayed(self, tenant, letter):
        return None


class BuriesTwice(Planted):
    async def store(self, batch):
        self.sound.state.originals = dict.fromkeys(self.sound.state.originals)
        return await self.sound.store(batch)


F, Q, D, I = FairnessContract(), QuarantineContract(), DeadLettersContract(), IntakeContract()  # noqa: E741 - of a table
Rule = Callable[[Stores], Awaitable[None]]


@pytest.mark.parametrize(
    ("port", "planted", "rule"),
    [
        ("intake", RanksByArrival, F.test_a_persons_backlog_does_not_stand_before_anothers_first),
        ("intake", RanksByPersonAlone, F.test_a_types_backlog_does_not_stand_before_anothers),
        ("intake", RanksInReverse, F.test_what_one_person_is_told_keeps_its_order),
        ("intake", StartsAnew, F.test_nobody_is_forgotten_when_a_lane_ran_empty),
        ("intake", ForgetsHowFarItGot, F.test_nobody_saves_up_turns_while_a_lane_is_empty),
        ("intake", GoesByWhatWasGivenLast, F.test_a_storm_of_retries_does_not_stand_before_a_newcomer),
        ("intake", RanksByArrival, F.test_intakes_at_once_take_different_turns),
        ("intake", HoldsNothing, Q.test_what_is_held_is_stored_whole_and_told_to_nobody),
        ("intake", HoldsWholeEvents, Q.test_who_else_an_event_concerns_is_told),
        ("intake", KnowsNoLimit, Q.test_nobody_gets_more_of_a_type_within_an_hour_than_it_allows),
        ("intake", CountsWhatIsSilent, Q.test_what_nobody_gets_does_not_count),
        ("intake", CountsByBatch, Q.test_the_limit_holds_for_many_intakes_at_once),
        ("intake", GivesKeysToTheHeld, Q.test_what_is_held_takes_no_key),
        ("intake", ReleasesWithoutLooking, Q.test_a_released_event_is_planned_once),
        ("intake", LetsGoFirst, Q.test_a_release_that_is_not_stored_leaves_all_as_it_was),
        ("intake", HoldsAgainBesideIt, Q.test_what_must_be_held_again_stays),
        ("quarantine", ListsAsTheyCame, Q.test_the_oldest_event_comes_first_page_by_page),
        ("quarantine", KeepsTheOldest, Q.test_what_is_discarded_is_counted_and_gone),
        ("quarantine", CountsEverything, Q.test_what_is_discarded_is_counted_and_gone),
        ("quarantine", DiscardsWhatIsGone, Q.test_a_discarded_one_is_not_released),
        ("intake", SaysNothingOfVolumes, Q.test_the_volume_of_a_type_is_known_by_the_hour),
        ("intake", ForgetsWhatBecameOfIt, I.test_what_an_event_became_is_said_when_it_comes_again),
        ("dead_letters", OpensAnybodys, D.test_a_letter_opens_as_the_event_came),
        ("dead_letters", NotesNothing, D.test_a_letter_that_was_replayed_says_when),
        ("intake", BuriesTwice, D.test_what_is_dead_already_does_not_die_twice),
    ],
)
async def test_a_broken_store_fails_its_rule(port: str, planted: type[Planted], rule: Rule) -> None:
    """The sound store passes the same rule, so it is the planted fault that fails it."""
    await rule(memory_stores())
    stores = memory_stores()
    with pytest.raises((AssertionError, ValueError, IndexError, pytest.fail.Exception)):
        await rule(evolve(stores, **{port: planted(getattr(stores, port))}))
