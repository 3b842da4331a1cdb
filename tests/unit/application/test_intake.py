"""Events in: every record ends as something, exactly once, whatever its neighbours are."""

import json
from datetime import timedelta

import pytest
from attrs import define, field, frozen

from fn_notifications.adapters.memory.store import MemoryStore
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.zones.tz import zone
from fn_notifications.application.errors import Conflict, Refused
from fn_notifications.application.intake import Intake
from fn_notifications.application.ports.events import Record
from fn_notifications.application.ports.intake import DeadEvent, EventOutcome, IntakeStore
from fn_notifications.application.service import Notifications
from fn_notifications.domain.catalogue import Policy
from fn_notifications.entrypoints.parts import load_catalogue

O = EventOutcome  # noqa: E741 - read as a word in tables of outcomes


@frozen
class Hostile:
    """A store that refuses batches with a given user, and meets a conflict as often as told."""

    inner: IntakeStore
    refused: str = ""
    conflicts: list[int] = field(factory=list)

    async def store(self, batch):
        users = {p.notification.user.user_id for event in batch.events for p in event.proposals}
        if self.refused in users:
            raise Refused("no such thing")
        if self.conflicts:
            self.conflicts.pop()
            raise Conflict("somebody was faster")
        return await self.inner.store(batch)


@define
class World:
    """An intake over memory, with ways to feed it."""

    store: MemoryStore
    intake: Intake
    telemetry: MemoryTelemetry
    offset: int = 0

    def record(self, value) -> Record:
        self.offset += 1
        raw = value if isinstance(value, bytes) else json.dumps(value).encode()
        now = self.store.clock()
        return Record(topic="events", partition=0, offset=self.offset, timestamp=now, value=raw)

    async def feed(self, *values):
        return await self.intake.handle([self.record(value) for value in values])


@pytest.fixture
def world(clock):
    store, telemetry = MemoryStore(clock=clock), MemoryTelemetry()
    intake = Intake(
        catalogue=load_catalogue(),
        people=store.people,
        store=store.intake,
        policy=Policy(zones=zone),
        telemetry=telemetry,
        chance=lambda: 0.5,
    )
    return World(store, intake, telemetry)


def with_store(world: World, **hostile) -> World:
    from attrs import evolve

    world.intake = evolve(world.intake, store=Hostile(world.store.intake, **hostile))
    return world


def created(id_: str, user: str = "ana", **data) -> dict:
    return {"type": "post.created", "id": id_, "source": "posts", "data": {"user_id": user, "post_id": id_, **data}}


async def test_an_empty_batch_does_nothing(world):
    assert await world.feed() == {}


async def test_every_record_of_a_batch_is_counted_as_what_it_is(world, clock):
    old = created("old") | {"time": (clock.now - timedelta(days=30)).isoformat()}
    outcomes = await world.feed(
        created("1"), created("1"), b"poison", {"type": "no.such"}, old, created("2", user="ben"),
        {"type": "user.updated", "id": "u", "data": {"user_id": "ana", "timezone": "Europe/Berlin"}},
    )  # fmt: skip
    assert outcomes == {O.PLANNED: 2, O.DUPLICATE: 1, O.IGNORED: 2, O.STALE: 1, O.DEAD_LETTERED: 1}
    assert sum(outcomes.values()) == 7


async def test_the_same_batch_again_makes_nothing_new(world):
    records = [world.record(created(str(n))) for n in range(5)]
    await world.intake.handle(records)
    before = len(world.store.state.notifications)
    assert await world.intake.handle(records) == {O.DUPLICATE: 5}
    assert len(world.store.state.notifications) == before


async def test_what_an_event_teaches_is_used_for_that_very_event(world):
    registered = {
        "type": "user.registered",
        "id": "r1",
        "source": "users",
        "data": {"user_id": "nia", "email": "nia@example.com", "name": "Nia"},
    }
    await world.feed(registered)
    (notification,) = world.store.state.notifications.values()
    assert [one.verdict for one in notification.decisions] == ["send"]


