"""Deliveries out: lease, look again, commit the attempt, call, write down the answer.

The order is the promise. An attempt is committed before its call, so a crash leaves a trace; the gates run under lock
in that same transaction, so an opt-out is never overtaken; no transaction is open during a call; and the answers of
many calls are written together. One dispatcher serves every lane of a process; a lane's slots are its own, so a
provider that hangs holds up nobody else.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from datetime import datetime, timedelta

from attrs import define, field, frozen

from fn_notifications.application.call import Caller, Lane
from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.errors import PortError
from fn_notifications.application.ports.circuit import Circuit, CircuitState
from fn_notifications.application.ports.deliveries import Answer, Begun, Candidate, Deliveries, Gate
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import Policy
from fn_notifications.domain.commands import Begin
from fn_notifications.domain.decision import Decision, Verdict
from fn_notifications.domain.delivery import DeliveryKey
from fn_notifications.domain.failover import next_route
from fn_notifications.domain.identity import attempt_id
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routing import gate


@frozen(kw_only=True)
class Pace:
    """How the dispatcher spends its time; seconds where no unit is given."""

    lease: timedelta = timedelta(seconds=120)
    """Longer than any call's deadline, or a slow call would be taken for a dead worker."""
    idle: float = 0.1
    linger: float = 0.003
    """How long answers wait for company before they are written."""
    gather: float = 0.01
    """How long freed slots wait for company before more work is claimed."""
    batch: int = 200
    back_off: float = 1.0
    """After the store could not be reached."""
    grace: float = 25.0
    """How long calls on the wire may take to end when stopping."""


