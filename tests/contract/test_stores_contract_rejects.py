"""The stores' contracts catch stores that break them: each planted fault must fail the rule it breaks."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import count

import pytest
from attrs import define, evolve
from tests.services.stores import memory_stores

from fn_notifications.application.errors import Conflict
from fn_notifications.application.ports.history import Overruled, Unsettled
from fn_notifications.domain.events import Evidence
from fn_notifications.domain.identity import digest
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.preferences import Profile
from fn_notifications.domain.slowness import LATE
from fn_notifications.testing.contracts.deliveries import DeliveriesContract
from fn_notifications.testing.contracts.eventlog import EventLogContract
from fn_notifications.testing.contracts.history import HistoryContract
from fn_notifications.testing.contracts.intake import IntakeContract
from fn_notifications.testing.contracts.people import PeopleContract
from fn_notifications.testing.contracts.queue import QueueContract
from fn_notifications.testing.contracts.receipts import ReceiptsContract
from fn_notifications.testing.contracts.routes import RoutesContract
from fn_notifications.testing.contracts.storage import StorageContract
from fn_notifications.testing.contracts.stores import Stores

SERIAL = count()


@define(slots=False)
class Planted:
    """A sound port to spoil: whatever is not overridden is the sound one's."""

    sound: object

    def __getattr__(self, name):
        return getattr(self.sound, name)


class LastWriterWins(Planted):
    async def save(self, profiles):
        try:
            await self.sound.save(profiles)
        except Conflict:
            loaded = await self.sound.load([profile.user for profile in profiles])
            held = {user: dossier.profile.version for user, dossier in loaded.dossiers.items()}
            await self.save([evolve(profile, version=held[profile.user]) for profile in profiles])


class StoresWhatItCan(Planted):
    async def save(self, profiles):
        clash = None
        for profile in profiles:
            try:
                await self.sound.save([profile])
            except Conflict as conflict:
                clash = conflict
        if clash:
            raise clash


class NoticesNoOptOut(Planted):
    """Suppresses, but nobody can tell from the epoch."""

    async def suppress(self, opt_outs):
        before = dict(self.sound.state.points)
        changed = await self.sound.suppress(opt_outs)
        for key, point in before.items():
            self.sound.state.points[key] = evolve(self.sound.state.points[key], epoch=point.epoch)
        return changed


class MissesOtherSpellings(Planted):
    async def suppress(self, opt_outs):
        return await self.sound.suppress([one for one in opt_outs if one.address.value.islower()])

    async def save(self, profiles: list[Profile]):
        known = profiles[0].get("email")
        await self.sound.save(profiles if not known or known.islower() else [])


class SharesAcrossChannels(Planted):
    async def sharing(self, tenant, channel, address, limit):
        channels = dict.fromkeys(of for _, of in self.sound.state.points)
        found = [await self.sound.sharing(tenant, of, address, limit) for of in channels]
        return sorted({one for some in found for one in some}, key=lambda one: one.user_id)[:limit]


class ForgetsIdentities(Planted):
    async def store(self, batch):
        events = tuple(evolve(one, identity=digest(str(next(SERIAL)))) for one in batch.events)
        return await self.sound.store(evolve(batch, events=events))


class StoresInHalves(Planted):
    async def store(self, batch):
        report = await self.sound.store(evolve(batch, profiles=()))
        await self.sound.store(evolve(batch, events=(), dead=()))
        return report


class KnowsNoKeys(Planted):
    async def store(self, batch):
        return await self.sound.store(evolve(batch, events=tuple(map(self._keyless, batch.events))))

    def _keyless(self, event):
        proposals = (evolve(one, notification=evolve(one.notification, key=None)) for one in event.proposals)
        return evolve(event, proposals=tuple(proposals))


