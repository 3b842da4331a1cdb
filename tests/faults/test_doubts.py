"""What becomes of a message when nobody can know whether it went out, and of one that somebody wants no more."""

from datetime import timedelta

import pytest
from tests.services.doubts import ACCOUNT, ALONE, DOUBLE, HELD, RESENT, Provider, World, world_over

from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.explain import explain
from fn_notifications.domain.address import SMS
from fn_notifications.domain.commands import Resolve
from fn_notifications.domain.events import Ruling
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import Outcome, OutcomeKind
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.testing.contracts.stores import LEASE, PHONE, Stores, point, story, user

DEAD = LEASE.total_seconds() + 1
GRACE = timedelta(minutes=16).total_seconds()


async def test_fault_01_killed_after_the_lease(doubtful: World) -> None:
    """Sent once when the lease is over, and never in doubt."""
    one = await doubtful.told()
    await doubtful.die(after="claim")
    await doubtful.drain()
    assert doubtful.provider.calls == 0
    await doubtful.advance(seconds=DEAD)
    await doubtful.drain()
    state = await doubtful.state(one)
    assert (state.status, len(state.attempts), doubtful.provider.calls) == (Status.SENT, 1, 1)
    assert await doubtful.changes(one) == []


async def test_fault_02_killed_before_the_bytes_leave(doubtful: World) -> None:
    """In doubt, although it was not sent: that nobody can know. Not resent before the grace is over."""
    one = await doubtful.told()
    await doubtful.die(after="begin")
    await doubtful.advance(seconds=DEAD)
    await doubtful.drain()
    state = await doubtful.state(one)
    assert (state.status, state.attempts[0].code) == (Status.IN_DOUBT, "worker_lost")
    assert doubtful.provider.calls == 0
    await doubtful.advance(seconds=GRACE)
    await doubtful.drain()
    assert ((await doubtful.state(one)).status, len(doubtful.provider.taken)) == (Status.SENT, 1)


CRASHES = pytest.mark.parametrize("answered", [False, True], ids=["before the answer", "before its commit"])
"""Row 3 and row 4: the provider has it, the worker's death leaves no trace of that."""


async def lost(world: World, *, answered: bool) -> None:
    if not answered:
        world.provider.script.append(world.provider.takes_and_says_nothing)
    await world.die(before="finish")
    await world.advance(seconds=DEAD)
    await world.upkeep()


@CRASHES
async def test_fault_03_04_killed_with_the_call_on_the_wire_the_report_clears_it_up(
    doubtful: World, *, answered: bool
) -> None:
    """No resend."""
    one = await doubtful.told()
    await lost(doubtful, answered=answered)
    assert (await doubtful.state(one)).status is Status.IN_DOUBT
    await doubtful.report(doubtful.provider.taken[0])
    await doubtful.drain()
    await doubtful.advance(hours=7)
    await doubtful.drain()
    assert ((await doubtful.state(one)).status, doubtful.provider.calls) == (Status.DELIVERED, 1)
    assert counted(doubtful, "doubts.resolved", by="report") == 1


@CRASHES
async def test_fault_03_04_without_a_report_the_type_decides(doubtful: World, *, answered: bool) -> None:
    """Resent once: the duplicates are no more than the resends."""
    one = await doubtful.told()
    await lost(doubtful, answered=answered)
    doubtful.provider.script.append(doubtful.provider.takes_and_says_nothing)
    for _ in range(8):
        await doubtful.advance(seconds=GRACE)
        await doubtful.drain()
    await doubtful.advance(hours=5)
    await doubtful.drain()
    state = await doubtful.state(one)
    assert (state.status, state.resends, doubtful.provider.calls) == (Status.UNCONFIRMED, 1, 2)
    assert counted(doubtful, "duplicates.possible", channel=SMS) == 1
    assert counted(doubtful, "doubts.resolved", by="policy") == 1
    assert counted(doubtful, "doubts.resolved", by="expiry") == 1


@CRASHES
async def test_fault_03_04_what_is_held_is_never_sent_twice(doubtful: World, *, answered: bool) -> None:
    """It waits for an operator, until it expires unconfirmed."""
    one = await doubtful.told(HELD)
    await lost(doubtful, answered=answered)
    await doubtful.advance(seconds=GRACE)
    await doubtful.drain()
    assert [each.delivery.key for each in await doubtful.stores.history.doubtful("default", 9, held=True)] == [
        one.deliveries[0].key
    ]
    await doubtful.advance(hours=24)
    await doubtful.drain()
    assert ((await doubtful.state(one)).status, doubtful.provider.calls) == (Status.UNCONFIRMED, 1)


