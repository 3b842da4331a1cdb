"""What an operator does to the whole: the stop button, what it stopped, and which way things go."""

from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime, timedelta

from attrs import frozen

from fn_notifications.application.ports.deliveries import Deliveries
from fn_notifications.application.ports.routes import Routes, Seen
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.commands import Cancel
from fn_notifications.domain.delivery import DeliveryKey
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routes import Hold, HoldKind
from fn_notifications.domain.stops import Passage, Stop


@frozen(kw_only=True)
class Operating:
    """Everything here is safe to repeat, and every change is logged with its reason and who asked for it."""

    routes: Routes
    deliveries: Deliveries
    telemetry: Telemetry
    tenant: str
    by: str
    """Who asks."""

    async def board(self) -> Seen:
        """Holds and routes as they stand."""
        return await self.routes.board()

    async def pause(self, kind: HoldKind, name: str, reason: str) -> Hold | None:
        """Hold back a type, channel, route or everything; see `Routes.hold`. What held it already stays, with its own
        reason, and is returned.
        """
        while not await self.routes.hold(kind, name, reason=reason, by=self.by):
            holds = (await self.routes.board()).board.holds
            if before := next((hold for hold in holds if (hold.kind, hold.name) == (kind, name)), None):
                return before
        self.telemetry.log("warning", "operator.pause", kind=kind, name=name, why=reason, by=self.by)
        return None

    async def resume(self, kind: HoldKind, name: str) -> bool:
        """End a hold; see `Routes.release`."""
        released = await self.routes.release(kind, name)
        if released or kind is HoldKind.ROUTE:  # which is tried again at once, held or not
            self.telemetry.log("warning", "operator.resume", kind=kind, name=name, by=self.by)
        return released

    async def shut(self, route: str) -> Sequence[Stop]:
        """What is shut by itself on the way by a route; `resume` of the route has it tried again at once."""
        seen = await self.routes.board()
        mended = seen.board.mended(route, seen.now).stops
        return [
            stop
            for what, stop in seen.board.stops.items()
            if stop != mended[what] and stop.passage(seen.now) is Passage.SHUT
        ]

    async def pin(self, route: str, span: timedelta, reason: str) -> datetime:
        """Try a route first for a while; see `Routes.pin`."""
        until = await self.routes.pin(route, span, reason=reason, by=self.by)
        self.telemetry.log("warning", "operator.pin", what=route, until=until.isoformat(), why=reason, by=self.by)
        return until

    async def unpin(self, route: str) -> bool:
        """End a pin."""
        unpinned = await self.routes.unpin(route)
        if unpinned:
            self.telemetry.log("warning", "operator.unpin", what=route, by=self.by)
        return unpinned

    async def count(self, type_: str, before: datetime) -> int:
        """How many deliveries `cancel` would stop now."""
        return sum([len(page) async for page in self._pages(type_, before)])

    async def cancel(self, type_: str, before: datetime, reason: str) -> Mapping[Status, int]:
        """Cancel what is still pending of a type and was planned before a time. Returns how many deliveries now stand
        as what: `unconfirmed`, instead of `cancelled`, is one of which an earlier attempt may have arrived.

        Page by page, each its own transaction: after a crash, the same again cancels the rest. What is on the wire or
        in doubt is left alone. Raises InvalidValue for a reason that is not one short line.
        """
        command = Cancel(reason=Reason.OPERATOR, note=reason, by=self.by)
        self.telemetry.log("warning", "operator.cancel", type=type_, before=before.isoformat(), why=reason, by=self.by)
        ended = Counter[Status]()
        async for page in self._pages(type_, before):
            changed = await self.deliveries.change(page, lambda *_: command)
            ended.update(one.status for one in changed if one.status)
        return ended

    async def _pages(self, type_: str, before: datetime) -> AsyncIterator[Sequence[DeliveryKey]]:
        page = await self.deliveries.waiting(self.tenant, type_, before)
        while True:
            if page.keys:
                yield page.keys
            if page.next is None:
                return
            page = await self.deliveries.waiting(self.tenant, type_, before, after=page.next)
