"""Carries a plan out, and remembers which calls may have been on the wire each time."""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime

from attrs import define, field, frozen
from tests.chaos.plan import Fault, Kind, Plan
from tests.services.proxy import Proxy
from tests.services.stage import Stage
from tests.services.worker import Worker

SLOW = 0.05
"""Seconds that each piece of a slowed connection waits."""


PATIENCE = 30
"""Seconds between SIGTERM and SIGKILL, as orchestrators have it."""
CUTS = frozenset({Kind.DATABASE_CUT, Kind.PROVIDER_CUT, Kind.BROKER_CUT})
HOLES = frozenset({Kind.DATABASE_HOLE, Kind.PROVIDER_HOLE, Kind.BROKER_HOLE})
LOSING = frozenset({Kind.PROVIDER_CUT, Kind.PROVIDER_HOLE})
"""A connection may be made, and the request written, before it is reset or led nowhere."""
HARMLESS = frozenset({Kind.DATABASE_SLOW, Kind.PROVIDER_SLOW, Kind.BROKER_SLOW, Kind.BROKER_CUT, Kind.BROKER_HOLE})
"""What no call to a provider may suffer from."""


@frozen(kw_only=True)
class Disturbance:
    """A time in which a process, or each of them, may have lost the answers to the calls it had on the wire."""

    kind: Kind
    pid: int | None
    """None: every process."""
    began: datetime
    ended: datetime


@define
class Mischief:
    """Breaks things on a stage."""

    stage: Stage
    faults: Counter[Kind] = field(factory=Counter)
    disturbances: list[Disturbance] = field(factory=list)

    async def carry_out(self, plan: Plan) -> None:
        """Every lane at once; returns when all are done."""
        async with asyncio.TaskGroup() as lanes:
            for worker, faults in zip(self.stage.workers, plan.workers, strict=True):
                lanes.create_task(self._of_a_worker(worker, faults))
            lanes.create_task(self._of_all(plan.shared))

    async def _of_a_worker(self, worker: Worker, faults: Sequence[Fault]) -> None:
        for fault in faults:
            await asyncio.sleep(fault.after)
            if not worker.running:  # it died of something else and is being started
                continue
            self.faults[fault.kind] += 1
            await self._strike(worker, fault)

    async def _strike(self, worker: Worker, fault: Fault) -> None:
        match fault.kind:
            case Kind.KILL:
                async with self._disturbing(fault.kind, worker.pid):
                    await worker.kill()
                await asyncio.sleep(fault.lasts)
                worker.want()
            case Kind.TERMINATE:  # whoever is asked to stop finishes its calls: nothing may be lost
                try:
                    await worker.stop(PATIENCE)
                except TimeoutError:
                    self.faults[Kind.KILL] += 1
                    async with self._disturbing(Kind.KILL, worker.pid):
                        await worker.kill()
                await asyncio.sleep(fault.lasts)
                worker.want()
            case Kind.FREEZE:
                async with self._disturbing(fault.kind, worker.pid):
                    worker.signal(signal.SIGSTOP)
                await asyncio.sleep(fault.lasts)
                worker.signal(signal.SIGCONT)
            case Kind.DATABASE_CUT | Kind.DATABASE_HOLE | Kind.DATABASE_SLOW:
                await self._between(worker.database, fault, worker.pid)
            case _:
                await self._between(worker.provider, fault, worker.pid)

    async def _of_all(self, faults: Sequence[Fault]) -> None:
        for fault in faults:
            await asyncio.sleep(fault.after)
            if fault.kind is not Kind.DATABASE_KILL:
                if self.stage.broker is not None:
                    self.faults[fault.kind] += 1
                    await self._between(self.stage.broker, fault, None)
                continue
            if not self.stage.postgres.is_ours:
                continue
            self.faults[fault.kind] += 1
            async with self._disturbing(fault.kind, None):
                await asyncio.to_thread(self.stage.postgres.kill)
            await asyncio.sleep(fault.lasts)
            await asyncio.to_thread(self.stage.postgres.start)

    async def _between(self, way: Proxy, fault: Fault, pid: int | None) -> None:
        """Break what goes through a proxy, for a while: a provider's takes calls and loses them all the time."""
        async with self._disturbing(fault.kind, pid):
            if fault.kind in CUTS:
                way.cut()
            elif fault.kind in HOLES:
                way.swallow()
            else:
                way.delay = SLOW
            if fault.kind in LOSING:
                await asyncio.sleep(fault.lasts)
        if fault.kind not in LOSING:
            await asyncio.sleep(fault.lasts)
        way.heal()

    @asynccontextmanager
    async def _disturbing(self, kind: Kind, pid: int | None) -> AsyncIterator[None]:
        began = datetime.now(UTC)
        yield
        if kind not in HARMLESS:
            self.disturbances.append(Disturbance(kind=kind, pid=pid, began=began, ended=datetime.now(UTC)))
