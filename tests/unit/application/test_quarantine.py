"""What an operator does about held events and dead letters."""

from datetime import timedelta

import pytest
from attrs import evolve
from tests.services.intakes import Desk, claimed, created
from tests.services.stores import memory_stores

from fn_notifications.application.errors import Refused
from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.application.ports.quarantine import Wanted
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.contracts.stores import ADA, TENANT, meet, user

O = EventOutcome  # noqa: E741 - read as a word in tables of outcomes
LIMIT = 20
HALF_A_DAY = timedelta(hours=12)


@pytest.fixture
async def desk() -> Desk:
    stores = memory_stores()
    for name in ("ada", "bea"):
        await meet(stores, user(name), email=ADA.value)
    return Desk(stores)


async def said(desk: Desk) -> list[str]:
    return [str(one.variables.get("item")) for one in await desk.stores.history.recent(TENANT, 1000)]


def counted(desk: Desk, name: str) -> dict[str, int]:
    """A counter's values, by the values of its labels."""
    counts = desk.telemetry.counts.items()
    return {", ".join(value for _, value in labels): amount for (said, labels), amount in counts if said == name}


class TestHolding:
    async def test_an_old_event_is_held_a_stale_one_is_not(self, desk):
        assert await desk.feed(created("new"), age=timedelta(hours=5)) == {O.PLANNED: 1}
        assert await desk.feed(created("old"), age=timedelta(hours=7)) == {O.HELD: 1}
        assert await desk.feed(created("stale"), age=timedelta(hours=25)) == {O.STALE: 1}
        (held,) = await desk.custody.held(Wanted(), 10)
        assert (held.type, held.reason) == ("post_confirmation", Reason.REPLAYED)

    async def test_what_waited_while_we_were_down_is_told(self, desk):
        """It was published when it happened."""
        record = await desk.record(created("1"))
        await desk.stores.advance(timedelta(hours=20))
        assert await desk.intake.handle([record]) == {O.PLANNED: 1}

    async def test_one_person_gets_no_more_than_the_type_allows(self, desk):
        values = [created(str(number)) for number in range(LIMIT + 5)]
        assert await desk.feed(*values, created("b", "bea")) == {O.PLANNED: LIMIT + 1, O.HELD: 5}
        assert counted(desk, "intake.held") == {"flooded, post_confirmation": 5}

    async def test_urgent_types_are_never_held_for_their_number(self, desk):
        """But for their age they are."""
        assert await desk.feed(*(claimed(str(number)) for number in range(LIMIT + 5))) == {O.PLANNED: LIMIT + 5}
        assert await desk.feed(claimed("old"), age=timedelta(hours=3)) == {O.HELD: 1}

    async def test_a_caller_is_never_held(self, desk):
        for number in range(LIMIT + 5):
            sent = await desk.notifications.send("ada", "reminder", {"title": "t", "body": "b"}, id_=str(number))
            assert sent.deliveries

    async def test_a_dry_run_says_so(self, desk):
        answer = await desk.notifications.dry_run(await desk.record(created("old"), age=HALF_A_DAY))
        assert answer.outcome is O.HELD
        assert answer.sentences == (
            "ada, post_confirmation: held: the event was already old when it was published, as in a replay",
        )

    async def test_what_a_held_event_teaches_is_learnt(self, desk):
        """Facts have their own times."""
        registered = {"type": "user.registered", "id": "r", "data": {"user_id": "nia", "email": "nia@example.com"}}
        assert await desk.feed(registered, age=timedelta(hours=30)) == {O.HELD: 1}
        assert (await desk.notifications.get_preferences("nia"))["email"] == "nia@example.com"


class TestJumps:
    async def test_a_jump_is_said_once_an_hour_and_holds_nothing(self, desk):
        await desk.feed(*(created(f"a{n}", f"user {n}") for n in range(60)))
        await desk.stores.advance(timedelta(hours=1))
        for part in range(5):
            outcome = await desk.feed(*(created(f"b{part}-{n}", f"user {part}-{n}") for n in range(100)))
            assert outcome == {O.PLANNED: 100}
        assert counted(desk, "intake.jumps") == {"post_confirmation": 1}
        (line,) = [line for line in desk.telemetry.lines if line.event == "intake.jump"]
        assert (line.fields["this_hour"], line.fields["usual"]) == ("300", "60")

    async def test_usual_numbers_are_none(self, desk):
        for hour in range(4):
            await desk.feed(*(created(f"{hour}-{n}", f"user {n}") for n in range(150)))
            await desk.stores.advance(timedelta(hours=1))
        assert counted(desk, "intake.jumps") == {}


