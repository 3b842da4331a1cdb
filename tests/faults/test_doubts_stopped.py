"""Workers that freeze or are told to stop, tries that are spent, time that is over: who may still do what."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest
from attrs import define, field
from tests.services.doubts import HELD, World

from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.application.dispatch import Pace
from fn_notifications.application.explain import explain
from fn_notifications.application.ports.deliveries import Deliveries
from fn_notifications.application.ports.sending import Message
from fn_notifications.domain.address import SMS
from fn_notifications.domain.commands import Resolve
from fn_notifications.domain.delivery import DeliveryKey
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.events import Evidence, Ruling
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import Outcome, OutcomeKind
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routes import HoldKind
from fn_notifications.testing.contracts.stores import LEASE, story
from fn_notifications.testing.waiting import eventually

DEAD = LEASE.total_seconds() + 1
GRACE = timedelta(minutes=16).total_seconds()


async def test_fault_39_a_frozen_worker_that_wakes_up_writes_nothing(doubtful: World) -> None:
    """Its lease has passed on: its answer is kept as a late one and takes nothing from the new holder's call."""
    one = await doubtful.told()
    woken, frozen = asyncio.Event(), asyncio.Event()

    async def freeze(message):
        doubtful.provider.taken.append(message)
        frozen.set()
        await woken.wait()
        return Outcome(kind=OutcomeKind.UNSENT, code="http_429")

    doubtful.provider.script.append(freeze)
    sleeper = asyncio.create_task(doubtful.dispatch("frozen").once())
    await frozen.wait()
    await doubtful.advance(seconds=DEAD)
    await doubtful.upkeep()
    await doubtful.advance(seconds=GRACE)
    await doubtful.upkeep()

    async def wakes_up_meanwhile(message):
        woken.set()
        await sleeper
        return Outcome(kind=OutcomeKind.ACCEPTED, provider_id="SM2")

    doubtful.provider.script.append(wakes_up_meanwhile)
    await doubtful.drain()
    state = await doubtful.state(one)
    assert (state.status, [each.evidence for each in state.attempts]) == (
        Status.SENT,
        [Evidence.UNSENT, Evidence.ACCEPTED],
    )
    assert (await doubtful.changes(one))[-1] == "late"
    told = explain(await story(doubtful.stores, one))
    assert "a late answer: attempt 1: unsent (http_429)" in [step.text for step in told.steps]


async def test_fault_43_told_to_stop_it_claims_nothing_more_and_ends_what_it_began(doubtful: World) -> None:
    """A call that ends within the grace is written as what it was, one that does not is in doubt."""
    quick, endless = asyncio.Event(), asyncio.Event()

    async def until_quick(message):
        await quick.wait()
        return Outcome(kind=OutcomeKind.ACCEPTED, provider_id="SM1")

    async def for_ever(message):
        await endless.wait()
        raise AssertionError

    doubtful.provider.script += [until_quick, for_ever]
    first, second = await doubtful.told(HELD), await doubtful.told(HELD, "two")
    dispatch = doubtful.dispatch(pace=Pace(lease=LEASE, grace=0.3))
    running = asyncio.create_task(dispatch.run())
    await eventually(lambda: doubtful.provider.calls == 2)
    running.cancel()
    quick.set()
    third = await doubtful.told(HELD, "three")
    dispatch.wake()
    await asyncio.wait([running])
    states = [await doubtful.state(one) for one in (first, second, third)]
    assert sorted(state.status for state in states[:2]) == [Status.IN_DOUBT, Status.SENT]
    assert "stopped" in {state.attempts[0].code for state in states[:2]}
    assert (states[2].status, doubtful.provider.calls) == (Status.PENDING, 2)


@define
class Slow:
    """A store whose `call` has done its work and is still to return when somebody is told to stop."""

    deliveries: Deliveries
    call: str
    done: asyncio.Event = field(factory=asyncio.Event)

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.deliveries, name)
        return self._slow if name == self.call else found

    async def _slow(self, *args: Any, **kwargs: Any) -> Any:
        result = await getattr(self.deliveries, self.call)(*args, **kwargs)
        if result:
            self.done.set()
            for _ in range(9):  # turns of the loop, in which whoever is to stop hears of it
                await asyncio.sleep(0)
        return result


@pytest.mark.parametrize(("during", "calls"), [("claim", 0), ("begin", 1)])
async def test_fault_43_stopped_half_way_nothing_waits_for_a_lease_and_nothing_is_in_doubt(
    doubtful: World, during: str, calls: int
) -> None:
    """What was only leased is free at once; what was begun is called."""
    one = await doubtful.told()
    slow = Slow(doubtful.stores.deliveries, during)
    running = asyncio.create_task(doubtful.dispatch("leaving", deliveries=slow).run())
    await slow.done.wait()
    running.cancel()
    await asyncio.wait([running])
    assert doubtful.provider.calls == calls
    await doubtful.drain()
    state = await doubtful.state(one)
    assert (state.status, len(state.attempts), doubtful.provider.calls) == (Status.SENT, 1, 1)