async def test_a_value_the_store_refuses_costs_its_own_record_alone(world):
    with_store(world, refused="poisonous")
    values = [created(str(n), user="poisonous" if n == 3 else "ana") for n in range(7)]
    assert await world.feed(*values) == {O.PLANNED: 6, O.DEAD_LETTERED: 1}
    ((_, letter),) = world.store.state.dead_letters
    assert letter.reason == "rejected"
    assert json.loads(world.store.state.originals[letter.id].value)["id"] == "3"


async def test_a_store_that_refuses_even_the_dead_letter_is_loud(world):
    class Never:
        async def store(self, batch):
            raise Refused("nothing at all")

    from attrs import evolve

    world.intake = evolve(world.intake, store=Never())
    with pytest.raises(Refused):
        await world.feed(created("1"))


async def test_a_conflict_is_decided_anew_on_fresh_profiles(world):
    with_store(world, conflicts=[1, 2, 3])
    assert await world.feed(created("1")) == {O.PLANNED: 1}
    assert world.telemetry.counts


async def test_conflicts_without_end_are_loud_and_nothing_is_stored(world):
    with_store(world, conflicts=list(range(100)))
    with pytest.raises(Conflict):
        await world.feed(created("1"))
    assert world.store.state.notifications == {}


async def test_an_unknown_type_is_said_once(world):
    await world.feed({"type": "no.such", "id": "1"}, {"type": "no.such", "id": "2"})
    await world.feed({"type": "no.such", "id": "3"})
    assert [line.event for line in world.telemetry.lines] == ["intake.unknown_type"]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        ({"type": "post.created", "id": "1", "data": {"post_id": "p"}}, "no_recipient"),
        ({"type": "user.updated", "id": "1", "data": {"timezone": "Europe/Berlin"}}, "no_recipient"),
    ],
)
async def test_an_event_that_concerns_nobody_is_a_dead_letter(world, value, reason):
    assert await world.feed(value) == {O.DEAD_LETTERED: 1}
    ((_, letter),) = world.store.state.dead_letters
    assert letter.reason == reason


async def test_dossiers_are_read_from_the_cache_and_forgotten_when_they_change(world, clock):
    from attrs import evolve

    from fn_notifications.adapters.memory.cache import MemoryPreferenceCache

    cache = MemoryPreferenceCache(300, clock=clock.now.timestamp)
    world.intake = evolve(world.intake, cache=cache)
    await world.feed(created("1"))
    asked = []
    load = world.store.people.load

    class Counting:
        async def load(self, users):
            asked.append(set(users))
            return await load(users)

    world.intake = evolve(world.intake, people=Counting())
    await world.feed(created("2"))
    assert asked == [set()]
    registered = {"type": "user.registered", "id": "r", "data": {"user_id": "ana", "email": "ana@example.com"}}
    await world.feed(registered)
    asked.clear()
    await world.feed(created("3"))
    assert [len(users) for users in asked] == [1]


async def dry(world: World, value):
    service = Notifications(
        intake=world.intake,
        people=world.store.people,
        deliveries=world.store.deliveries,
        history=world.store.history,
        routes=world.store.routes,
        lanes={},
        preferences=None,
    )
    return await service.dry_run(world.record(value))


async def test_a_dry_run_says_what_would_happen_and_does_nothing(world):
    answer = await dry(world, created("1"))
    assert answer.outcome is O.PLANNED
    assert answer.sentences[0].startswith("ana, post_confirmation: email: not before")
    assert (await dry(world, b"poison")).sentences == ("dead_lettered: not_json",)
    assert (await dry(world, {"type": "no.such"})).sentences == ("ignored: it tells nobody",)
    assert world.store.state.notifications == {}
    assert world.store.state.dead_letters == []


def test_a_dead_event_shows_none_of_its_bytes(world):
    from fn_notifications.application.understand import understand

    dead = understand(world.record(b"secret words"), world.intake.catalogue, "default")
    assert isinstance(dead, DeadEvent)
    assert "secret" not in repr(dead)
