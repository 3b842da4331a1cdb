"""Faults of real processes on real parts: killed, frozen and stopped at the very moment that matters."""

import json
import signal
from contextlib import asynccontextmanager

import psycopg
import pytest
from tests.faults.acts import (
    HOLD,
    OPEN_ATTEMPTS,
    PATIENT,
    RESEND,
    SILENT_HANG,
    WAITING_FOR_LOCKS,
    event,
    holds,
    in_status,
    locking,
    on_the_provider,
    on_the_wire,
    reporting,
    rows,
    told,
)
from tests.services.deployment import until
from tests.services.proxy import unanswered

from fn_notifications.domain.events import Evidence
from fn_notifications.simulator.behaviour import EMAILS

pytestmark = pytest.mark.external


async def test_fault_01_killed_between_lease_and_attempt_it_is_sent_once_and_never_in_doubt(act):
    async with act() as scene:
        (worker,) = scene.workers
        await worker.start()
        async with locking(scene, "SELECT FROM contact_points WHERE user_id = 'u-1' FOR UPDATE"):
            scene.deployment.publish([event(1)])
            await until(holds(scene, "SELECT count(*) FROM due WHERE lease_until IS NOT NULL"))
            await until(holds(scene, WAITING_FOR_LOCKS))
            await worker.kill()
        await worker.start()
        await until(holds(scene, in_status("delivered")))
        assert await told(scene) == (0, 0)
        assert [call.attempts[0].rpartition("-")[2] for call in scene.simulator.calls()] == ["1"]


async def test_fault_02_killed_before_the_bytes_leave_is_in_doubt(act):
    async with act(people=2) as scene, unanswered() as port:
        (worker,) = scene.workers
        reachable = worker.environment
        worker.environment = {**reachable, "SENDGRID_BASE_URL": f"http://127.0.0.1:{port}"}
        await worker.start()
        scene.deployment.publish([event(1, HOLD), event(2, RESEND)])
        await until(holds(scene, OPEN_ATTEMPTS, 2))
        await worker.kill()
        assert scene.simulator.calls() == ()
        worker.environment = reachable
        await worker.start()
        await until(holds(scene, in_status("delivered")))
        await until(holds(scene, in_status("in_doubt") + " AND due_at = expires_at"))
        assert await told(scene) == (2, 1)
        assert [call.attempts[0].rpartition("-")[2] for call in scene.simulator.calls()] == ["2"]


async def test_fault_03_killed_before_the_response_a_webhook_in_the_grace_resolves_it_without_a_resend(act):
    hang = EMAILS["hang"]
    async with act({1: [hang], 2: [hang]}, IN_DOUBT_GRACE="60") as scene:
        (worker,) = scene.workers
        await worker.start()
        await reporting(scene)
        scene.front.cut()
        scene.deployment.publish([event(1, HOLD), event(2, RESEND)])
        await until(on_the_wire(scene, 2))
        await worker.kill()
        await worker.start()
        await until(holds(scene, in_status("in_doubt"), 2))
        scene.front.heal()
        await until(holds(scene, in_status("delivered"), 3))
        assert await told(scene) == (2, 0)
        assert len(scene.simulator.calls()) == 3


async def test_fault_03_killed_before_the_response_and_no_webhook_the_policy_decides(act):
    async with act({1: [SILENT_HANG], 2: [SILENT_HANG]}, people=2) as scene:
        (worker,) = scene.workers
        await worker.start()
        scene.deployment.publish([event(1, HOLD), event(2, RESEND)])
        await until(on_the_wire(scene, 2))
        await worker.kill()
        await worker.start()
        await until(holds(scene, in_status("delivered")))
        await until(holds(scene, in_status("in_doubt") + " AND due_at = expires_at"))
        assert await told(scene) == (2, 1)
        assert sum(call.accepted for call in scene.simulator.calls()) == 3


@asynccontextmanager
async def killed_before_the_commit(scene, count):
    """The provider has answered 202, the answers cannot be written, and the worker is killed."""
    (worker,) = scene.workers
    await worker.start()
    await reporting(scene)
    worker.provider.hold_answers()
    yield
    await until(holds(scene, OPEN_ATTEMPTS, count))
    async with locking(scene, "SELECT FROM deliveries FOR UPDATE"):
        worker.provider.heal()
        await until(holds(scene, WAITING_FOR_LOCKS))
        await worker.kill()
    assert [call.answered for call in scene.simulator.calls()] == [202] * (1 + count)
    await worker.start()


async def test_fault_04_killed_between_202_and_commit_a_webhook_resolves_it_without_a_resend(act):
    async with act(EMAIL_POOL_TIMEOUT_MS="3500", IN_DOUBT_GRACE="60") as scene:
        async with killed_before_the_commit(scene, 2):
            scene.front.cut()
            scene.deployment.publish([event(1, HOLD), event(2, RESEND)])
        await until(holds(scene, in_status("in_doubt"), 2))
        scene.front.heal()
        await until(holds(scene, in_status("delivered"), 3))
        assert await told(scene) == (2, 0)
        assert len(scene.simulator.calls()) == 3


async def test_fault_04_killed_between_202_and_commit_and_no_webhook_one_resend_by_policy(act):
    silent = EMAILS["silent"]
    async with act({1: [silent], 2: [silent]}, EMAIL_POOL_TIMEOUT_MS="3500") as scene:
        async with killed_before_the_commit(scene, 2):
            scene.deployment.publish([event(1, HOLD), event(2, RESEND)])
        await until(holds(scene, in_status("delivered"), 2))
        await until(holds(scene, in_status("in_doubt") + " AND due_at = expires_at"))
        assert await told(scene) == (2, 1)
        assert sum(call.accepted for call in scene.simulator.calls()) == 4


