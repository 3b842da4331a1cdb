"""What every store keeps to that holds events for an operator. Subclass, provide the `stores` fixture."""

import asyncio
from collections import Counter
from datetime import datetime, timedelta
from typing import Final

import pytest
from attrs import evolve

from fn_notifications.application.errors import Conflict
from fn_notifications.application.ports.intake import Batch, Event, EventOutcome, Hold, Volume
from fn_notifications.application.ports.quarantine import Held, Tally, Wanted
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.preferences import Fact, Source, UserRef, merge
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.contracts.stores import (
    ADA,
    BOTH,
    NEWS,
    TENANT,
    Stores,
    dead,
    dossier,
    event,
    meet,
    now,
    original,
    proposal,
    stored,
    story,
    told,
    user,
)

ALL: Final = Wanted()
PLANNED, DUPLICATE, HELD = EventOutcome.PLANNED, EventOutcome.DUPLICATE, EventOutcome.HELD


async def limited(
    stores: Stores, name: str, who: UserRef | None = None, *, limit: int = 2, key: str | None = None
) -> Event:
    """An event that asks for one notification of a type of which there may be so many within an hour."""
    return event(name, evolve(await proposal(stores, who or user(), name, key=key), limit=limit))


def old(name: str, who: UserRef, at: datetime, type_: str = NEWS.name, offset: int = 0) -> Event:
    """An event that is to be held."""
    return evolve(event(name, offset=offset), holds=(Hold(who, type_, at, Reason.REPLAYED),))


async def held(stores: Stores, wanted: Wanted = ALL) -> list[Held]:
    """All that is held and fits."""
    return list(await stores.quarantine.held(TENANT, wanted, 1000))


async def letting_go(stores: Stores, one: Held, name: str) -> Event:
    """The event of this name again, released for its person."""
    return evolve(event(name, await proposal(stores, user(one.user_id), name)), released=one.id)


