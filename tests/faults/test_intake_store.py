"""Faults that only a real store has: a hundred thousand rows that wait, and rows that no key opens."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

import pytest
from attrs import evolve
from tests.services.intakes import Desk, created
from tests.services.stores import VAULT, stores_over

from fn_notifications.adapters.memory.events import MemoryStream
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.postgres import ranks
from fn_notifications.adapters.postgres.pool import Database, fetch
from fn_notifications.adapters.vault.aes import AesVault
from fn_notifications.adapters.vault.keys import Keys, derive_keys
from fn_notifications.application.ports.events import Outgoing
from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.application.ports.quarantine import Wanted
from fn_notifications.application.ports.vault import VaultError
from fn_notifications.domain.address import EMAIL
from fn_notifications.domain.fairness import next_turn
from fn_notifications.domain.preferences import UserRef
from fn_notifications.domain.reasons import Reason
from fn_notifications.entrypoints.service import IntakeStep, Loop, Supervisor
from fn_notifications.testing.contracts.fairness import OFFERS, next_claimed, queued
from fn_notifications.testing.contracts.stores import ADA, NEWS, TENANT, Stores, claim, meet, user
from fn_notifications.testing.waiting import eventually

pytestmark = pytest.mark.external

O = EventOutcome  # noqa: E741 - read as a word in tables of outcomes
BACKLOG = 100_000
FEW = 60
"""Pages of 8 kB that a look at a few index entries may touch. The backlog fills thousands."""


async def backlog(database: Database, people: Sequence[UserRef]) -> None:
    """Rows as intake would have left them for as many messages, one after another. In bulk: it takes seconds."""
    last, highest = -1, dict[UserRef, int]()
    async with database.transaction() as connection:
        columns = "notification_id, rank, due_at, expires_at, no, priority, ready, awaits_contact, tenant, user_id"
        copied = connection.cursor().copy(f"COPY due ({columns}, channel, status) FROM STDIN")
        (row,) = await fetch(connection, "SELECT fn_now() AS now")
        async with copied as copy:
            for number, who in enumerate(people):
                turn = next_turn(0, last, highest.get(who))
                last, highest[who] = turn.last, turn.rank
                key = (UUID(int=number), turn.rank, row.now, row.now.replace(year=2100), 1, 2, True, False)
                await copy.write_row((*key, TENANT, who.user_id, EMAIL, "pending"))
        await connection.execute(
            "INSERT INTO turns (channel, priority, tenant, type, last, furthest) VALUES (%s, 2, %s, %s, %s, %s)",
            (EMAIL, TENANT, NEWS.name, last, max(highest.values())),
        )


async def pages(database: Database, statement: str, **values: Any) -> int:
    """How many buffers a statement touches."""
    async with database.transaction() as connection:
        (row,) = await fetch(connection, "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement, **values)
        plan = row[0][0]["Plan"]
        return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


class TestBacklogs:
    @pytest.mark.parametrize("crowd", [1, BACKLOG], ids=["of one person", "of one type"])
    async def test_fault_45_a_backlog_delays_nobody_elses_message(
        self, world: tuple[Stores, Database], crowd: int
    ) -> None:
        """The other's is in the very next claim: when it comes, when much is done, and with fresh statistics."""
        stores, database = world
        await backlog(database, [user(f"one of {number % crowd}") for number in range(BACKLOG)])
        for part in range(3):
            type_ = NEWS if crowd == 1 else OFFERS
            (other,) = await queued(stores, [user(f"other {part}")], f"other {part}", type_)
            assert other in await next_claimed(stores, 2)
            await claim(stores, EMAIL, 2000)
            async with database.transaction() as connection:
                await connection.execute("ANALYZE due")

    @pytest.mark.parametrize("crowd", [1, BACKLOG], ids=["of one person", "of one type"])
    async def test_fault_45_taking_a_message_in_costs_the_same_before_a_backlog(
        self, world: tuple[Stores, Database], crowd: int
    ) -> None:
        """Neither with the statistics of the empty tables nor with new ones is more looked at than a few entries."""
        _, database = world
        await backlog(database, [user(f"one of {number % crowd}") for number in range(BACKLOG)])
        one = {"tenant": TENANT, "user_id": "one of 0", "channel": EMAIL, "priority": 2}
        turn = {"tenant": TENANT, "channel": EMAIL, "priority": 2, "type": NEWS.name}
        lane = {"channel": EMAIL, "priority": 2}
        for _ in range(2):
            assert await pages(database, ranks._PEOPLE, people=[one]) < FEW
            assert await pages(database, ranks._TURNS, turns=[turn], lanes=[lane]) < FEW
            assert await pages(database, "SELECT max(rank) FROM due WHERE due_at > now() - interval '1 day'") > FEW
            async with database.transaction() as connection:
                await connection.execute("ANALYZE due")


