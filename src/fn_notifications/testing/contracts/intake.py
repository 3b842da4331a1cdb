"""What every `IntakeStore` keeps to. Subclass, provide the `stores` fixture, and pytest runs the rules."""

import asyncio
from collections import Counter
from datetime import timedelta

import pytest
from attrs import evolve

from fn_notifications.application.errors import Conflict
from fn_notifications.application.outward import DEAD_LETTER
from fn_notifications.application.ports.intake import Batch, DeadReason, EventOutcome, Proposal
from fn_notifications.domain.commands import Cancel
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.preferences import Fact, Known, Profile, Source, merge
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.contracts.stores import (
    ADA,
    BOTH,
    NEWS,
    TENANT,
    Stores,
    begun,
    claim,
    dead,
    dossier,
    event,
    meet,
    now,
    proposal,
    stored,
    story,
    told,
    user,
)

WINDOW = NEWS.window


class IntakeContract:
    """Rules for storing what events ask for."""

    async def test_what_is_stored_can_be_read_again(self, stores: Stores) -> None:
        """The notification, its variables, deliveries and decisions, as they were planned."""
        await meet(stores, user(), email=ADA.value, timezone="Europe/Berlin", language="es")
        said = {"title": "Schlüssel ✓", "score": 0.25, "photos": ["a", {"b": None}], "big": 2**60}
        one = await proposal(stores, user(), "one", BOTH, key="k", variables=said)
        report = await stored(stores, event("one", one))
        assert report.outcomes == (EventOutcome.PLANNED,)
        assert report.notifications == (one.notification.id,)
        assert (await story(stores, one.notification)).notification == one.notification
        assert [decision.reason for decision in one.notification.decisions] == [None, Reason.NO_CONTACT]

    async def test_the_same_event_again_is_a_duplicate(self, stores: Stores) -> None:
        """Stored twice, said once; in one batch, too."""
        await meet(stores, user(), email=ADA.value)
        one = event("one", await proposal(stores, user(), "one"))
        assert (await stored(stores, one, one)).outcomes == (EventOutcome.PLANNED, EventOutcome.DUPLICATE)
        again = await stored(stores, one)
        assert (again.outcomes, again.notifications) == ((EventOutcome.DUPLICATE,), ())
        assert len(await stores.history.recent(TENANT, 10)) == 1

    async def test_what_an_event_became_is_said_when_it_comes_again(self, stores: Stores) -> None:
        """The notification it made or repeated; none, where it told nobody."""
        await meet(stores, user(), email=ADA.value)
        one = event("one", await proposal(stores, user(), "one", key="k"))
        two = event("two", await proposal(stores, user(), "two", key="k"))
        (first,) = (await stored(stores, one, two, event("ignored"))).notifications
        again = await stored(stores, one, two, event("ignored"), event("new"))
        assert again.repeated == {one.identity: (first,), two.identity: (first,), event("ignored").identity: ()}

    async def test_an_identity_with_another_body_is_dead(self, stores: Stores) -> None:
        """An id used twice is no repetition: it is kept apart, and nothing is said for it."""
        await meet(stores, user(), email=ADA.value)
        one = event("one", await proposal(stores, user(), "one"), offset=1)
        other = evolve(event("one", body="other", offset=2), proposals=one.proposals)
        report = await stored(stores, one, other)
        assert report.outcomes == (EventOutcome.PLANNED, EventOutcome.DEAD_LETTERED)
        assert (await stored(stores, evolve(other, original=evolve(other.original, value=b"x")))).outcomes == (
            EventOutcome.DEAD_LETTERED,
        )
        letters = await stores.history.dead_letters(TENANT, 10)
        assert [letter.reason for letter in letters] == [DeadReason.EVENT_ID_REUSED] * 2
        assert letters[0].position == other.original.position

    async def test_of_one_event_at_once_one_is_stored(self, stores: Stores) -> None:
        """Two consumers of the same partition, after a rebalance."""
        await meet(stores, user(), email=ADA.value)
        one = event("one", await proposal(stores, user(), "one"))
        reports = await asyncio.gather(*(stored(stores, one) for _ in range(10)))
        outcomes = Counter(outcome for report in reports for outcome in report.outcomes)
        assert outcomes == {EventOutcome.PLANNED: 1, EventOutcome.DUPLICATE: 9}
        assert len(await stores.history.recent(TENANT, 10)) == 1

    async def test_an_event_that_tells_nobody_is_ignored(self, stores: Stores) -> None:
        """It is known from then on, as any other."""
        assert (await stored(stores, event("one"))).outcomes == (EventOutcome.IGNORED,)
        assert (await stored(stores, event("one"))).outcomes == (EventOutcome.DUPLICATE,)

    async def test_an_event_past_its_time_is_stale(self, stores: Stores) -> None:
        """Recorded as a notification that is skipped."""
        await meet(stores, user(), email=ADA.value)
        old = await proposal(stores, user(), "one", at=await now(stores) - NEWS.ttl)
        assert (await stored(stores, event("one", old))).outcomes == (EventOutcome.STALE,)
        assert (await story(stores, old.notification)).notification.status is Status.SKIPPED

    async def test_a_key_says_a_thing_once_within_its_window(self, stores: Stores) -> None:
        """Same user, type and key: within the window a duplicate, which is recorded; outside it another thing."""
        await meet(stores, user(), email=ADA.value)
        at = await now(stores)
        first = await proposal(stores, user(), "first", key="k", at=at)
        near = await proposal(stores, user(), "near", key="k", at=at - WINDOW / 2)
        far = await proposal(stores, user(), "far", key="k", at=at - WINDOW)
        report = await stored(stores, event("first", first), event("near", near), event("far", far))
        assert report.outcomes == (EventOutcome.PLANNED, EventOutcome.DUPLICATE, EventOutcome.PLANNED)
        assert report.duplicates == {near.notification.id: first.notification.id}
        assert (await story(stores, first.notification)).repeats == 1
        assert (await story(stores, far.notification)).repeats == 0
        assert await stores.history.story(TENANT, near.notification.id) is None

    async def test_a_key_is_one_users_and_one_types(self, stores: Stores) -> None:
        """Another user, another type, another key, or none: none of them repeats the first."""
        for name in ("ada", "bea"):
            await meet(stores, user(name), email=ADA.value)
        proposals = [
            await proposal(stores, user("ada"), "1", key="k"),
            await proposal(stores, user("bea"), "2", key="k"),
            await proposal(stores, user("ada"), "3", BOTH, key="k"),
            await proposal(stores, user("ada"), "4", key="other"),
            await proposal(stores, user("ada"), "5"),
            await proposal(stores, user("ada"), "6"),
        ]
        for number, one in enumerate(proposals):
            assert (await stored(stores, event(f"e{number}", one))).outcomes == (EventOutcome.PLANNED,)

    async def test_of_many_with_one_key_at_once_one_is_stored(self, stores: Stores) -> None:
        """Fifty events, each of its own, over ten batches at a time; the others are recorded with its id."""
        await meet(stores, user(), email=ADA.value)
        events = [event(f"e{n}", await proposal(stores, user(), f"e{n}", key="k")) for n in range(50)]
        reports = await asyncio.gather(*(stored(stores, *events[start::10]) for start in range(10)))
        outcomes = Counter(outcome for report in reports for outcome in report.outcomes)
        assert outcomes == {EventOutcome.PLANNED: 1, EventOutcome.DUPLICATE: 49}
        (kept,) = (id_ for report in reports for id_ in report.notifications)
        duplicates = {one: first for report in reports for one, first in report.duplicates.items()}
        assert set(duplicates.values()) == {kept}
        assert len(duplicates) == 49
        (only,) = await stores.history.recent(TENANT, 100)
        assert (await story(stores, only)).repeats == 49

    async def test_what_says_nothing_takes_no_key(self, stores: Stores) -> None:
        """Every delivery skipped: the next with this key is told."""
        await meet(stores, user(), email=ADA.value, enabled__email=False)
        await told(stores, user(), "silent", key="k")
        await meet(stores, user(), enabled__email=True)
        loud = await proposal(stores, user(), "loud", key="k")
        assert (await stored(stores, event("loud", loud))).outcomes == (EventOutcome.PLANNED,)

    async def test_what_ended_unsaid_releases_its_key(self, stores: Stores) -> None:
        """Once its last delivery is cancelled, not before."""
        await meet(stores, user(), email=ADA.value, phone="+15005550006")
        one = await told(stores, user(), "one", BOTH, key="k")
        for delivery in one.deliveries:
            report = await stored(stores, event(f"{delivery.key.no}", await _again(stores, f"{delivery.key.no}")))
            assert report.outcomes == (EventOutcome.DUPLICATE,)
            await stores.deliveries.change([delivery.key], lambda *_: Cancel())
        free = await stored(stores, event("free", await _again(stores, "free")))
        assert free.outcomes == (EventOutcome.PLANNED,)

    async def test_siblings_that_end_at_once_release_their_key(self, stores: Stores) -> None:
        """Neither may rely on the other to be still open."""
        await meet(stores, user(), email=ADA.value, phone="+15005550006")
        for number in range(10):
            one = await told(stores, user(), f"one{number}", BOTH, key="k")
            changes = (stores.deliveries.change([each.key], lambda *_: Cancel()) for each in one.deliveries)
            await asyncio.gather(*changes)
            assert await stores.history.story(TENANT, one.id), number

    async def test_what_was_said_keeps_its_key(self, stores: Stores) -> None:
        """One delivery on the wire, its sibling cancelled."""
        await meet(stores, user(), email=ADA.value, phone="+15005550006")
        one = await told(stores, user(), "one", BOTH, key="k")
        assert len(await begun(stores, type_=BOTH)) == 1
        await stores.deliveries.change([one.deliveries[1].key], lambda *_: Cancel())
        report = await stored(stores, event("again", await _again(stores, "again")))
        assert list(report.duplicates.values()) == [one.id]

    async def test_profiles_are_stored_with_the_batch(self, stores: Stores) -> None:
        """What an event teaches holds from the same moment as what it asks for."""
        learnt = Profile(user=user(), fields={"email": Known(ADA.value, Source.EVENT, await now(stores))})
        await stores.intake.store(Batch(tenant=TENANT, events=(event("one"),), profiles=(learnt,)))
        assert (await dossier(stores, user())).profile == evolve(learnt, version=1)

    async def test_a_profile_that_moved_keeps_all_of_it_out(self, stores: Stores) -> None:
        """Nothing is stored, the event's identity included: decided anew, it can be stored."""
        await meet(stores, user(), email=ADA.value)
        one = event("one", await proposal(stores, user(), "one", key="k"))
        old = (await dossier(stores, user())).profile
        await meet(stores, user(), language="es")
        fact = Fact(user=user(), source=Source.EVENT, at=await now(stores), fields={"timezone": "UTC"})
        with pytest.raises(Conflict):
            await stores.intake.store(
                Batch(tenant=TENANT, events=(one,), dead=(dead("bad"),), profiles=(merge(old, [fact]),))
            )
        assert not await stores.history.recent(TENANT, 10)
        assert not await stores.history.dead_letters(TENANT, 10)
        assert (await stores.history.ledger(TENANT)).taken_in == 0
        assert (await stored(stores, one)).outcomes == (EventOutcome.PLANNED,)

    async def test_dead_events_are_kept_and_told(self, stores: Stores) -> None:
        """Listed with reason and place; told to the outside with the same, and nothing else."""
        report = await stores.intake.store(Batch(tenant=TENANT, dead=(dead("a", 4), dead("b", 5))))
        assert report.outcomes == (EventOutcome.DEAD_LETTERED,) * 2
        newest, oldest = await stores.history.dead_letters(TENANT, 10)
        assert [letter.position.offset for letter in (oldest, newest)] == [4, 5]
        assert (newest.reason, newest.detail) == (DeadReason.NOT_JSON, "at byte 0")
        entries = await stores.eventlog.take("relay", 10)
        assert {entry.topic for entry in entries} == {DEAD_LETTER}
        assert {entry.id for entry in entries} == {f"dead-letter-{letter.id}" for letter in (oldest, newest)}
        told_of = next(entry.data for entry in entries if entry.data["id"] == newest.id)
        assert told_of == {"id": newest.id, "reason": "not_json", "topic": "posts", "partition": 1, "offset": 5}

    async def test_the_ledger_counts_every_event(self, stores: Stores) -> None:
        """Whatever became of it, batch after batch, repetitions included."""
        await meet(stores, user(), email=ADA.value)
        told_once = event("one", await proposal(stores, user(), "one"), offset=3)
        batch = Batch(tenant=TENANT, events=(told_once, told_once, event("ignored")), dead=(dead("bad"),))
        for _ in range(2):
            await stores.intake.store(batch)
        ledger = await stores.history.ledger(TENANT)
        assert ledger.events == {
            EventOutcome.PLANNED: 1,
            EventOutcome.DUPLICATE: 4,
            EventOutcome.IGNORED: 1,
            EventOutcome.DEAD_LETTERED: 2,
        }
        assert ledger.deliveries == {Status.PENDING: 1}

    async def test_who_waits_for_a_contact_point_is_woken_by_it(self, stores: Stores) -> None:
        """Due at once when the address is learnt, instead of after the grace."""
        one = await told(stores, user(), "one")
        assert one.deliveries[0].reason is Reason.AWAITING_CONTACT
        assert not await claim(stores)
        await meet(stores, user(), language="es")
        assert not await claim(stores)
        await meet(stores, user(), email=ADA.value)
        assert [lease.key for lease in await claim(stores)] == [one.deliveries[0].key]

    async def test_nobody_waits_longer_than_the_grace(self, stores: Stores) -> None:
        """Due when it is over, to be skipped then."""
        await told(stores, user(), "one")
        await stores.advance(timedelta(minutes=15))
        assert len(await claim(stores)) == 1


async def _again(stores: Stores, name: str) -> Proposal:
    return await proposal(stores, user(), name, BOTH, key="k")
