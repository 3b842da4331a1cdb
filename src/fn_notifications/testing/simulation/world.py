"""One seed, from the first event until nothing is left to be done, and the judgement."""

import asyncio
import time
from collections import Counter
from collections.abc import Coroutine, Sequence
from random import Random
from typing import Any, Final

from attrs import define, evolve, field, frozen

from fn_notifications.adapters.memory.store import MemoryStore
from fn_notifications.adapters.zones.tz import zone
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.ports.deliveries import Lease
from fn_notifications.domain.catalogue import Policy
from fn_notifications.domain.events import Event
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.receipts import Receipt
from fn_notifications.testing.simulation.alarm import Alarm
from fn_notifications.testing.simulation.broker import Broker
from fn_notifications.testing.simulation.clocks import Clock
from fn_notifications.testing.simulation.dice import Dice
from fn_notifications.testing.simulation.faults import PER_SEED, Fault, Rates
from fn_notifications.testing.simulation.host import Host
from fn_notifications.testing.simulation.life import Life
from fn_notifications.testing.simulation.loop import run
from fn_notifications.testing.simulation.nemesis import Nemesis
from fn_notifications.testing.simulation.operators import Operators
from fn_notifications.testing.simulation.oracle import Oracle, Verdict
from fn_notifications.testing.simulation.people import People
from fn_notifications.testing.simulation.process import Make, Process
from fn_notifications.testing.simulation.provider import Providers
from fn_notifications.testing.simulation.reports import Reports
from fn_notifications.testing.simulation.scenario import Scenario, plan
from fn_notifications.testing.simulation.surroundings import Surroundings
from fn_notifications.testing.simulation.told import Publishers
from fn_notifications.testing.simulation.trace import Trace
from fn_notifications.testing.simulation.watch import Watch

_DAYS: Final = 100
_LOOK: Final = 300.0
_LONGEST_DRAIN: Final = 48 * 3600.0
"""Longer than any type lives."""


@frozen(kw_only=True)
class Outcome:
    """What one seed did and came to."""

    seed: int
    steps: int
    faults: Counter[str]
    transitions: Counter[str]
    in_doubt_opened: int
    ambiguous_calls: int
    in_doubt_resends: int
    verdict: Verdict
    seconds: float
    trace: str = field(repr=False)


def simulate(seed: int, make: Make | None = None, *, rates: Rates | None = None) -> Outcome:
    """Run one seed. `make` plants bugs; `rates` says what goes wrong, instead of the seed."""
    began = time.perf_counter()

    async def main() -> World:
        world = World(
            random := Random(seed),  # noqa: S311 - chance in a simulation keeps no secret
            plan(random, rates),
            make or Make(),
        )
        await world.live()
        return world

    world = run(main)
    watch, around = world.around.watch, world.around
    return Outcome(
        seed=seed,
        steps=around.steps,
        faults=Counter({str(fault): amount for fault, amount in around.dice.counts.items()}),
        transitions=Counter({named(*row): amount for row, amount in watch.transitions.items()}),
        in_doubt_opened=len(set(watch.doubted)),
        ambiguous_calls=len(watch.ambiguous),
        in_doubt_resends=watch.resends,
        verdict=world.oracle.judge(),
        seconds=time.perf_counter() - began,
        trace=around.trace.text(),
    )


def without_trace(seed: int) -> Outcome:
    """Run one seed and keep the figures."""
    return evolve(simulate(seed), trace="")


def named(was: Status | None, event: type[Event]) -> str:
    """A row of the table of transitions, as reports call it."""
    return f"{was or 'new'}+{event.__name__}"


