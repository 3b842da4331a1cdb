"""The stores' contracts catch stores that break them: each planted fault must fail the rule it breaks."""

from collections.abc import Awaitable, Callable
from itertools import count

import pytest
from attrs import define, evolve
from tests.services.stores import memory_stores

from fn_notifications.application.errors import Conflict
from fn_notifications.application.ports.history import Unsettled
from fn_notifications.domain.identity import digest
from fn_notifications.domain.preferences import Profile
from fn_notifications.testing.contracts.deliveries import DeliveriesContract
from fn_notifications.testing.contracts.eventlog import EventLogContract
from fn_notifications.testing.contracts.history import HistoryContract
from fn_notifications.testing.contracts.intake import IntakeContract
from fn_notifications.testing.contracts.people import PeopleContract
from fn_notifications.testing.contracts.queue import QueueContract
from fn_notifications.testing.contracts.receipts import ReceiptsContract
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
        timely = [one for one in answers if one.lease.key in due and (due[one.lease.key].lease_until or now) > now]
        await self.sound.finish(timely)
        return [self.sound.state.deliveries[one.lease.key] for one in answers]


class FreesWhatOthersHold(Planted):
    async def finish(self, answers):
        for answer in answers:
            place = self.sound.state.due.get(answer.lease.key)
            if place:
                self.sound.state.due[answer.lease.key] = evolve(place, lease_until=None, worker=None)
        return await self.sound.finish(answers)


class RescuesTheLiving(Planted):
    async def overdue(self, limit):
        return list(self.sound.state.due)[:limit]


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


class SeesNothingToDo(Planted):
    async def unsettled(self, horizon):
        return Unsettled()


Rule = Callable[[Stores], Awaitable[None]]


@pytest.mark.parametrize(
    ("port", "planted", "rule"),
    [
        ("people", LastWriterWins, PeopleContract().test_of_many_at_once_one_is_stored),
        ("people", StoresWhatItCan, PeopleContract().test_an_old_version_is_a_conflict_and_nothing_is_stored),
        ("people", NoticesNoOptOut, PeopleContract().test_the_epoch_counts_changes_of_consent),
        ("people", MissesOtherSpellings, PeopleContract().test_an_opt_out_reaches_everybody_with_that_address),
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
        ("receipts", ForgetsReportKeys, ReceiptsContract().test_a_report_is_stored_once),
        ("receipts", ThrowsEarlyReportsAway, ReceiptsContract().test_a_report_ahead_of_its_attempt_waits),
        ("eventlog", PublishesWhatItOnlyGaveOut, EventLogContract().test_entries_come_again_until_they_are_published),
        ("eventlog", LetsEverybodyRead, EventLogContract().test_one_reader_at_a_time),
        ("eventlog", SkipsEveryOther, EventLogContract().test_nothing_is_skipped_under_concurrent_writes),
        ("history", SeesNothingToDo, HistoryContract().test_what_is_unsettled_becomes_settled),
    ],
)
async def test_a_broken_store_fails_its_rule(port: str, planted: type[Planted], rule: Rule) -> None:
    """The sound store passes the same rule, so it is the planted fault that fails it."""
    await rule(memory_stores())
    stores = memory_stores()
    with pytest.raises((AssertionError, Conflict, ValueError, pytest.fail.Exception)):
        await rule(evolve(stores, **{port: planted(getattr(stores, port))}))
