"""Only the database's clock counts, also when it steps; no process's does (fault 40)."""

import ast
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from attrs import evolve
from tests.faults.store_runs import StoppedClock

import fn_notifications
from fn_notifications.adapters.postgres.pool import Database
from fn_notifications.adapters.zones.tz import zone
from fn_notifications.application.ports.deliveries import Candidate, Gate
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import EMAIL
from fn_notifications.domain.catalogue import Policy
from fn_notifications.domain.commands import Begin
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.domain.routing import gate
from fn_notifications.testing.contracts.stores import (
    LEASE,
    NEWS,
    Stores,
    answer,
    claim,
    deciding,
    delivery,
    meet,
    now,
    on_the_wire,
    receipt,
    told,
    user,
)

pytestmark = pytest.mark.external

BACK = timedelta(seconds=-5)
FORWARD = timedelta(hours=2)
SECOND = timedelta(seconds=1)
POLICY = Policy(zones=zone, quiet_spread=timedelta())


@pytest.fixture
async def stores(world: tuple[Stores, Database]) -> Stores:
    """Time stands but for the steps of a test."""
    stores, database = world
    clock = StoppedClock(database)
    await clock.advance(timedelta())
    return evolve(stores, advance=clock.advance)


class TestStepBack:
    """Five seconds, as after a failover to a machine whose clock is behind."""

    async def test_fault_40_nobody_else_gets_a_lease_that_lives(self, stores: Stores) -> None:
        """It lives the five seconds longer, and its holder can begin under it."""
        await meet(stores, user(), email="ada@example.com")
        one = await told(stores, user(), "one")
        leases = await claim(stores)
        await stores.advance(BACK)
        assert not await claim(stores, worker="w2")
        await stores.advance(LEASE + BACK)
        assert not await claim(stores, worker="w2")
        await stores.advance(-2 * BACK)
        assert not await stores.deliveries.begin(leases, deciding(lambda each, _: Decision.send(each.channel)))
        assert len(await claim(stores, worker="w2")) == 1
        assert (await delivery(stores, one)).attempts == ()

    async def test_fault_40_nothing_goes_out_before_its_time(self, stores: Stores) -> None:
        await meet(stores, user(), email="ada@example.com")
        await told(stores, user(), "one")
        later = deciding(lambda one, at: Decision.defer(one.channel, Reason.QUIET_HOURS, at + SECOND))
        await stores.deliveries.begin(await claim(stores), later)
        await stores.advance(BACK)
        assert not await claim(stores)
        await stores.advance(-BACK)
        assert not await claim(stores)
        await stores.advance(SECOND)
        assert len(await claim(stores)) == 1

    async def test_fault_40_an_answer_before_its_call_is_an_answer(self, stores: Stores) -> None:
        """So is a report before both; what happened keeps its order in the event log."""
        one = await on_the_wire(stores)
        await stores.advance(BACK)
        (state,) = await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        assert state.status is Status.SENT
        await stores.advance(BACK)
        await stores.receipts.receive([receipt(one, ReceiptKind.DELIVERED, "k", at=await now(stores))])
        assert (await stores.receipts.apply(10, judge)).applied == 1
        assert (await delivery(stores, one.notification)).status is Status.DELIVERED
        told_of = [entry.data["status"] for entry in await stores.eventlog.take("relay", 100) if "status" in entry.data]
        assert told_of[-2:] == ["sent", "delivered"]


class TestStepForward:
    """Two hours, as when somebody sets a clock that was wrong."""

    async def test_fault_40_what_hung_on_a_lease_is_rescued_not_repeated(self, stores: Stores) -> None:
        """A call may still be on the wire: it is in doubt, and its late answer counts."""
        one = await on_the_wire(stores)
        await stores.advance(FORWARD)
        assert not await claim(stores, worker="w2")
        assert await stores.deliveries.overdue(10) == [one.delivery.key]
        (state,) = await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        assert (state.status, len(state.attempts)) == (Status.SENT, 1)
        assert not await claim(stores)

    async def test_fault_40_what_is_due_later_still_waits(self, stores: Stores) -> None:
        await meet(stores, user(), email="ada@example.com")
        await told(stores, user(), "one")
        later = deciding(lambda one, at: Decision.defer(one.channel, Reason.QUIET_HOURS, at + FORWARD + SECOND))
        await stores.deliveries.begin(await claim(stores), later)
        await stores.advance(FORWARD)
        assert not await claim(stores)
        await stores.advance(SECOND)
        assert len(await claim(stores)) == 1