@define(eq=False, repr=False)
class World:
    """The service on several machines, and everything around it."""

    random: Random
    scenario: Scenario
    make: Make
    store: MemoryStore = field(init=False)
    around: Surroundings = field(init=False)
    broker: Broker = field(init=False)
    providers: Providers = field(init=False)
    hosts: list[Host] = field(init=False)
    people: People = field(init=False)
    operators: Operators = field(init=False)
    oracle: Oracle = field(init=False)
    _reports: Reports = field(init=False)
    _nemesis: Nemesis = field(init=False)
    _tasks: list["asyncio.Task[None]"] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        clock, trace = Clock(), Trace()
        self.store = MemoryStore(clock=clock)
        self.around = Surroundings(
            dice=Dice(self.random, self.scenario.rates),
            clock=clock,
            alarm=Alarm(self._next_due),
            watch=Watch(self.store.state, trace.note),
            trace=trace,
        )
        self.around.claimed = self._claimed
        self.broker = Broker(self.around)
        self._reports = Reports(self.around, self._post)
        self.providers = Providers(self.around, self._reports.about)
        self.hosts = [Host(f"p{n}", self.around, self._process) for n in range(self.scenario.hosts)]
        publishers = Publishers(self.broker, self.around.dice, tuple(f"u{n}" for n in range(self.scenario.people)))
        self.people = People(self.around, self.hosts, self.store, self.providers, self._reports, publishers)
        self.operators = Operators(self.around, self.people, self.store)
        self._nemesis = Nemesis(self.around, self.hosts, self.broker, self.providers)

    async def live(self) -> None:
        """Everything happens; then nothing goes wrong any more, and all is finished."""
        for host in self.hosts:
            host.start()
        self._schedule()
        await asyncio.sleep(self.scenario.span)
        self.around.dice.calm = True
        await self._nemesis.heal()
        await self.operators.release_all()
        await self.operators.clear_quarantine()
        await self._drain()
        for host in self.hosts:
            host.stop()
        await asyncio.sleep(_LOOK)
        self.oracle = Oracle(
            store=self.store,
            watch=self.around.watch,
            broker=self.broker,
            providers=self.providers,
            publishers=self.people.publishers,
            accepted=self.people.accepted,
            ledger=await self.store.history.ledger(self.store.tenant, _DAYS),
        )

    def _process(self, life: Life, clock: Clock) -> Process:
        return Process(
            life=life,
            around=self.around,
            store=self.store,
            broker=self.broker,
            providers=self.providers,
            policy=Policy(zones=zone),
            clock=clock,
            make=self.make,
            limited=self.scenario.limited,
        )

    def _schedule(self) -> None:
        for user in self.people.publishers.people:
            if self.random.random() < 0.9:
                self._at(self._sometime() if self.random.random() < 0.3 else 1.0, self._register(user))
        for burst in self.scenario.bursts:
            for _ in range(self.random.randint(1, 5)):
                self._at(burst + self.random.expovariate(0.5), self._happen())
            if self.random.random() < 0.4:
                self._at(burst + 5 * self.random.random(), self.people.ask())
        for fault in PER_SEED:
            for _ in range(self.around.dice.times(fault)):
                self._at(self._sometime(), self._befall(fault))

    def _sometime(self) -> float:
        """Mostly around a burst."""
        if self.random.random() < 0.2:
            return self.random.uniform(0, self.scenario.span)
        return max(self.random.choice(self.scenario.bursts) + self.random.uniform(-5, 40), 0.0)

    def _at(self, when: float, what: Coroutine[Any, Any, None]) -> None:
        async def then() -> None:
            await asyncio.sleep(when)
            await what

        self._tasks.append(asyncio.get_running_loop().create_task(then()))

    def _claimed(self, leases: Sequence[Lease]) -> None:
        if self.around.dice.strikes(Fault.LAST_MOMENT):
            lease = self.random.choice(leases)
            user = self.store.state.notifications[lease.key.tenant, lease.key.notification_id].user
            self._at(0.3 * self.random.random(), self.people.interrupt(user.user_id, lease.channel))

    async def _register(self, user: str) -> None:
        self.people.register(user)

    async def _happen(self) -> None:
        self.people.publishers.happen()

    async def _befall(self, fault: Fault) -> None:
        if self.around.dice.calm:
            return
        self.around.dice.counts[fault] += 1
        self.around.note("nemesis", fault)
        trouble = self._nemesis.strike(fault)
        await (trouble or self.operators.act(fault) or self.people.act(fault))

    async def _post(self, receipts: list[Receipt]) -> None:
        """A provider's request to whichever process answers."""
        up = [host for host in self.hosts if host.up]
        if not up:
            raise Unavailable("nobody answers")
        process = self.random.choice(up).process
        assert process
        await process.receipts.receive(receipts)

    def _next_due(self) -> float | None:
        now, state = self.store.clock(), self.store.state
        ahead = [
            moment
            for key, place in state.due.items()
            for moment in (place.at, place.lease_until, state.deliveries[key].expires_at)
            if moment is not None and moment > now
        ]
        return (min(ahead) - now).total_seconds() + 0.001 if ahead else None

    async def _drain(self) -> None:
        until = self.scenario.span + _LONGEST_DRAIN
        while asyncio.get_running_loop().time() < until:
            if self._settled():
                return
            if self.store.state.board.holds:  # somebody's resume came to nothing, or their pause came late
                await self.operators.release_all()
            await asyncio.sleep(_LOOK)

    def _settled(self) -> bool:
        state = self.store.state
        idle = all(task.done() for task in self._tasks) and not self._reports.flying
        return (
            idle
            and not (state.due or state.inbox or self.broker.unread())
            and not any(shard.waiting for shard in state.shards)
        )
