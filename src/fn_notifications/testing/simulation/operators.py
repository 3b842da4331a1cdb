"""The operators: stop buttons, pins, decisions about doubts, quarantine and dead letters."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any, Final

from attrs import define

from fn_notifications.adapters.memory.store import MemoryStore
from fn_notifications.application.ports.quarantine import Wanted
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.events import Ruling
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routes import HoldKind
from fn_notifications.testing.simulation.faults import Fault
from fn_notifications.testing.simulation.people import People
from fn_notifications.testing.simulation.process import Process
from fn_notifications.testing.simulation.provider import ROUTES
from fn_notifications.testing.simulation.subject import TYPES
from fn_notifications.testing.simulation.surroundings import Surroundings

_WHY: Final = "simulated"
_FINAL: Final = (Reason.REFUSED, Reason.UNDELIVERED, Reason.OPTED_OUT, Reason.OPERATOR)
"""Why something failed that no operator can mend."""


@define(eq=False, repr=False)
class Operators:
    """They do what the command line lets them do."""

    around: Surroundings
    people: People
    store: MemoryStore

    def act(self, fault: Fault) -> Coroutine[Any, Any, None] | None:
        """One thing they do; None for what is none of their business."""
        acts: Mapping[Fault, Callable[[], Coroutine[Any, Any, None]]] = {
            Fault.HOLD: self._hold,
            Fault.PIN: self._pin,
            Fault.RESOLVE: self._resolve,
            Fault.CANCEL_TYPE: self._cancel,
            Fault.QUARANTINE: self.clear_quarantine,
            Fault.REPLAY: self._replay,
        }
        return acts[fault]() if fault in acts else None

    async def clear_quarantine(self) -> None:
        """Release, thin or discard what is held."""
        way = self.around.dice.random.randrange(3)

        async def call(process: Process) -> None:
            match way:
                case 0:
                    await process.custody.release(Wanted())
                case 1:
                    await process.custody.thin(Wanted(), 1)
                case _:
                    await process.custody.discard(Wanted())

        await self.people.insist(call)

    async def release_all(self) -> None:
        """No more holds."""

        async def call(process: Process) -> None:
            for hold in (await process.operating.board()).board.holds:
                await process.operating.resume(hold.kind, hold.name)

        await self.people.insist(call)

    async def _hold(self) -> None:
        random = self.around.dice.random
        kind = random.choice(list(HoldKind))
        routes = [route for every in ROUTES.values() for route in every]
        names: Mapping[HoldKind, list[str]] = {
            HoldKind.TYPE: list(TYPES),
            HoldKind.CHANNEL: [*map(str, ROUTES)],
            HoldKind.ROUTE: routes,
        }
        name = random.choice(names.get(kind, [""]))
        span = random.choice((20.0, 600.0, 5000.0))

        async def pause(process: Process) -> None:
            await process.operating.pause(kind, name, _WHY)

        async def resume(process: Process) -> None:
            await process.operating.resume(kind, name)

        await self.people.insist(pause)
        await asyncio.sleep(span)
        await self.people.insist(resume)

    async def _pin(self) -> None:
        route = self.around.dice.random.choice([route for every in ROUTES.values() for route in every])

        async def call(process: Process) -> None:
            await process.operating.pin(route, timedelta(minutes=20), _WHY)

        await self.people.insist(call)

    async def _cancel(self) -> None:
        type_, before = self.around.dice.random.choice(TYPES), self.store.clock()

        async def call(process: Process) -> None:
            await process.operating.cancel(type_, before, _WHY)

        await self.people.insist(call)

    async def _resolve(self) -> None:
        """Decide about something in doubt, or try again what failed."""
        random = self.around.dice.random
        statuses = {Status.IN_DOUBT: list(Ruling), Status.FAILED: [Ruling.RESEND]}
        found = [one for one in self.store.state.deliveries.values() if one.status in statuses]
        now = self.store.clock()
        alive = [one for one in found if one.expires_at > now and one.reason not in _FINAL]
        if not alive:
            return
        one = random.choice(alive[-6:])
        ruling = random.choice(statuses[one.status or Status.FAILED])

        async def call(process: Process) -> None:
            try:
                await process.notifications.resolve(one.key.notification_id, ruling, _WHY, no=one.key.no)
            except IllegalTransition:
                return

        await self.people.insist(call)

    async def _replay(self) -> None:
        letters = [letter.id for _, letter in self.store.state.dead_letters]
        if not letters:
            return
        letter = self.around.dice.random.choice(letters)

        async def call(process: Process) -> None:
            await process.custody.replay(letter)

        await self.people.insist(call)