class TestReleasing:
    async def test_all_that_is_wanted_is_told_as_if_it_came_now(self, desk):
        """Neither its age nor the number holds it again; more than a page of them."""
        await desk.feed(*(created(str(n), f"user {n}", title=f"{n}") for n in range(450)), age=HALF_A_DAY)
        await desk.feed(created("b", "bea"), age=HALF_A_DAY)
        assert await desk.custody.release(Wanted(user_id="bea")) == {O.PLANNED: 1}
        assert await desk.custody.release(Wanted()) == {O.PLANNED: 450}
        assert sorted(await said(desk)) == sorted([*map(str, range(450)), "None"])
        assert await desk.custody.release(Wanted()) == {}

    async def test_what_is_past_its_time_by_then_is_stale(self, desk):
        await desk.feed(created("1"), age=HALF_A_DAY)
        await desk.stores.advance(timedelta(hours=13))
        assert await desk.custody.release(Wanted()) == {O.STALE: 1}

    async def test_it_keeps_its_identity(self, desk):
        """The event that comes again repeats it, before and after."""
        record = await desk.record(created("1"), age=HALF_A_DAY)
        assert await desk.intake.handle([record]) == {O.HELD: 1}
        assert await desk.intake.handle([record]) == {O.DUPLICATE: 1}
        await desk.custody.release(Wanted())
        assert await desk.intake.handle([record]) == {O.DUPLICATE: 1}
        assert len(await said(desk)) == 1

    async def test_only_whom_it_is_held_for_is_told(self, desk):
        """One of two people had too many: the other was told at once, and is not told again."""
        match = {"type": "post.matched", "id": "m", "data": {"user_id": "ada", "matcher_id": "bea", "match_id": "m"}}
        await desk.feed(*({**match, "id": f"{n}", "data": match["data"] | {"match_id": f"{n}", "matcher_id": None}}
                          for n in range(LIMIT)))  # fmt: skip
        assert await desk.feed(match) == {O.HELD: 1}
        assert len(await said(desk)) == LIMIT + 1
        asked = []

        class Watched:
            async def store(self, batch):
                asked.extend(p.notification.user.user_id for event in batch.events for p in event.proposals)
                return await desk.stores.intake.store(batch)

        watched = evolve(desk.custody, intake=evolve(desk.intake, store=Watched()))
        assert await watched.release(Wanted()) == {O.PLANNED: 1}
        assert asked == ["ada"]
        recent = await desk.stores.history.recent(TENANT, 100)
        told = [one.user.user_id for one in recent]
        assert (told.count("ada"), told.count("bea")) == (LIMIT + 1, 1)

    async def test_a_crash_in_the_middle_loses_nothing(self, desk):
        """What was stored is out of quarantine, the rest is in it."""
        await desk.feed(*(created(str(n), f"user {n}") for n in range(450)), age=HALF_A_DAY)

        class Dies:
            left = 1

            async def store(self, batch):
                if not self.left:
                    raise KeyboardInterrupt
                self.left -= 1
                return await desk.stores.intake.store(batch)

        dying = evolve(desk.custody, intake=evolve(desk.intake, store=Dies()))
        with pytest.raises(KeyboardInterrupt):
            await dying.release(Wanted())
        assert 0 < len(await said(desk)) < 450
        assert len(await said(desk)) + len(await desk.custody.held(Wanted(), 1000)) == 450
        await desk.custody.release(Wanted())
        assert len(await said(desk)) == 450

    async def test_what_no_store_takes_stays_held(self, desk):
        await desk.feed(*(created(str(n), f"user {n}") for n in range(5)), age=HALF_A_DAY)

        class Picky:
            async def store(self, batch):
                if any(p.notification.user.user_id == "user 3" for e in batch.events for p in e.proposals):
                    raise Refused("not that one")
                return await desk.stores.intake.store(batch)

        picky = evolve(desk.custody, intake=evolve(desk.intake, store=Picky()))
        assert await picky.release(Wanted()) == {O.PLANNED: 4, O.HELD: 1}
        assert [one.user_id for one in await desk.custody.held(Wanted(), 10)] == ["user 3"]

    async def test_what_nothing_asks_for_any_more_stays_held(self, desk):
        """Its type left the catalogue."""
        await desk.feed(created("1"), age=HALF_A_DAY)
        bare = evolve(desk.intake.catalogue, events={})
        assert await evolve(desk.custody, intake=evolve(desk.intake, catalogue=bare)).release(Wanted()) == {O.HELD: 1}
        assert await desk.custody.discard(Wanted()) == 1


class TestThinning:
    async def test_the_newest_of_each_person_are_told(self, desk):
        for number in range(10):
            values = (created(f"{name}{number}", name, title=f"{name}{number}") for name in ("ada", "bea"))
            await desk.feed(*values, age=HALF_A_DAY - timedelta(minutes=number))
        discarded, outcomes = await desk.custody.thin(Wanted(type="post_confirmation"), 2)
        assert (discarded, outcomes) == (16, {O.PLANNED: 4})
        assert sorted(await said(desk)) == ["ada8", "ada9", "bea8", "bea9"]
        (tally,) = await desk.custody.tally(Wanted())
        assert (tally.held, tally.released, tally.discarded) == (0, 4, 16)


class TestDeadLetters:
    async def test_a_letter_is_taken_in_once_it_can_be(self, desk):
        """A catalogue that did not know whom it is for, then one that does."""
        whole = desk.intake.catalogue
        desk.intake = evolve(
            desk.intake, catalogue=evolve(whole, events={"post.created": whole.events["post.matched"]})
        )
        record = await desk.record({"type": "post.created", "id": "1", "data": {"reporter": {"id": "ada"}}})
        good = await desk.record(b'{"type": "post.created", "data": {"post": {"user_id": "ada"}, "post_id": "p"}}')
        assert await desk.intake.handle([record, good]) == {O.DEAD_LETTERED: 2}
        newest, oldest = await desk.stores.history.dead_letters(TENANT, 10)
        assert await desk.custody.replay(newest.id) == {O.PLANNED: 1}
        assert await desk.custody.replay(oldest.id) == {O.DEAD_LETTERED: 1}
        assert await desk.custody.replay(newest.id) == {O.DUPLICATE: 1}
        assert await desk.custody.replay(999) is None
        letters = await desk.stores.history.dead_letters(TENANT, 10)
        assert [letter.replayed_at is not None for letter in letters] == [True, False]