class ExtendsWindows(Planted):
    async def store(self, batch):
        events = tuple(
            evolve(one, proposals=tuple(evolve(each, window=each.window * 3) for each in one.proposals))
            for one in batch.events
        )
        return await self.sound.store(evolve(batch, events=events))


class LeasesTwice(Planted):
    async def claim(self, wanted, *, worker, lease):
        mine = await self.sound.claim(wanted, worker=worker, lease=lease)
        self.held = [*getattr(self, "held", ()), *mine]
        return self.held


class NeverLetsGo(Planted):
    async def claim(self, wanted, *, worker, lease):
        return await self.sound.claim(wanted, worker=worker, lease=lease * 1000)


class LooksOnlyWhenItClaims(Planted):
    """Consent read before the lock."""

    async def claim(self, wanted, *, worker, lease):
        leases = await self.sound.claim(wanted, worker=worker, lease=lease)
        self.people = dict(self.sound.state.points)
        return leases

    async def begin(self, leases, gate):
        self.sound.state.points |= self.people
        return await self.sound.begin(leases, gate)


class DropsLateAnswers(Planted):
    async def finish(self, answers):
        now, due = self.sound.state.clock(), self.sound.state.due
        held = {key for key, place in due.items() if (place.lease_until or now) > now}
        await self.sound.finish([one for one in answers if one.begun.lease.key in held])
        return [self.sound.state.deliveries[one.begun.lease.key] for one in answers]


class FreesWhatOthersHold(Planted):
    async def finish(self, answers):
        for answer in answers:
            place = self.sound.state.due.get(answer.begun.lease.key)
            if place:
                self.sound.state.due[answer.begun.lease.key] = evolve(place, lease_until=None, worker=None)
        return await self.sound.finish(answers)


class RescuesTheLiving(Planted):
    async def overdue(self, limit):
        return list(self.sound.state.due)[:limit]


class FindsOnlyWhatMayBeClaimed(Planted):
    async def outlived(self, limit):
        state = self.sound.state
        return [key for key in await self.sound.outlived(limit) if state.due[key].lease_until is None]


class FindsWhatSomebodyHolds(Planted):
    async def outlived(self, limit):
        state = self.sound.state
        return [
            key
            for key in state.due
            if state.deliveries[key].status is Status.PENDING and state.deliveries[key].expires_at <= state.clock()
        ][:limit]


class TakesCallsForWaiting(Planted):
    async def outlived(self, limit):
        state = self.sound.state
        return [key for key in state.due if state.deliveries[key].expires_at <= state.clock()][:limit]


class ForgetsReportKeys(Planted):
    async def receive(self, receipts):
        return await self.sound.receive([evolve(one, key=str(next(SERIAL))) for one in receipts])


class ThrowsEarlyReportsAway(Planted):
    async def apply(self, limit, judge):
        applied = await self.sound.apply(limit, judge)
        self.sound.state.inbox.clear()
        return applied


class PublishesWhatItOnlyGaveOut(Planted):
    async def take(self, reader, limit):
        entries = await self.sound.take(reader, limit)
        await self.sound.published(reader, entries)
        return entries


class LetsEverybodyRead(Planted):
    async def take(self, reader, limit):
        return await self.sound.take("anybody", limit)

    async def published(self, reader, entries):
        await self.sound.published("anybody", entries)


class SkipsEveryOther(Planted):
    async def take(self, reader, limit):
        return [one for one in await self.sound.take(reader, limit) if one.position % 2 == 0]


class KnowsNoOrderInAShard(Planted):
    """A relay that takes whatever is free, as SKIP LOCKED on unpublished rows does."""

    async def take(self, reader, limit):
        return list(await self.sound.take(reader, limit))[::-1]


class PublishesUnderALostLease(Planted):
    async def published(self, reader, entries):
        try:
            await self.sound.published(reader, entries)
        except Conflict:
            await self.sound.take(reader, 100)
            await self.sound.published(reader, entries)


