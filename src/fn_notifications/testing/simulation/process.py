"""One process of the service: the application as the composition root puts it together, over ports that may fail."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import Final, TypeVar

from attrs import define, field, frozen

from fn_notifications.adapters.memory.addresses import StrictAddresses
from fn_notifications.adapters.memory.circuit import MemoryCircuit
from fn_notifications.adapters.memory.store import MemoryStore
from fn_notifications.application.call import Caller, Lane
from fn_notifications.application.dispatch import Dispatch, Pace
from fn_notifications.application.doubts import Doubts
from fn_notifications.application.enquiry import Enquiry
from fn_notifications.application.intake import Intake
from fn_notifications.application.operating import Operating
from fn_notifications.application.ports.circuit import CircuitRules
from fn_notifications.application.ports.deliveries import Deliveries
from fn_notifications.application.ports.eventlog import EventLog
from fn_notifications.application.ports.events import EventSource
from fn_notifications.application.ports.receipts import Receipts
from fn_notifications.application.ports.storage import Keeping
from fn_notifications.application.ports.telemetry import Silent
from fn_notifications.application.preferences import PreferencesFormat
from fn_notifications.application.pruning import Pruning
from fn_notifications.application.quarantine import Custody
from fn_notifications.application.receipts import ApplyReceipts
from fn_notifications.application.relay import Relay
from fn_notifications.application.service import Notifications
from fn_notifications.application.slowness import Slowness
from fn_notifications.application.switchboard import Switchboard
from fn_notifications.application.upkeep import Upkeep
from fn_notifications.domain.address import EMAIL, SMS, Channel
from fn_notifications.domain.catalogue import Policy
from fn_notifications.entrypoints.service import IntakeStep, Loop, Supervisor
from fn_notifications.testing.simulation.alarm import Interest, News, Patient
from fn_notifications.testing.simulation.broker import Broker, Member, Publisher
from fn_notifications.testing.simulation.clocks import Clock
from fn_notifications.testing.simulation.life import Life, Line, wired
from fn_notifications.testing.simulation.provider import ASKABLE, ROUTES, Asked, Providers, Wire
from fn_notifications.testing.simulation.subject import catalogue, renderer
from fn_notifications.testing.simulation.surroundings import Surroundings

T = TypeVar("T")

PACE: Final = Pace(idle=3600.0)
"""As in production, but for the polls, which the alarm stands in for."""
KEEPING: Final = Keeping(
    history=timedelta(hours=10), events=timedelta(hours=16), queue=timedelta(hours=10), log=timedelta(hours=10)
)
"""Barely longer than anything lives. History goes by months: one ends early on the first day (see `clocks.START`)."""
SLOTS: Final = 3
BATCH: Final = 4
"""Emails that share a call."""
_RULES: Final = CircuitRules(threshold=4, window=timedelta(seconds=60), reset_after=timedelta(seconds=120))
_TENANT: Final = "default"


@frozen(kw_only=True)
class Make:
    """The parts that a planted bug replaces."""

    intake_step: Callable[[EventSource, Intake, Callable[[], None]], Callable[[], Awaitable[int]]] = IntakeStep
    switchboard: type[Switchboard] = Switchboard
    caller: type[Caller] = Caller
    deliveries: Callable[[MemoryStore], Deliveries] = lambda store: store.deliveries
    eventlog: Callable[[MemoryStore], EventLog] = lambda store: store.eventlog


@define(eq=False, repr=False, kw_only=True)
class Process:
    """From start to end; `run` is what the operating system starts."""

    life: Life
    around: Surroundings
    store: MemoryStore
    broker: Broker
    providers: Providers
    policy: Policy
    clock: Clock
    make: Make
    limited: bool
    member: Member = field(init=False)
    receipts: Receipts = field(init=False)
    notifications: Notifications = field(init=False)
    operating: Operating = field(init=False)
    custody: Custody = field(init=False)
    dispatch: Dispatch = field(init=False)
    _relay: Relay = field(init=False)
    _steps: Sequence[tuple[str, Patient]] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.member = Member(self.broker, self.life)
        self.receipts = self._wired("receipts", self.store.receipts)
        people = self._wired("people", self.store.people)
        deliveries = self._wired("deliveries", self.make.deliveries(self.store))
        history = self._wired("history", self.store.history)
        routes = self._wired("routes", self.store.routes)
        telemetry, known, chance = Silent(), catalogue(), self.around.dice.chance
        intake = Intake(
            catalogue=known,
            people=people,
            store=self._wired("intake", self.store.intake),
            policy=self.policy,
            telemetry=telemetry,
            chance=chance,
        )
        self.notifications = Notifications(
            intake=intake,
            people=people,
            deliveries=deliveries,
            history=history,
            routes=routes,
            lanes=ROUTES,
            preferences=PreferencesFormat(
                addresses=StrictAddresses(), policy=self.policy, types=frozenset(known.types)
            ),
        )
        self.operating = Operating(
            routes=routes, deliveries=deliveries, telemetry=telemetry, tenant=_TENANT, by="operator"
        )
        self.custody = Custody(
            quarantine=self._wired("quarantine", self.store.quarantine),
            letters=self._wired("letters", self.store.dead_letters),
            intake=intake,
        )
        doubts = Doubts(policy=self.policy, receipts=self.receipts, askable=frozenset(ASKABLE))
        self.dispatch = Dispatch(
            deliveries=deliveries,
            switchboard=self.make.switchboard(
                routes=routes,
                lanes={channel: self._lane(channel) for channel in ROUTES},
                circuit=MemoryCircuit(rules=_RULES),
                catalogue=known,
                policy=self.policy,
                telemetry=telemetry,
                chance=chance,
                clock=self.clock,
            ),
            caller=self.make.caller(
                renderer=renderer(), policy=self.policy, telemetry=telemetry, chance=chance, doubts=doubts
            ),
            telemetry=telemetry,
            worker=self.life.name,
            pace=PACE,
        )
        self._relay = Relay(
            log=self._wired("eventlog", self.make.eventlog(self.store)),
            publisher=Publisher(self.broker, self.life),
            telemetry=telemetry,
            reader=self.life.name,
        )
        upkeep = Upkeep(
            deliveries=deliveries,
            routes=routes,
            lanes=ROUTES,
            catalogue=known,
            policy=self.policy,
            telemetry=telemetry,
            doubts=doubts,
            enquiry=Enquiry(
                lookups={route: Asked(self.providers, self.life, route, self.store.clock) for route in ASKABLE},
                history=history,
                people=people,
                renderer=renderer(),
                telemetry=telemetry,
            ),
        )
        applying = ApplyReceipts(receipts=self.receipts, telemetry=telemetry, ask_after=doubts.ask_after)
        pruning = Pruning(storage=self._wired("storage", self.store.storage), keeping=KEEPING, telemetry=telemetry)
        slowness = Slowness(routes=routes, lanes=ROUTES, telemetry=telemetry)
        taking_in = self.make.intake_step(self.member, intake, self.dispatch.wake)
        self._steps = [
            ("intake", self._patient(taking_in, Interest(News.EVENTS))),
            ("receipts", self._patient(applying.step, Interest(News.INBOX))),
            ("relay", self._patient(self._relay.once, Interest(News.LOG))),
            ("upkeep", self._patient(upkeep.once, Interest(None, timed=True))),
            ("slowness", self._patient(slowness.once, Interest(None))),
            ("pruning", self._patient(pruning.once, Interest(None))),
        ]

    async def run(self) -> None:
        """Every role, until cancelled; then let go of what others can take over."""
        loops = [Loop(name=name, step=step, idle=0.0) for name, step in self._steps]
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(Supervisor(telemetry=Silent()).run(*loops), name="loops")
                group.create_task(self.dispatch.run(), name="dispatch")
                group.create_task(self._wake(), name="waker")
        finally:
            await self._relay.stop()
            await self.member.leave()

    async def _wake(self) -> None:
        """Tell the dispatcher when there may be something for it."""
        patient = self._patient(self._nothing, Interest(News.DUE, timed=True))
        while True:
            await patient()
            await self.life.here()
            self.dispatch.wake()

    async def _nothing(self) -> int:
        return 0

    def _lane(self, channel: Channel) -> Lane:
        wires = {route: Wire(self.providers, self.life, route, self.store.clock) for route in ROUTES[channel]}
        return Lane(
            channel=channel,
            routes=wires,
            slots=SLOTS,
            rate=2.0 if self.limited and channel == SMS else None,
            batches=dict.fromkeys(wires, BATCH) if channel == EMAIL else {},
        )

    def _patient(self, step: Callable[[], Awaitable[int]], interest: Interest) -> Patient:
        return Patient(step, interest, self.around.alarm, self.around.dice.lateness)

    def _wired(self, name: str, port: T) -> T:
        return wired(port, Line(self.life, self.around, name))