async def test_fault_03_a_provider_that_never_reported_is_not_waited_for(stores: Stores) -> None:
    """No grace where no report can come."""
    world = await world_over(stores)
    await world.doubts.look()
    one = await world.told()
    await lost(world, answered=False)
    await world.drain()
    state = await world.state(one)
    assert (state.status, state.resends, world.provider.calls) == (Status.SENT, 1, 2)


async def test_fault_03_an_account_that_begins_to_report_gets_its_grace_after_all(stores: Stores) -> None:
    """Its first report comes when the doubt is there already, and nobody has looked since."""
    world = await world_over(stores)
    await world.doubts.look()
    one, other = await world.told(), await world.told(name="two")
    await lost(world, answered=False)
    assert len(await world.stores.deliveries.overdue(9)) == 2
    await world.report(world.provider.taken[1])
    await world.drain()
    (doubt,) = [each for each in (one, other) if (await world.state(each)).status is not Status.DELIVERED]
    assert ((await world.state(doubt)).status, world.provider.calls) == (Status.IN_DOUBT, 2)
    assert await world.changes(doubt) == ["held"]
    await world.advance(minutes=14)
    await world.drain()
    assert ((await world.state(doubt)).status, world.provider.calls) == (Status.IN_DOUBT, 2)
    await world.advance(minutes=2)
    await world.drain()
    assert ((await world.state(doubt)).status, world.provider.calls) == (Status.SENT, 3)


async def test_fault_03_a_call_that_is_lost_when_another_attempt_arrived_is_told_of(doubtful: World) -> None:
    """Delivered by the first, which was in doubt; of the second nobody can know, and whoever asks is told so."""
    one = await doubtful.told()
    doubtful.provider.script += [doubtful.provider.takes_and_says_nothing] * 2
    await doubtful.drain()
    await doubtful.advance(seconds=GRACE)
    await doubtful.upkeep()
    await doubtful.die(before="finish")
    await doubtful.report(doubtful.provider.taken[0])
    await doubtful.advance(seconds=DEAD)
    await doubtful.drain()
    state = await doubtful.state(one)
    assert (state.status, state.calling, doubtful.provider.calls) == (Status.DELIVERED, False, 2)
    told = [step.text for step in explain(await story(doubtful.stores, one)).steps]
    assert "attempt 2: nobody can know whether it was taken (worker_lost)" in told
    assert (await doubtful.stores.history.ledger("default")).imbalances == ()


async def test_fault_05_taken_and_the_answer_lost(doubtful: World) -> None:
    """In doubt, never failed; the report makes it what it is."""
    one = await doubtful.told(HELD)
    doubtful.provider.script.append(doubtful.provider.takes_and_says_nothing)
    await doubtful.drain()
    state = await doubtful.state(one)
    assert (state.status, state.reason) == (Status.IN_DOUBT, Reason.IN_DOUBT)
    await doubtful.report(doubtful.provider.taken[0])
    await doubtful.drain()
    assert (await doubtful.state(one)).status is Status.DELIVERED


async def test_fault_06_a_server_error_is_no_reason_to_send_again(doubtful: World) -> None:
    """Whatever retries the type has left, the call is not repeated within the grace."""
    one = await doubtful.told()
    doubtful.provider.script.append(Outcome(kind=OutcomeKind.IN_DOUBT, code="20500"))
    for _ in range(10):
        await doubtful.drain()
        await doubtful.advance(minutes=1)
    state = await doubtful.state(one)
    assert (state.status, state.attempts[0].code, doubtful.provider.calls) == (Status.IN_DOUBT, "20500", 1)


async def test_fault_15_a_report_ahead_of_our_own_commit(doubtful: World) -> None:
    """Applied while the call is still on the wire; the answer then adds the provider's name for it, and no event."""
    one = await doubtful.told()

    async def reported_before_it_answers(message):
        doubtful.provider.taken.append(message)
        await doubtful.report(message)
        await doubtful.apply()
        return Outcome(kind=OutcomeKind.ACCEPTED, provider_id="SM1")

    doubtful.provider.script.append(reported_before_it_answers)
    await doubtful.drain()
    state = await doubtful.state(one)
    assert (state.status, state.attempts[0].provider_id) == (Status.DELIVERED, "SM1")
    assert await doubtful.changes(one) == []


async def test_fault_21_a_stop_while_the_message_is_queued(doubtful: World) -> None:
    """Never sent."""
    one = await doubtful.told()
    stop = Receipt(
        provider=ACCOUNT, key="s", kind=ReceiptKind.OPTED_OUT, at=doubtful.clock(), channel=SMS, address=PHONE
    )
    await doubtful.stores.receipts.receive([stop])
    await doubtful.apply()
    await doubtful.drain()
    state = await doubtful.state(one)
    assert (state.status, state.reason, doubtful.provider.calls) == (Status.SKIPPED, Reason.SUPPRESSED, 0)