@define(kw_only=True)
class Dispatch:
    """Sends what is due, on every lane."""

    deliveries: Deliveries
    lanes: Mapping[Channel, Lane]
    caller: Caller
    catalogue: Catalogue
    policy: Policy
    circuit: Circuit
    telemetry: Telemetry
    chance: Callable[[], float]
    clock: Callable[[], datetime]
    worker: str
    total_slots: int = 1000
    """Over all lanes."""
    pace: Pace = Pace()
    _calls: dict[asyncio.Task[None], Channel] = field(factory=dict, init=False)
    _answers: list[Answer] = field(factory=list, init=False)
    _types: dict[DeliveryKey, str] = field(factory=dict, init=False)
    """Notification types of deliveries on the wire, for the counters."""
    _answered: asyncio.Event = field(factory=asyncio.Event, init=False)
    _wake: asyncio.Event = field(factory=asyncio.Event, init=False)

    def wake(self) -> None:
        """Something may be due: look now instead of at the next poll. A hint; polling is the truth."""
        self._wake.set()

    async def run(self) -> None:
        """Dispatch until cancelled; then let calls on the wire end within the grace and write their answers."""
        async with self._writing():
            try:
                while True:
                    await self._round()
            finally:
                await self._drain()

    async def once(self) -> int:
        """Send what is due now and wait for the answers to be written. Returns how many calls were made."""
        calls = await self._begin_wave()
        if self._calls:
            await asyncio.wait(set(self._calls))
        while self._answers:
            await self._write()
        return calls

    async def _round(self) -> None:
        self._wake.clear()
        if self._calls:
            # A slot rarely falls free alone: one wave for several costs the store no more than for one.
            await asyncio.sleep(self.pace.gather)
        try:
            begun = await self._begin_wave()
        except PortError as error:
            self.telemetry.log("warning", "dispatch.store_unavailable", error=type(error).__name__)
            await asyncio.sleep(self.pace.back_off)
            return
        if not begun:
            try:
                async with asyncio.timeout(self.pace.idle):
                    await self._wake.wait()
            except TimeoutError:
                return

    async def _begin_wave(self) -> int:
        """Claim no more than there are free slots, commit the attempts, start the calls."""
        states = self._route_states()
        wanted = self._wanted(states)
        if not wanted:
            return 0
        leases = await self.deliveries.claim(wanted, worker=self.worker, lease=self.pace.lease)
        if not leases:
            return 0
        begun = await self.deliveries.begin(leases, self._gate(states))
        for one in begun:
            self._start(one)
        return len(begun)

    def _route_states(self) -> Mapping[str, CircuitState]:
        now = self.clock()
        return {route: self.circuit.state(route, now) for lane in self.lanes.values() for route in lane.routes}

    def _wanted(self, states: Mapping[str, CircuitState]) -> Mapping[Channel, int]:
        busy = list(self._calls.values())
        left = self.total_slots - len(busy)
        wanted: dict[Channel, int] = {}
        for channel, lane in self.lanes.items():
            open_routes = {states[route] for route in lane.routes} - {CircuitState.OPEN}
            free = min(lane.slots - busy.count(channel), left)
            if open_routes and free > 0:
                wanted[channel] = free if CircuitState.CLOSED in open_routes else 1
                left -= wanted[channel]
        return wanted

    def _gate(self, states: Mapping[str, CircuitState]) -> Gate:
        """The rules, run again under lock; then the route. A half-open route is offered to one delivery of a wave."""
        usable = {route for route, state in states.items() if state is not CircuitState.OPEN}

        def begin(candidate: Candidate, now: datetime) -> Begin:
            decision = self._decide(candidate, now)
            route = None
            if decision.verdict is Verdict.SEND:
                route = self._route(candidate, usable)
                if route is None:
                    pause = now + self.policy.retry.lane_pause
                    decision = Decision.defer(decision.channel, Reason.LANE_WAITS, pause)
                elif states[route] is CircuitState.HALF_OPEN:
                    usable.discard(route)
            delivery, point = candidate.delivery, candidate.person.contacts.get(candidate.delivery.channel)
            return Begin(
                gate=decision,
                attempt_id=attempt_id(delivery.key.notification_id, delivery.key.no, len(delivery.attempts) + 1),
                route=route or "",
                epoch=point.epoch if point else 0,
            )

        return begin

    def _decide(self, candidate: Candidate, now: datetime) -> Decision:
        type_ = self.catalogue.types.get(candidate.notification.type)
        if type_ is None:
            return Decision.skip(candidate.delivery.channel, Reason.UNKNOWN_TYPE)
        return gate(
            type_,
            candidate.delivery.channel,
            candidate.person,
            self.policy,
            now,
            expires_at=candidate.delivery.expires_at,
            chance=self.chance(),
            explicit=candidate.notification.explicit,
        )

    def _route(self, candidate: Candidate, usable: Collection[str]) -> str | None:
        type_ = self.catalogue.types[candidate.notification.type]
        lane = self.lanes.get(candidate.delivery.channel)
        return next_route(candidate.delivery, type_, tuple(lane.routes), usable) if lane else None

    def _start(self, begun: Begun) -> None:
        channel = begun.delivery.channel
        task = asyncio.create_task(self._call(begun), name=f"call-{begun.delivery.key.event_key}")
        self._calls[task] = channel
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._calls.pop(task, None)
        self._wake.set()

    async def _call(self, begun: Begun) -> None:
        self._types[begun.delivery.key] = begun.notification.type
        self._answers.append(await self.caller.call(self.lanes[begun.delivery.channel], begun))
        self._answered.set()

    @asynccontextmanager
    async def _writing(self) -> AsyncIterator[None]:
        """A task that writes answers as they come; on leaving, the last of them are written too."""
        writer = asyncio.create_task(self._write_all(), name="dispatch-writer")
        try:
            yield
        finally:
            writer.cancel()
            await asyncio.gather(writer, return_exceptions=True)
            while self._answers:
                await self._write()

    async def _write_all(self) -> None:
        while True:
            await self._answered.wait()
            if len(self._answers) < self.pace.batch:
                await asyncio.sleep(self.pace.linger)
            self._answered.clear()
            while self._answers:
                try:
                    await self._write()
                except PortError as error:
                    self.telemetry.log("warning", "dispatch.store_unavailable", error=type(error).__name__)
                    await asyncio.sleep(self.pace.back_off)

    async def _write(self) -> None:
        """Write a batch of answers. They are dropped only once they are stored."""
        batch = self._answers[: self.pace.batch]
        states = await self.deliveries.finish(batch)
        del self._answers[: len(batch)]
        for state in states:
            type_ = self._types.pop(state.key, None)
            self.telemetry.count("deliveries.answered", channel=state.channel, status=state.status, type=type_)
            if state.status is Status.FAILED:
                self.telemetry.count("deliveries.failed", channel=state.channel, type=type_, reason=state.reason)

    async def _drain(self) -> None:
        if self._calls:
            await asyncio.wait(set(self._calls), timeout=self.pace.grace)
        for task in list(self._calls):
            task.cancel()
        await asyncio.gather(*self._calls, return_exceptions=True)
