"""What is thrown away and what is watched, over memory: measured, and said once."""

from datetime import timedelta

import pytest
from attrs import define, field

from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.ports.storage import Keeping, Pruned, Vitals
from fn_notifications.application.pruning import Pruning, Watch

KEEPING = Keeping(history=timedelta(days=30), events=timedelta(days=10), queue=timedelta(hours=1))


@pytest.fixture
def telemetry():
    return MemoryTelemetry()


@define
class Storage:
    """Says what it is told to."""

    vitals_now: Vitals = field(factory=Vitals)
    pruned: Pruned = field(factory=Pruned)

    async def vitals(self):
        return self.vitals_now

    async def prune(self, keeping, limit):
        return self.pruned


def watching(engine, telemetry, storage=None):
    return Watch(
        storage=storage or engine.store.storage,
        log=engine.store.eventlog,
        history=engine.store.history,
        telemetry=telemetry,
        tenant="default",
        keeping=KEEPING,
    )


def said(telemetry):
    return [(line.level, line.event, dict(line.fields)) for line in telemetry.lines]


async def sent(engine):
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com"})
    await engine.notifications.send("ana", "invoice", {"order": 1}, id_="1")
    await engine.run()


async def test_a_healthy_store_is_measured_and_nothing_is_said(engine, telemetry):
    await sent(engine)
    watch = watching(engine, telemetry)
    await watch.once()
    await watch.balance()
    assert telemetry.level("eventlog.unpublished") == 1
    assert telemetry.level("storage.queue_dead") == 0
    assert telemetry.level("ledger.off", equation="transitions") == 0
    assert said(telemetry) == []


async def test_an_old_transaction_is_said_once_and_its_end_too(engine, telemetry):
    storage = Storage(Vitals(oldest_transaction=timedelta(minutes=7), queue_dead=9))
    watch = watching(engine, telemetry, storage)
    await watch.once()
    await watch.once()
    assert said(telemetry) == [("error", "storage.old_transaction", {"seconds": "420"})]
    assert telemetry.level("storage.oldest_transaction") == 420
    assert telemetry.level("storage.queue_dead") == 9
    storage.vitals_now = Vitals()
    await watch.once()
    assert [event for _, event, _ in said(telemetry)] == ["storage.old_transaction", "storage.old_transaction.over"]


async def test_a_relay_that_is_too_far_behind_is_said(engine, telemetry, clock):
    await sent(engine)
    watch = watching(engine, telemetry)
    clock.advance(hours=47)
    await watch.once()
    assert said(telemetry) == []
    clock.advance(hours=2)
    await watch.once()
    assert said(telemetry) == [("error", "eventlog.behind", {"entries": "1"})]
    assert telemetry.level("eventlog.lag") == 49 * 3600


async def test_an_account_that_does_not_add_up_is_said(engine, telemetry):
    await sent(engine)
    watch = watching(engine, telemetry)
    engine.store.state.log.pop()
    await watch.balance()
    await watch.balance()
    assert said(telemetry) == [("error", "ledger.off.transitions", {"off": "1"})]
    assert telemetry.level("ledger.off", equation="transitions") == 1
    assert telemetry.level("ledger.off", equation="deliveries") == 0


async def test_a_round_says_what_went_and_what_could_not(telemetry):
    pruned = Pruned(amounts={"notifications": 40, "identities": 2}, held={"event_log": 3})
    pruning = Pruning(storage=Storage(pruned=pruned), keeping=KEEPING, telemetry=telemetry)
    assert await pruning.once() == 42
    assert telemetry.total("storage.pruned", what="notifications") == 40
    assert telemetry.level("storage.held", what="event_log") == 3
    assert await Pruning(storage=Storage(), keeping=KEEPING, telemetry=telemetry).once() == 0