async def test_fault_21_a_stop_while_a_doubt_is_open_forbids_the_resend(doubtful: World) -> None:
    """By the type or by an operator: the rules run again. What was in doubt stays so."""
    one, other = await doubtful.told(), await doubtful.told(HELD, "two")
    doubtful.provider.script += [Outcome(kind=OutcomeKind.IN_DOUBT, code="http_504")] * 2
    await doubtful.drain()
    stop = Receipt(
        provider=ACCOUNT, key="s", kind=ReceiptKind.OPTED_OUT, at=doubtful.clock(), channel=SMS, address=PHONE
    )
    await doubtful.stores.receipts.receive([stop])
    await doubtful.apply()
    resend = Resolve(ruling=Ruling.RESEND, note="asked for by the person")
    await doubtful.stores.deliveries.change([other.deliveries[0].key], lambda *_: resend)
    await doubtful.advance(seconds=GRACE)
    await doubtful.drain()
    for notification in (one, other):
        state = await doubtful.state(notification)
        assert (state.status, state.reason) == (Status.UNCONFIRMED, Reason.SUPPRESSED)
    assert doubtful.provider.calls == 2


@pytest.mark.parametrize("reported", [False, True], ids=["as an answer", "as a report"])
async def test_fault_25_the_provider_knows_of_an_opt_out(doubtful: World, *, reported: bool) -> None:
    """Suppressed, not retried, and told alike however it was learnt."""
    one = await doubtful.told()
    if not reported:
        doubtful.provider.script.append(Outcome(kind=OutcomeKind.OPTED_OUT, code="21610"))
    await doubtful.drain()
    if reported:
        attempt = (await doubtful.state(one)).attempts[0]
        about = Receipt(
            provider=ACCOUNT,
            key="o",
            kind=ReceiptKind.OPTED_OUT,
            at=doubtful.clock(),
            attempt_id=attempt.id,
            channel=SMS,
            address=PHONE,
            code="21610",
        )
        await doubtful.stores.receipts.receive([about])
        await doubtful.drain()
    state = await doubtful.state(one)
    assert (state.status, state.reason, state.attempts[0].code) == (Status.FAILED, Reason.OPTED_OUT, "21610")
    assert (await point(doubtful.stores, user(), SMS)).suppression
    again = await doubtful.told(name="two")
    assert ((await doubtful.state(again)).reason, doubtful.provider.calls) == (Reason.SUPPRESSED, 1)


@pytest.mark.parametrize("arrived", [True, False])
async def test_a_type_may_resend_only_what_arrived_nowhere_else(stores: Stores, *, arrived: bool) -> None:
    """Held when another channel got through, resent when none did."""
    email, sms = Provider(), Provider()
    world = await world_over(stores, senders={f"{ACCOUNT}/email": email, f"{ACCOUNT}/sms": sms})
    await world.reports()
    sms.script.append(sms.takes_and_says_nothing)
    if not arrived:
        email.script.append(Outcome(kind=OutcomeKind.REFUSED, code="bad"))
    one = await world.told(ALONE)
    await world.drain()
    await world.advance(seconds=GRACE)
    await world.drain()
    state = await world.state(one, 2)
    assert (state.status, sms.calls) == ((Status.IN_DOUBT, 1) if arrived else (Status.SENT, 2))


@pytest.mark.parametrize(("type_", "routes"), [(RESENT, ["acme/sms"] * 2), (DOUBLE, ["acme/sms", "umbrella/sms"])])
async def test_another_route_is_tried_only_where_duplicates_are_allowed(stores: Stores, type_, routes) -> None:
    """While the first is in doubt: even when an operator has pinned the other."""
    first, second = Provider(), Provider()
    world = await world_over(stores, senders={f"{ACCOUNT}/sms": first, "umbrella/sms": second})
    await world.reports()
    one = await world.told(type_)
    first.script.append(first.takes_and_says_nothing)
    await world.drain()
    await world.stores.routes.pin("umbrella/sms", timedelta(hours=1), reason="a test", by="a test")
    await world.advance(seconds=GRACE)
    await world.drain()
    assert [attempt.route for attempt in (await world.state(one)).attempts][:2] == routes


def counted(world: World, name: str, **labels: str) -> int:
    """How often something was counted."""
    telemetry = world.telemetry
    assert isinstance(telemetry, MemoryTelemetry)
    return telemetry.total(name, **labels)