class RenewsWhatIsLost(Planted):
    async def renew(self, reader, entries):
        with suppress(Conflict):
            await self.sound.renew(reader, entries)


class TellsEverything(Planted):
    """Gives out every event of a delivery, whether it is told or not."""

    async def take(self, reader, limit):
        kept = [one for one in self.sound.state.log if one.transition and not one.entry]
        return [*(await self.sound.take(reader, limit)), *kept]


class PrunesTheOpen(Planted):
    async def prune(self, keeping, limit):
        due, self.sound.state.due = self.sound.state.due, {}
        try:
            return await self.sound.prune(keeping, limit)
        finally:
            self.sound.state.due |= due


class PrunesWhatWaits(Planted):
    async def prune(self, keeping, limit):
        inbox, self.sound.state.inbox = self.sound.state.inbox, []
        try:
            return await self.sound.prune(keeping, limit)
        finally:
            self.sound.state.inbox += inbox


class ArchivesNothing(Planted):
    async def prune(self, keeping, limit):
        pruned = await self.sound.prune(keeping, limit)
        self.sound.state.archived.clear()
        return pruned


class PrunesWhatIsNotPublished(Planted):
    async def prune(self, keeping, limit):
        for shard in self.sound.state.shards:
            shard.waiting.clear()
        return await self.sound.prune(keeping, limit)


class ForgetsWhatItFolds(Planted):
    async def prune(self, keeping, limit):
        pruned = await self.sound.prune(keeping, limit)
        if pruned.amounts.get("intakes"):
            self.sound.state.intakes.clear()
        return pruned


class SeesNothingToDo(Planted):
    async def unsettled(self, horizon):
        return Unsettled()


class FindsEverythingQueued(Planted):
    async def story(self, tenant, notification_id):
        found = await self.sound.story(tenant, notification_id)
        return evolve(found, queue={one.key.no: one.due_at for one in found.notification.deliveries})


class ForgetsWhatItKnew(Planted):
    async def story(self, tenant, notification_id):
        return evolve(await self.sound.story(tenant, notification_id), overruled=())


class KeepsWhatReportsTell(Planted):
    async def apply(self, limit, judge):
        applied, state = await self.sound.apply(limit, judge), self.sound.state
        for key, told in state.receipts.items():
            taken = Overruled(until=told[-1][1].at, delivery_no=1, attempt_no=1, evidence=Evidence.ACCEPTED)
            state.overruled[key] = (*state.overruled.get(key, ()), taken)
        return applied


class CountsOnlyWhatIsDue(Planted):
    async def backlog(self, tenant):
        return [one for one in await self.sound.backlog(tenant) if one.reason is None]


class WaitsSinceItsLastTry(Planted):
    async def backlog(self, tenant):
        since = max((one.at for told in self.sound.state.changes.values() for one in told), default=None)
        return [evolve(one, since=since or one.since) for one in await self.sound.backlog(tenant)]


class HasReadEverything(Planted):
    async def taken_from(self, tenant, topics):
        return frozenset(topics)


class KeepsItToItself(Planted):
    """Knows what is shut, and tells nobody."""

    async def report(self, words):
        before = self.sound.state.board
        turns = await self.sound.report(words)
        self.sound.state.board = before
        return turns


class AlarmsEverybody(Planted):
    async def report(self, words):
        turns = await self.sound.report(words)
        self.heard = turns or getattr(self, "heard", [])
        return self.heard


class LetsEverybodyProbe(Planted):
    async def begin(self, leases, gate):
        before = self.sound.state.board
        begun = await self.sound.begin(leases, gate)
        self.sound.state.board = before
        return begun


class GivesEachAFullBucket(Planted):
    async def permits(self, wanted, rates):
        self.sound.state.buckets.clear()
        return await self.sound.permits(wanted, rates)


class LooksAwayFromHolds(Planted):
    async def begin(self, leases, gate):
        return await self.sound.begin(
            leases, lambda candidate, now: gate(evolve(candidate, board=evolve(candidate.board, holds=())), now)
        )


