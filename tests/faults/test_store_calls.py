"""Every method of every store, with an error at each of its statements, and with a COMMIT nobody knows the fate of."""

import inspect
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final

import attrs
import pytest
from attrs import define, field
from tenacity import stop_never, wait_none
from tests.faults.operator_cases import OPERATOR_CASES
from tests.faults.store_case import Case
from tests.faults.store_cases import STORE_CASES
from tests.faults.store_runs import Rehearsals, disturbed
from tests.services.contents import contents
from tests.services.interposed import Run, cut, fail_with
from tests.services.postgres import PostgresServer
from tests.services.postgres_proxy import FaultyProxy, Loss, faulty_proxy
from tests.services.stores import postgres_stores

from fn_notifications.adapters.postgres import pool
from fn_notifications.adapters.postgres.pool import Connection
from fn_notifications.adapters.postgres.store import PostgresStore
from fn_notifications.application.errors import Unavailable

pytestmark = pytest.mark.external

CASES: Final = (*STORE_CASES, *OPERATOR_CASES)
CUT: Final = "the session ends"
DISK_FULL: Final = "53100"
CLASHES: Final = ("40001", "40P01", CUT)

every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(autouse=True)
def persistent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Repetitions follow at once, and as often as it takes."""
    monkeypatch.setattr(pool, "wait_random_exponential", lambda **_: wait_none())
    monkeypatch.setattr(pool, "stop_after_attempt", lambda _: stop_never)


@pytest.fixture(scope="module")
def rehearsals(postgres: PostgresServer) -> Iterator[Rehearsals]:
    rehearsals = Rehearsals(postgres)
    yield rehearsals
    rehearsals.close()


@pytest.fixture
async def proxy(postgres: PostgresServer) -> AsyncIterator[FaultyProxy]:
    async with faulty_proxy(postgres.url) as proxy:
        yield proxy


@define
class Place:
    """Where a statement stands: how many transactions came before, and which of its own it is."""

    commits: int = 0
    no: int = -1

    def after(self, statement: str) -> "Place":
        """Where `statement` stands, if the one before it stands here."""
        return Place(self.commits, 0 if statement == "BEGIN" else self.no + 1)


@define
class Spoiler:
    """Spoils statements, each in its ways, one after the other, whenever the next comes by."""

    todo: deque[tuple[Place, str]] = field(factory=deque)
    at: Place = field(factory=Place)

    def spoil(self, *todo: tuple[Place, str]) -> None:
        """Begin anew, with these."""
        self.todo, self.at = deque(todo), Place()

    async def __call__(self, connection: Connection, statement: str, run: Run) -> Any:
        self.at = self.at.after(statement)
        spoils = bool(self.todo) and self.todo[0][0] == self.at
        if statement == "COMMIT" and not spoils:
            self.at = Place(self.at.commits + 1)
        if statement != "COMMIT" or not spoils:
            result = await run(statement)
        if not spoils:
            return result
        _, way = self.todo.popleft()
        return await (cut(connection) if way == CUT else fail_with(connection, way))


def places(statements: Sequence[str]) -> list[tuple[Place, str]]:
    """Every statement with its place."""
    found, at = [], Place()
    for statement in statements:
        at = at.after(statement)
        found.append((at, statement))
        if statement == "COMMIT":
            at = Place(at.commits + 1)
    return found


@every_case
async def test_fault_34_disk_full_at_any_statement_stores_nothing(rehearsals: Rehearsals, case: Case) -> None:
    """Whoever called is told, and finds everything as it was; when there is room again, it goes on."""
    calm, full = await rehearsals.of(case), Spoiler()
    found = places(calm.statements)
    first = [place for place, _ in found if not place.commits]
    later = [place for place, statement in found if place.commits and statement == "COMMIT"]
    with calm.copy() as url:
        async with disturbed(url, full) as stores:
            for place in first:
                full.spoil((place, DISK_FULL))
                with pytest.raises(Unavailable):
                    await calm.call(stores)
            assert await contents(url) == calm.before
            for place in later:  # what it has done so far it need not do again, and may not come here any more
                full.spoil((place, DISK_FULL))
                with suppress(Unavailable):
                    await calm.call(stores)
            full.spoil()
            assert await calm.call(stores) == calm.told or later
        calm.came_to(await contents(url))


@every_case
async def test_fault_37_a_clash_at_any_statement_has_all_of_it_run_again(rehearsals: Rehearsals, case: Case) -> None:
    """Serialization failures, deadlocks and ended sessions, at every statement in turn: the same is told and stored.

    A session that ends with the COMMIT is another matter (fault 36).
    """
    calm, clashing = await rehearsals.of(case), Spoiler()
    for place, statement in places(calm.statements):
        clashing.todo.extend((place, way) for way in CLASHES if (way, statement) != (CUT, "COMMIT"))
    with calm.copy() as url:
        async with disturbed(url, clashing) as stores:
            assert await calm.call(stores) == calm.told
        assert not clashing.todo
        calm.came_to(await contents(url))


@pytest.mark.parametrize("case", [case for case in CASES if not case.reads], ids=lambda case: case.name)
@pytest.mark.parametrize("loss", Loss)
async def test_fault_36_a_commit_of_unknown_fate_is_looked_up_before_anything_is_repeated(
    rehearsals: Rehearsals, proxy: FaultyProxy, case: Case, loss: Loss
) -> None:
    """The connection breaks with the COMMIT: nothing is stored twice, no attempt is begun twice."""
    calm = await rehearsals.of(case)
    with calm.copy() as url:
        async with postgres_stores(proxy.url(url), size=1) as (stores, _):
            proxy.armed = loss
            if not case.repeatable or (case.repeated and loss is Loss.ANSWER):
                with pytest.raises(case.repeated or Unavailable):
                    await calm.call(stores)
            else:
                told = await calm.call(stores)
                assert told == calm.told or loss is Loss.ANSWER
        assert proxy.lost == 1
        found = await contents(url)
        if loss is Loss.ITSELF and not case.repeatable:
            assert found == calm.before
        else:
            calm.came_to(found)


def test_every_method_of_every_store_has_its_case() -> None:
    """Whoever adds a method says here what becomes of it when PostgreSQL fails."""
    stores = {each.name: each.type for each in attrs.fields(PostgresStore) if not each.init}
    methods = {
        f"{port}.{name}"
        for port, adapter in stores.items()
        for name, method in inspect.getmembers(adapter, inspect.iscoroutinefunction)
        if not name.startswith("_") and "connection" not in inspect.signature(method).parameters
    }
    assert methods == {f"{case.port}.{case.method}" for case in CASES}