async def test_fault_10_a_dribbled_answer_ends_at_the_deadline(act):
    async with act({1: [EMAILS["dribble"]]}, people=2) as scene:
        (worker,) = scene.workers
        scene.front.cut()
        await worker.start()
        scene.deployment.publish([event(1), event(2)])
        await until(holds(scene, in_status("in_doubt")))
        call = next(call for call in scene.simulator.calls() if call.gone)
        assert call.ended_at is not None
        await until(holds(scene, in_status("sent")))
        scene.front.heal()
        await until(holds(scene, in_status("delivered"), 2))


async def test_fault_39_frozen_past_its_lease_it_changes_nothing_when_it_wakes_up(act):
    silent = EMAILS["silent"]
    async with act({1: [silent]}, workers=2, people=2) as scene:
        frozen, other = scene.workers
        frozen.provider.hold_answers()
        await frozen.start()
        scene.deployment.publish([event(1, RESEND)])
        await until(on_the_provider(scene, 1))
        frozen.signal(signal.SIGSTOP)
        await other.start()
        await until(holds(scene, in_status("delivered")))
        assert await other.stop() == 0
        frozen.provider.heal()
        frozen.signal(signal.SIGCONT)
        scene.deployment.publish([event(2, RESEND)])  # whoever delivers this is awake, and has said what it had to say
        await until(holds(scene, in_status("delivered"), 2))
        assert await told(scene) == (1, 1)
        assert len(scene.simulator.calls()) == 3


async def test_fault_39_cut_off_past_its_lease_its_late_answer_is_kept_and_takes_nothing_from_the_new_holder(act):
    silent = EMAILS["silent"]
    async with act({1: [silent]}, workers=2, EMAIL_POOL_TIMEOUT_MS="3500") as scene:
        late, other = scene.workers
        late.provider.hold_answers()
        await late.start()
        scene.deployment.publish([event(1, RESEND)])
        await until(on_the_provider(scene, 1))
        late.database.swallow()
        late.provider.heal()
        await other.start()
        await until(holds(scene, in_status("delivered")))
        late.database.heal()
        await until(holds(scene, f"SELECT count(*) FROM attempts WHERE evidence >= {Evidence.ACCEPTED}", 2))
        assert await rows(scene, "SELECT status, resends FROM deliveries WHERE channel = 'email'") == [("delivered", 1)]
        assert await told(scene) == (1, 1)
        assert len(scene.simulator.calls()) == 2


async def test_fault_39_woken_up_before_its_call_it_does_not_make_it(act):
    async with act(workers=2) as scene:
        frozen, other = scene.workers
        await frozen.start()
        async with committing_slowly(scene):
            scene.deployment.publish([event(1, HOLD)])
            await until(holds(scene, WAITING_FOR_LOCKS))
            frozen.database.hold_answers()
        await until(holds(scene, OPEN_ATTEMPTS))
        frozen.signal(signal.SIGSTOP)
        await other.start()
        await until(holds(scene, in_status("in_doubt")))
        frozen.database.heal()
        frozen.signal(signal.SIGCONT)
        await until(holds(scene, in_status("delivered")))
        assert await told(scene) == (1, 0)
        assert [call.attempts[0].rpartition("-")[2] for call in scene.simulator.calls()] == ["2"]


@asynccontextmanager
async def committing_slowly(scene):
    """No transaction that adds an attempt commits until the block ends; then they all do."""
    async with await psycopg.AsyncConnection.connect(scene.deployment.database, autocommit=True) as connection:
        await connection.execute(
            "CREATE FUNCTION wait_here() RETURNS trigger LANGUAGE plpgsql AS"
            " $$ BEGIN PERFORM pg_advisory_xact_lock(1); RETURN NULL; END $$;"
            "CREATE CONSTRAINT TRIGGER wait_here AFTER INSERT ON attempts DEFERRABLE INITIALLY DEFERRED"
            " FOR EACH ROW EXECUTE FUNCTION wait_here(); SELECT pg_advisory_lock(1)"
        )
        yield
        await connection.execute("SELECT pg_advisory_unlock(1)")


async def test_fault_43_sigterm_finishes_what_is_on_the_wire_and_takes_nothing_new(act):
    async with act(workers=2, people=30, **PATIENT) as scene:
        leaving, staying = scene.workers
        leaving.provider.hold_answers()
        await leaving.start()
        scene.deployment.publish([event(number) for number in range(1, 31)])
        await until(on_the_provider(scene, 10))
        leaving.leave()
        await staying.start()
        await until(on_the_provider(scene, 30))
        assert leaving.running
        leaving.provider.heal()
        assert await leaving.left() == 0
        await until(holds(scene, in_status("delivered"), 30))
        assert await told(scene) == (0, 0)
        assert len(scene.simulator.calls()) == 30
        ledger = json.loads(await scene.deployment.command("ledger", "--json"))
        assert ledger["events"]["in"] == ledger["events"]["planned"] == 30


async def test_fault_43_sigterm_then_sigkill_leaves_what_was_on_the_wire_in_doubt(act):
    silent = EMAILS["silent"]
    script = {number: [silent] for number in range(1, 31)}
    async with act(script, workers=2, people=30, DELIVERY_LEASE="10", EMAIL_POOL_TIMEOUT_MS="9000") as scene:
        leaving, staying = scene.workers
        leaving.provider.hold_answers()
        await leaving.start()
        scene.deployment.publish([event(number) for number in range(1, 31)])
        await until(on_the_provider(scene, 10))
        leaving.signal(signal.SIGTERM)
        await staying.start()
        await until(holds(scene, in_status("sent"), 20))
        await leaving.kill()
        await until(holds(scene, in_status("in_doubt"), 10))
        assert await told(scene) == (10, 0)
        assert len(scene.simulator.calls()) == 30