class WakesNobody(Planted):
    async def release(self, kind, name):
        due = dict(self.sound.state.due)
        released = await self.sound.release(kind, name)
        self.sound.state.due.update(due)
        return released


class WakesEverybody(Planted):
    async def release(self, kind, name):
        now = self.sound.state.clock()
        for key, place in self.sound.state.due.items():
            self.sound.state.due[key] = evolve(place, at=now)
        return await self.sound.release(kind, name)


class PinsBesideAnother(Planted):
    async def pin(self, route, span, *, reason, by):
        before = self.sound.state.board.standings
        until = await self.sound.pin(route, span, reason=reason, by=by)
        board = self.sound.state.board
        self.sound.state.board = evolve(board, standings={**board.standings, **before, route: board.standings[route]})
        return until


class MeasuresWhatIsYoung(Planted):
    async def weigh(self, routes, judge):
        clock = self.sound.state.clock
        self.sound.state.clock = lambda: clock() + LATE
        try:
            return await self.sound.weigh(routes, judge)
        finally:
            self.sound.state.clock = clock


class StopsAtTheFirstPage(Planted):
    async def waiting(self, tenant, type_, before, *, after=None, limit=1000):
        page = await self.sound.waiting(tenant, type_, before, after=after, limit=limit)
        return evolve(page, next=None)


Rule = Callable[[Stores], Awaitable[None]]


