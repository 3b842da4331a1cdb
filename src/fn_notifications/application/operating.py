"""What an operator does to the whole: the stop button, what it stopped, and which way things go."""

from datetime import datetime, timedelta

from attrs import frozen

from fn_notifications.application.ports.deliveries import Deliveries
from fn_notifications.application.ports.routes import Routes, Seen
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.commands import Cancel
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routes import HoldKind


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

    async def pause(self, kind: HoldKind, name: str, reason: str) -> bool:
        """Hold back a type, channel, route or everything; see `Routes.hold`."""
        held = await self.routes.hold(kind, name, reason=reason, by=self.by)
        self.telemetry.log("warning", "operator.pause", kind=kind, name=name, why=reason, by=self.by)
        return held

    async def resume(self, kind: HoldKind, name: str) -> bool:
        """End a hold; see `Routes.release`."""
        released = await self.routes.release(kind, name)
        self.telemetry.log("warning", "operator.resume", kind=kind, name=name, by=self.by)
        return released

    async def pin(self, route: str, span: timedelta, reason: str) -> datetime:
        """Try a route first for a while; see `Routes.pin`."""
        until = await self.routes.pin(route, span, reason=reason, by=self.by)
        self.telemetry.log("warning", "operator.pin", what=route, until=until.isoformat(), why=reason, by=self.by)
        return until

    async def unpin(self, route: str) -> bool:
        """End a pin."""
        unpinned = await self.routes.unpin(route)
        self.telemetry.log("warning", "operator.unpin", what=route, by=self.by)
        return unpinned

    async def cancel(self, type_: str, before: datetime, reason: str) -> int:
        """Cancel what is still pending of a type and was planned before a time. Returns how many deliveries.

        Page by page, each its own transaction: after a crash, the same again cancels the rest. What is on the wire or
        in doubt is left alone.
        """
        self.telemetry.log("warning", "operator.cancel", type=type_, before=before.isoformat(), why=reason, by=self.by)
        cancelled, page = 0, await self.deliveries.waiting(self.tenant, type_, before)
        while True:
            if page.keys:
                changed = await self.deliveries.change(page.keys, lambda *_: Cancel(reason=Reason.OPERATOR))
                cancelled += len(changed)
            if page.next is None:
                return cancelled
            page = await self.deliveries.waiting(self.tenant, type_, before, after=page.next)