async def test_fault_43_what_is_begun_when_the_grace_is_over_is_unsent_and_not_in_doubt(doubtful: World) -> None:
    """The store took too long: no call is made any more, and somebody else makes it soon."""
    one = await doubtful.told()
    slow = Slow(doubtful.stores.deliveries, "begin")
    leaving = doubtful.dispatch("leaving", deliveries=slow, pace=Pace(lease=LEASE, grace=0.0))
    running = asyncio.create_task(leaving.run())
    await slow.done.wait()
    running.cancel()
    await asyncio.wait([running])
    state = await doubtful.state(one)
    assert (state.status, state.attempts[0].evidence, doubtful.provider.calls) == (Status.PENDING, Evidence.UNSENT, 0)
    await doubtful.advance(hours=1)
    await doubtful.drain()
    state = await doubtful.state(one)
    assert (state.status, state.resends, doubtful.provider.calls) == (Status.SENT, 0, 1)


@define
class Remembers:
    """A store whose list of what is overdue is as old as can be."""

    deliveries: Deliveries
    keys: Sequence[DeliveryKey]

    def __getattr__(self, name: str) -> Any:
        return getattr(self.deliveries, name)

    async def overdue(self, limit: int) -> Sequence[DeliveryKey]:
        return self.keys[:limit]


async def test_fault_39_a_frozen_upkeep_that_wakes_up_takes_nothing_from_anybody(doubtful: World) -> None:
    """It found the lease dead: meanwhile the doubt has its grace, and then a new holder a call on the wire."""
    one = await doubtful.told()
    await doubtful.die(after="begin")
    await doubtful.advance(seconds=DEAD)
    old = await doubtful.stores.deliveries.overdue(9)
    assert len(old) == 1
    await doubtful.upkeep()
    woken = Remembers(doubtful.stores.deliveries, old)
    assert await doubtful.upkeep(woken) == 0
    assert (await doubtful.state(one)).status is Status.IN_DOUBT
    await doubtful.advance(seconds=GRACE)
    await doubtful.upkeep()

    async def upkeep_wakes_up_meanwhile(message: Message) -> Outcome:
        doubtful.provider.taken.append(message)
        assert await doubtful.upkeep(woken) == 0
        return Outcome(kind=OutcomeKind.ACCEPTED, provider_id="SM2")

    doubtful.provider.script.append(upkeep_wakes_up_meanwhile)
    await doubtful.drain()
    assert ((await doubtful.state(one)).status, len(doubtful.provider.taken)) == (Status.SENT, 1)


async def test_fault_46_when_every_try_is_refused_an_operator_may_retry(doubtful: World) -> None:
    """Failed; one more attempt each time somebody says so, and the rules say yes."""
    one = await doubtful.told()
    doubtful.provider.script += [Outcome(kind=OutcomeKind.UNSENT, code="30003")] * 3
    for _ in range(5):
        await doubtful.drain()
        await doubtful.advance(minutes=1)
    state = await doubtful.state(one)
    assert (state.status, state.reason, doubtful.provider.calls) == (Status.FAILED, Reason.TRIES_SPENT, 3)
    resend = Resolve(ruling=Ruling.RESEND, note="back in service")
    await doubtful.stores.deliveries.change([state.key], lambda *_: resend)
    await doubtful.drain()
    assert ((await doubtful.state(one)).status, doubtful.provider.calls) == (Status.SENT, 4)


async def test_fault_46_what_an_operator_holds_back_expires_in_its_time(doubtful: World) -> None:
    """Nobody claims from a channel that is held; when its time is over it is expired all the same, and told of."""
    await doubtful.stores.routes.hold(HoldKind.CHANNEL, SMS, reason="a wrong text", by="ada")
    one = await doubtful.told()
    await doubtful.drain()
    await doubtful.advance(hours=5.9)
    await doubtful.drain()
    assert (await doubtful.state(one)).status is Status.PENDING
    await doubtful.advance(hours=0.2)
    await doubtful.drain()
    state = await doubtful.state(one)
    assert (state.status, state.reason, doubtful.provider.calls) == (Status.EXPIRED, Reason.EXPIRED, 0)
    assert await doubtful.changes(one) == ["expired"]
    assert [entry.data["status"] for entry in await doubtful.stores.eventlog.take("relay", 9)] == ["expired"]
    assert isinstance(doubtful.telemetry, MemoryTelemetry)
    assert doubtful.telemetry.total("deliveries.upkept", channel=SMS, status=Status.EXPIRED) == 1


async def test_fault_46_nothing_is_sent_after_its_time_to_live(doubtful: World) -> None:
    """Expired unsent; in doubt and unconfirmed; and no operator can change that."""
    late, doubt = await doubtful.told(), await doubtful.told(name="two")
    doubtful.provider.script.append(Outcome(kind=OutcomeKind.IN_DOUBT, code="http_500"))
    (lease, other) = await doubtful.stores.deliveries.claim({SMS: 2}, worker="w1", lease=LEASE)
    held = lease if lease.key == late.deliveries[0].key else other
    await doubtful.stores.deliveries.release([other if held is lease else lease])
    await doubtful.drain()
    await doubtful.advance(hours=6)
    resend = Resolve(ruling=Ruling.RESEND, note="too late")
    with pytest.raises(IllegalTransition):
        await doubtful.stores.deliveries.change([doubt.deliveries[0].key], lambda *_: resend)
    await doubtful.drain()
    assert (await doubtful.state(late)).status is Status.EXPIRED
    assert (await doubtful.state(doubt)).status is Status.UNCONFIRMED
    assert doubtful.provider.calls == 1