@pytest.mark.parametrize(
    ("port", "planted", "rule"),
    [
        ("people", LastWriterWins, PeopleContract().test_of_many_at_once_one_is_stored),
        ("people", StoresWhatItCan, PeopleContract().test_an_old_version_is_a_conflict_and_nothing_is_stored),
        ("people", NoticesNoOptOut, PeopleContract().test_the_epoch_counts_changes_of_consent),
        ("people", MissesOtherSpellings, PeopleContract().test_an_opt_out_reaches_everybody_with_that_address),
        ("people", SharesAcrossChannels, PeopleContract().test_who_shares_an_address),
        ("intake", ForgetsIdentities, IntakeContract().test_the_same_event_again_is_a_duplicate),
        ("intake", StoresInHalves, IntakeContract().test_a_profile_that_moved_keeps_all_of_it_out),
        ("intake", KnowsNoKeys, IntakeContract().test_of_many_with_one_key_at_once_one_is_stored),
        ("intake", ExtendsWindows, IntakeContract().test_a_key_says_a_thing_once_within_its_window),
        ("deliveries", LeasesTwice, QueueContract().test_no_two_workers_hold_one_delivery),
        ("deliveries", NeverLetsGo, QueueContract().test_a_dead_lease_is_due_again_under_a_newer_token),
        ("deliveries", LooksOnlyWhenItClaims, DeliveriesContract().test_an_opt_out_before_the_call_is_seen),
        ("deliveries", DropsLateAnswers, DeliveriesContract().test_a_late_answer_is_still_evidence),
        (
            "deliveries",
            FreesWhatOthersHold,
            DeliveriesContract().test_a_late_answer_takes_nothing_from_the_new_holder,
        ),
        ("deliveries", RescuesTheLiving, QueueContract().test_a_dead_lease_with_an_open_attempt_is_overdue),
        (
            "deliveries",
            FindsWhatSomebodyHolds,
            QueueContract().test_what_waits_past_its_time_is_found_though_nobody_claims_it,
        ),
        (
            "deliveries",
            FindsOnlyWhatMayBeClaimed,
            QueueContract().test_what_is_leased_and_dead_is_found_past_its_time_too,
        ),
        ("deliveries", TakesCallsForWaiting, QueueContract().test_what_is_leased_and_dead_is_found_past_its_time_too),
        ("receipts", ForgetsReportKeys, ReceiptsContract().test_a_report_is_stored_once),
        ("receipts", ThrowsEarlyReportsAway, ReceiptsContract().test_a_report_ahead_of_its_attempt_waits),
        ("eventlog", PublishesWhatItOnlyGaveOut, EventLogContract().test_entries_come_again_until_they_are_published),
        ("eventlog", LetsEverybodyRead, EventLogContract().test_one_reader_at_a_time),
        ("eventlog", SkipsEveryOther, EventLogContract().test_nothing_is_skipped_under_concurrent_writes),
        ("eventlog", KnowsNoOrderInAShard, EventLogContract().test_one_persons_entries_keep_their_order),
        ("eventlog", PublishesUnderALostLease, EventLogContract().test_a_lease_that_is_over_counts_no_more),
        ("eventlog", RenewsWhatIsLost, EventLogContract().test_a_lease_that_is_over_counts_no_more),
        ("eventlog", TellsEverything, EventLogContract().test_what_is_not_told_is_moved_past),
        ("storage", PrunesTheOpen, StorageContract().test_nothing_open_goes),
        ("storage", PrunesWhatWaits, StorageContract().test_a_report_that_waits_keeps_what_it_is_about),
        ("storage", ArchivesNothing, StorageContract().test_events_are_remembered_as_long_as_asked),
        ("storage", PrunesWhatIsNotPublished, StorageContract().test_the_log_goes_when_it_is_published),
        ("storage", ForgetsWhatItFolds, StorageContract().test_days_are_folded),
        ("history", FindsEverythingQueued, HistoryContract().test_a_story_says_what_somebody_comes_back_for),
        (
            "history",
            ForgetsWhatItKnew,
            HistoryContract().test_what_was_known_of_an_attempt_is_kept_when_more_is_learnt,
        ),
        ("receipts", KeepsWhatReportsTell, HistoryContract().test_what_a_report_tells_is_not_kept_twice),
        ("history", CountsOnlyWhatIsDue, HistoryContract().test_what_waits_for_its_way_out_is_counted),
        ("history", WaitsSinceItsLastTry, HistoryContract().test_what_waits_for_its_way_out_is_counted),
        ("history", SeesNothingToDo, HistoryContract().test_what_is_unsettled_becomes_settled),
        ("history", HasReadEverything, HistoryContract().test_where_events_came_from_is_remembered),
        ("routes", KeepsItToItself, RoutesContract().test_what_is_shut_is_shut_for_all),
        ("routes", AlarmsEverybody, RoutesContract().test_of_many_that_find_it_out_at_once_one_hears_that_it_turned),
        ("deliveries", LetsEverybodyProbe, RoutesContract().test_one_probe_goes_whoever_asks),
        ("routes", GivesEachAFullBucket, RoutesContract().test_the_permits_of_a_rate_are_shared),
        ("deliveries", LooksAwayFromHolds, RoutesContract().test_a_hold_is_seen_by_whoever_begins),
        ("routes", WakesNobody, RoutesContract().test_a_release_wakes_what_was_held),
        ("routes", WakesEverybody, RoutesContract().test_a_release_leaves_alone_what_waits_for_something_else),
        ("routes", PinsBesideAnother, RoutesContract().test_a_pin_puts_one_route_of_a_channel_first),
        ("routes", MeasuresWhatIsYoung, RoutesContract().test_late_messages_are_measured_by_route),
        ("deliveries", StopsAtTheFirstPage, RoutesContract().test_what_waits_is_found_by_its_type),
    ],
)
async def test_a_broken_store_fails_its_rule(port: str, planted: type[Planted], rule: Rule) -> None:
    """The sound store passes the same rule, so it is the planted fault that fails it."""
    await rule(memory_stores())
    stores = memory_stores()
    with pytest.raises((AssertionError, Conflict, ValueError, pytest.fail.Exception)):
        await rule(evolve(stores, **{port: planted(getattr(stores, port))}))