OTHER = derive_keys(b"a secret that was lost")
ROTATED = Keys(sealing=OTHER.sealing + VAULT.keys.sealing, lookup=VAULT.keys.lookup)


def sealed_by(database: Database, keys: Keys) -> Desk:
    """A desk over this database with these keys. Look-ups stay the same in all rotations."""
    return Desk(stores_over(database, AesVault(evolve(keys, lookup=VAULT.keys.lookup))))


class TestKeys:
    async def test_fault_49_a_person_that_no_key_opens_stops_nobody_else(self, world: tuple[Stores, Database]) -> None:
        """Held with its reason, whatever is asked for or taught; told once the key is back."""
        _, database = world
        ours, lost, both = (sealed_by(database, keys) for keys in (VAULT.keys, OTHER, ROTATED))
        await meet(lost.stores, user("lost"), email="lost@example.com")
        await meet(ours.stores, user("ours"), email=ADA.value)
        learnt = {"type": "user.updated", "id": "u", "data": {"user_id": "lost", "timezone": "Europe/Berlin"}}
        assert await ours.feed(created("1", "lost"), created("2", "ours"), learnt) == {O.PLANNED: 1, O.HELD: 2}
        # Alone in its batch it waits for nobody either: others' rows show that the key is there.
        assert await ours.feed(created("3", "lost")) == {O.HELD: 1}
        held = await ours.custody.held(Wanted(), 10)
        assert {(one.user_id, one.reason) for one in held} == {("lost", Reason.UNREADABLE)}
        assert await ours.custody.release(Wanted()) == {O.HELD: 3}
        assert await both.custody.release(Wanted(reason=Reason.UNREADABLE)) == {O.PLANNED: 2, O.IGNORED: 1}
        (dossier,) = (await both.stores.people.load([user("lost")])).dossiers.values()
        assert (dossier.person.timezone, dossier.person.known) == ("Europe/Berlin", True)

    async def test_fault_49_without_any_key_everything_waits(self, world: tuple[Stores, Database]) -> None:
        """Nothing is stored, nothing is lost, the loop goes on trying, and goes on when the key is back."""
        _, database = world
        ours, lost = sealed_by(database, VAULT.keys), sealed_by(database, OTHER)
        for name in ("ada", "bea"):
            await meet(ours.stores, user(name), email=f"{name}@example.com")
        now = (await ours.stores.people.load([])).now
        stream = MemoryStream(lambda: now, partitions=1)
        for name in ("ada", "bea"):
            stream.append(Outgoing(topic="events", key=b"k", value=json.dumps(created(name, name)).encode()))
        async with stream.source("group", ["events"], "earliest") as source:
            step = IntakeStep(source, lost.intake, lambda: None)
            telemetry = MemoryTelemetry()
            loops = Supervisor(telemetry=telemetry, back_off=0.001)
            running = asyncio.create_task(loops.run(Loop(name="intake", step=step, idle=0.001)))
            await eventually(lambda: sum(telemetry.counts.values()) > 3)
            assert (await ours.stores.history.ledger(TENANT)).taken_in == 0
            step.intake = ours.intake
            async with asyncio.timeout(10):
                while len(await ours.stores.history.recent(TENANT, 10)) < 2:
                    assert not running.done()
            running.cancel()

    async def test_fault_49_nobody_is_written_to_in_clear(self, world: tuple[Stores, Database]) -> None:
        """Changing what cannot be read is refused, and leaves it as it was."""
        _, database = world
        ours, lost = sealed_by(database, VAULT.keys), sealed_by(database, OTHER)
        await meet(lost.stores, user("lost"), email="lost@example.com")
        await meet(ours.stores, user("ours"), email=ADA.value)
        with pytest.raises(VaultError):
            await ours.notifications.send("lost", "reminder", {"title": "t", "body": "b"}, id_="1")
        with pytest.raises(VaultError):
            await ours.notifications.set_preferences("lost", {"email": "new@example.com"})
        (dossier,) = (await lost.stores.people.load([user("lost")])).dossiers.values()
        assert dossier.profile.version == 1

    async def test_fault_49_old_and_new_keys_open_while_one_replaces_the_other(
        self, world: tuple[Stores, Database]
    ) -> None:
        """What was sealed before is read and told; what is sealed now needs the new key."""
        _, database = world
        old, both = sealed_by(database, VAULT.keys), sealed_by(database, ROTATED)
        await meet(old.stores, user("ada"), email=ADA.value)
        assert await both.feed(created("1", "ada"), created("2", "new")) == {O.PLANNED: 2}
        await meet(both.stores, user("new"), email="new@example.com")
        assert not (await both.stores.people.load([user("ada"), user("new")])).unreadable
        assert (await old.stores.people.load([user("ada"), user("new")])).unreadable == {user("new")}