NIGHTS = {
    # 22:00 to 07:00 where the recipient lives: the last quiet minute and the first of the day, in UTC.
    "America/St_Johns": (datetime(2026, 7, 1, 9, 29, tzinfo=UTC), datetime(2026, 7, 1, 9, 30, tzinfo=UTC)),
    "Asia/Kathmandu": (datetime(2026, 7, 1, 1, 14, tzinfo=UTC), datetime(2026, 7, 1, 1, 15, tzinfo=UTC)),
    # The night in which clocks go back, an hour longer; and the one in which they go forward.
    "Europe/Berlin": (datetime(2026, 10, 25, 5, 59, tzinfo=UTC), datetime(2026, 10, 25, 6, 0, tzinfo=UTC)),
    "Australia/Lord_Howe": (datetime(2026, 10, 3, 19, 59, tzinfo=UTC), datetime(2026, 10, 3, 20, 0, tzinfo=UTC)),
}


@pytest.mark.parametrize("name", NIGHTS)
async def test_fault_40_quiet_hours_are_the_recipients(world: tuple[Stores, Database], name: str) -> None:
    """Whatever the zone of the server and of the process: quiet until seven there, to the minute."""
    stores, database = world
    quiet, day = NIGHTS[name]
    clock = StoppedClock(database, quiet)
    await clock.advance(timedelta())
    hours = {"start": "22:00", "end": "07:00", "enabled": True}
    await meet(stores, user(), email="ada@example.com")
    one = await told(stores, user(), "one")
    await meet(stores, user(), timezone=name, quiet_hours=hours, quiet__email=True)
    assert not await stores.deliveries.begin(await claim(stores), by_the_rules())
    state = await delivery(stores, one)
    assert (state.reason, state.due_at) == (Reason.QUIET_HOURS, day)
    await clock.advance(day - quiet - SECOND)
    assert not await claim(stores)
    await clock.advance(SECOND)
    assert len(await stores.deliveries.begin(await claim(stores), by_the_rules())) == 1


def by_the_rules() -> Gate:
    """As in production: in the zones there are."""

    def begin(candidate: Candidate, at: datetime) -> Begin:
        one = candidate.delivery
        decision = gate(NEWS, EMAIL, candidate.person, POLICY, at, expires_at=one.expires_at, chance=0)
        return Begin(gate=decision, attempt_id="a", route="r", epoch=candidate.person.contacts[EMAIL].epoch)

    return begin


READS_THE_CLOCK: dict[str, Callable[[ast.Attribute], bool]] = {
    "a datetime": lambda node: node.attr in {"now", "utcnow", "today"} and _named(node.value, {"datetime", "date"}),
    "the time": lambda node: node.attr in {"time", "time_ns"} and _named(node.value, {"time"}),
}


def _named(node: ast.expr, names: set[str]) -> bool:
    return isinstance(node, ast.Name) and node.id in names


@pytest.mark.parametrize("package", ["domain", "application", "adapters/postgres"])
def test_fault_40_no_rule_and_no_store_reads_the_clock_of_the_process(package: str) -> None:
    """It is nowhere to be wrong in: moments come from statements, a process only measures spans."""
    root = Path(fn_notifications.__file__).parent / package
    found = [
        f"{file.relative_to(root)}:{node.lineno} reads {what}"
        for file in root.rglob("*.py")
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Attribute)
        for what, reads in READS_THE_CLOCK.items()
        if reads(node)
    ]
    assert not found