class QuarantineContract:
    """Rules for what is held, how it leaves, and what is counted to tell."""

    async def test_what_is_held_is_stored_whole_and_told_to_nobody(self, stores: Stores) -> None:
        """Listed without its bytes, opened with them; known as an event from then on, and counted."""
        at = await now(stores) - timedelta(hours=3)
        report = await stored(stores, old("one", user(), at, offset=7))
        assert (report.outcomes, report.notifications) == ((HELD,), ())
        assert report.holds == (Hold(user(), NEWS.name, at, Reason.REPLAYED),)
        (one,) = await held(stores)
        assert (one.type, one.user_id, one.reason, one.event_at) == (NEWS.name, "ada", Reason.REPLAYED, at)
        assert one.position == original("one", 7).position
        assert await stores.quarantine.opened(TENANT, [one.id]) == {one.id: original("one", 7)}
        assert not await stores.history.recent(TENANT, 10)
        assert (await stored(stores, old("one", user(), at, offset=7))).outcomes == (DUPLICATE,)
        assert await held(stores) == [one]
        ledger = await stores.history.ledger(TENANT)
        assert {what: amount for what, amount in ledger.events.items() if amount} == {HELD: 1, DUPLICATE: 1}

    async def test_who_else_an_event_concerns_is_told(self, stores: Stores) -> None:
        """Held for one person, planned for the other."""
        await meet(stores, user("bea"), email=ADA.value)
        at = await now(stores)
        one = evolve(
            event("one", await proposal(stores, user("bea"), "one")),
            holds=(Hold(user(), NEWS.name, at, Reason.UNREADABLE),),
        )
        report = await stored(stores, one)
        assert report.outcomes == (HELD,)
        (said,) = await stores.history.recent(TENANT, 10)
        assert (said.id, said.user) == (report.notifications[0], user("bea"))

    async def test_nobody_gets_more_of_a_type_within_an_hour_than_it_allows(self, stores: Stores) -> None:
        """What is beyond is held, until the hour is over; another person and another type have their own."""
        await meet(stores, user(), email=ADA.value)
        await meet(stores, user("bea"), email=ADA.value)
        events = [await limited(stores, f"a{number}") for number in range(4)]
        events += [await limited(stores, "b", user("bea"))]
        events += [event("other", evolve(await proposal(stores, user(), "other", BOTH), limit=2))]
        report = await stored(stores, *events)
        assert report.outcomes == (PLANNED, PLANNED, HELD, HELD, PLANNED, PLANNED)
        assert {hold.reason for hold in report.holds} == {Reason.FLOODED}
        assert [one.user_id for one in await held(stores)] == ["ada", "ada"]
        await stores.advance(timedelta(minutes=59))
        assert (await stored(stores, await limited(stores, "within"))).outcomes == (HELD,)
        await stores.advance(timedelta(minutes=2))
        assert (await stored(stores, await limited(stores, "after"))).outcomes == (PLANNED,)

    async def test_what_nobody_gets_does_not_count(self, stores: Stores) -> None:
        """A repetition, what is skipped on every channel, and what is held itself."""
        await meet(stores, user(), email=ADA.value)
        events = [await limited(stores, f"e{number}", key="k") for number in range(5)]
        assert (await stored(stores, *events)).outcomes == (PLANNED, *([DUPLICATE] * 4))
        await meet(stores, user(), enabled__email=False)
        silent = [await limited(stores, f"silent{number}") for number in range(5)]
        assert (await stored(stores, *silent)).outcomes == (PLANNED,) * 5
        await meet(stores, user(), enabled__email=True)
        more = [await limited(stores, f"more{number}") for number in range(3)]
        assert (await stored(stores, *more)).outcomes == (PLANNED, HELD, HELD)

    async def test_the_limit_holds_for_many_intakes_at_once(self, stores: Stores) -> None:
        """Each sees what the others told."""
        await meet(stores, user(), email=ADA.value)
        events = [await limited(stores, f"e{number}", limit=7) for number in range(50)]
        reports = await asyncio.gather(*(stored(stores, *events[start::10]) for start in range(10)))
        outcomes = Counter(outcome for report in reports for outcome in report.outcomes)
        assert outcomes == {PLANNED: 7, HELD: 43}
        assert len(await held(stores)) == 43

    async def test_what_is_held_takes_no_key(self, stores: Stores) -> None:
        """The next with the same key is told, and the held one repeats it then."""
        await meet(stores, user(), email=ADA.value)
        await stored(stores, *[await limited(stores, f"e{number}") for number in range(2)])
        assert (await stored(stores, await limited(stores, "held", key="k"))).outcomes == (HELD,)
        said = await told(stores, user(), "said", key="k")
        (one,) = await held(stores)
        again = evolve(event("held", await proposal(stores, user(), "held", key="k")), released=one.id)
        report = await stored(stores, again)
        assert (report.outcomes, list(report.duplicates.values())) == ((DUPLICATE,), [said.id])
        assert await held(stores) == []

    async def test_a_released_event_is_planned_once(self, stores: Stores) -> None:
        """Out of quarantine in the same transaction; released again, by however many, it is a duplicate."""
        await meet(stores, user(), email=ADA.value)
        await stored(stores, old("one", user(), await now(stores)))
        (one,) = await held(stores)
        again = await letting_go(stores, one, "one")
        reports = await asyncio.gather(*(stored(stores, again) for _ in range(5)))
        outcomes = Counter(outcome for report in reports for outcome in report.outcomes)
        assert outcomes == {PLANNED: 1, DUPLICATE: 4}
        (said,) = await stores.history.recent(TENANT, 10)
        assert (await story(stores, said)).notification.decisions == again.proposals[0].notification.decisions
        assert said.status is Status.PENDING
        assert await held(stores) == []
        assert await stores.quarantine.opened(TENANT, [one.id]) == {}
        assert list(await stores.quarantine.tally(TENANT, ALL)) == [
            Tally(type=NEWS.name, reason=Reason.REPLAYED, released=1)
        ]
        assert (await stored(stores, old("one", user(), await now(stores)))).outcomes == (DUPLICATE,)

    async def test_a_release_that_is_not_stored_leaves_all_as_it_was(self, stores: Stores) -> None:
        """A profile moved under it: still held, its bytes too."""
        await meet(stores, user(), email=ADA.value)
        await stored(stores, old("one", user(), await now(stores)))
        (one,) = await held(stores)
        stale = (await dossier(stores, user())).profile
        await meet(stores, user(), language="es")
        fact = Fact(user=user(), source=Source.EVENT, at=await now(stores), fields={"timezone": "UTC"})
        batch = Batch(tenant=TENANT, events=(await letting_go(stores, one, "one"),), profiles=(merge(stale, [fact]),))
        with pytest.raises(Conflict):
            await stores.intake.store(batch)
        assert await held(stores) == [one]
        assert len(await stores.quarantine.opened(TENANT, [one.id])) == 1

    async def test_what_must_be_held_again_stays(self, stores: Stores) -> None:
        """The same one, not another beside it."""
        at = await now(stores)
        await stored(stores, old("one", user(), at))
        (one,) = await held(stores)
        again = evolve(old("one", user(), at), released=one.id)
        assert (await stored(stores, again)).outcomes == (HELD,)
        assert await held(stores) == [one]

    async def test_the_oldest_event_comes_first_page_by_page(self, stores: Stores) -> None:
        """Whatever order they came in; only those that fit."""
        at = await now(stores)
        for number in (3, 1, 2, 0):
            who = user("ada" if number % 2 else "bea")
            await stored(stores, old(f"e{number}", who, at + timedelta(minutes=number)))
        await stored(stores, old("other", user("bea"), at, "other"))
        first = await stores.quarantine.held(TENANT, Wanted(type=NEWS.name), 3)
        rest = await stores.quarantine.held(TENANT, Wanted(type=NEWS.name), 3, after=first[-1])
        assert [(one.event_at - at) // timedelta(minutes=1) for one in (*first, *rest)] == [0, 1, 2, 3]
        assert {one.type for one in await held(stores, Wanted(user_id="bea"))} == {NEWS.name, "other"}
        assert await held(stores, Wanted(reason=Reason.FLOODED)) == []
        assert await stores.quarantine.held("another tenant", ALL, 10) == []

    async def test_what_is_discarded_is_counted_and_gone(self, stores: Stores) -> None:
        """All that fit but the newest of each person and type; what was released meanwhile is not touched."""
        await meet(stores, user(), email=ADA.value)
        at = await now(stores)
        for number in range(5):
            await stored(stores, old(f"a{number}", user(), at + timedelta(minutes=number)))
        await stored(stores, old("b", user("bea"), at), old("other", user(), at, "other"))
        first = (await held(stores, Wanted(user_id="ada", type=NEWS.name)))[0]
        await stored(stores, await letting_go(stores, first, "a0"))
        assert await stores.quarantine.discard(TENANT, Wanted(type=NEWS.name), keep=2) == 2
        kept = await held(stores, Wanted(type=NEWS.name, user_id="ada"))
        assert [(one.event_at - at) // timedelta(minutes=1) for one in kept] == [3, 4]
        assert await stores.quarantine.discard(TENANT, Wanted(type=NEWS.name), keep=2) == 0
        assert await stores.quarantine.discard(TENANT, Wanted(type=NEWS.name)) == 3
        assert list(await stores.quarantine.tally(TENANT, ALL)) == [
            Tally(type=NEWS.name, reason=Reason.REPLAYED, released=1, discarded=5),
            Tally(type="other", reason=Reason.REPLAYED, held=1),
        ]
        assert [one.type for one in await stores.quarantine.tally(TENANT, Wanted(type="other"))] == ["other"]
        bea = await stores.quarantine.tally(TENANT, Wanted(user_id="bea", reason=Reason.REPLAYED))
        assert list(bea) == [Tally(type=NEWS.name, reason=Reason.REPLAYED, discarded=1)]
        assert not await stores.quarantine.tally(TENANT, Wanted(reason=Reason.FLOODED))
        assert (await stored(stores, old("a4", user(), at))).outcomes == (DUPLICATE,)

    async def test_a_discarded_one_is_not_released(self, stores: Stores) -> None:
        """Whichever comes first counts, also at the same moment."""
        await meet(stores, user(), email=ADA.value)
        total: Counter[str] = Counter()
        for number in range(10):
            await stored(stores, old(f"e{number}", user(), await now(stores)))
            (one,) = await held(stores)
            again = await letting_go(stores, one, f"e{number}")
            report, discarded = await asyncio.gather(stored(stores, again), stores.quarantine.discard(TENANT, ALL))
            assert (len(report.notifications), discarded) in {(1, 0), (0, 1)}
            assert await held(stores) == []
            total += Counter(released=len(report.notifications), discarded=discarded)
            await stored(stores, again)
        (tally,) = await stores.quarantine.tally(TENANT, ALL)
        assert (tally.released, tally.discarded) == (total["released"], total["discarded"])

    async def test_the_volume_of_a_type_is_known_by_the_hour(self, stores: Stores) -> None:
        """What is asked for, held or not, repetitions apart; hours in which nothing came are known too."""
        await meet(stores, user(), email=ADA.value)
        start = await now(stores)
        await stores.advance(start.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1) - start)
        events = [await limited(stores, f"a{number}", limit=9, key=f"{number // 2}") for number in range(6)]
        first = await stored(stores, *events)
        assert first.volumes == (Volume(type=NEWS.name, added=3, amount=3, recent=()),)
        assert (await stored(stores, await limited(stores, "b"))).volumes[0].amount == 4
        await stores.advance(timedelta(hours=1))
        assert (await stored(stores, await limited(stores, "c"))).volumes[0].recent == (4,)
        await stores.advance(timedelta(hours=3))
        later = await stored(stores, await limited(stores, "d"))
        assert later.volumes == (Volume(type=NEWS.name, added=1, amount=1, recent=(0, 0, 1, 4)),)
        await stores.advance(timedelta(hours=100))
        assert (await stored(stores, await limited(stores, "e"))).volumes[0].recent == (*([0] * 23), 1)


class DeadLettersContract:
    """Rules for trying dead letters again."""

    async def test_a_letter_opens_as_the_event_came(self, stores: Stores) -> None:
        """Bytes, key, headers, place and time; nothing for a number that is no letter's."""
        await stores.intake.store(Batch(tenant=TENANT, dead=(dead("a", 4), dead("b", 5))))
        newest, oldest = await stores.history.dead_letters(TENANT, 10)
        assert await stores.dead_letters.opened(TENANT, oldest.id) == original("a", 4)
        assert await stores.dead_letters.opened(TENANT, newest.id) == original("b", 5)
        assert await stores.dead_letters.opened(TENANT, newest.id + 1) is None
        assert await stores.dead_letters.opened("another tenant", newest.id) is None

    async def test_a_letter_that_was_replayed_says_when(self, stores: Stores) -> None:
        """The first time; it stays a letter."""
        await stores.intake.store(Batch(tenant=TENANT, dead=(dead("a"),)))
        (letter,) = await stores.history.dead_letters(TENANT, 10)
        assert letter.replayed_at is None
        await stores.dead_letters.replayed(TENANT, letter.id)
        (once,) = await stores.history.dead_letters(TENANT, 10)
        await stores.advance(timedelta(minutes=1))
        await stores.dead_letters.replayed(TENANT, letter.id)
        assert await stores.history.dead_letters(TENANT, 10) == [once]
        assert once.replayed_at is not None

    async def test_what_is_dead_already_does_not_die_twice(self, stores: Stores) -> None:
        """Replayed and still no event: the same letter."""
        for _ in range(2):
            report = await stores.intake.store(Batch(tenant=TENANT, dead=(dead("a"),)))
            assert report.outcomes == (EventOutcome.DEAD_LETTERED,)
        assert len(await stores.history.dead_letters(TENANT, 10)) == 1
