"""Doors for providers' webhooks: is it theirs, what does it report, stored, answered. Applying comes later."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from aiohttp import web
from attrs import field, frozen

from fn_notifications.application.errors import PortError
from fn_notifications.application.inbox import Inbox
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.receipts import Receipt


@frozen(kw_only=True)
class Incoming:
    """A webhook call as it came: signatures cover these bytes and this address."""

    url: str
    """As the provider called it, host and query included."""
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    now: datetime


Read = Callable[[Incoming], Sequence[Receipt] | None]
"""What a call reports, or None when it is not genuine."""


@frozen(kw_only=True)
class Door:
    """One provider's webhook."""

    provider: str
    path: str
    read: Read
    inbox: Inbox
    telemetry: Telemetry
    clock: Callable[[], datetime]
    public_url: str
    """Scheme and host under which the provider knows us: what its signature covers, whatever a proxy rewrote."""

    async def answer(self, request: web.Request) -> web.Response:
        """2xx once every report is stored; 401 for what is not genuine; 503 when it could not be stored.

        A connection on which 503 was said is closed: a provider that keeps it would only ever repeat itself to this
        process, which may be the one that cannot reach its database.
        """
        incoming = Incoming(
            url=self.public_url + request.raw_path,
            headers=request.headers,
            body=await request.read(),
            now=self.clock(),
        )
        reports = self.read(incoming)
        if reports is None:
            self.telemetry.count("webhooks.refused", provider=self.provider)
            return web.Response(status=401)
        try:
            await self.inbox.receive(reports)
        except PortError:
            later = web.Response(status=503, headers={"Retry-After": "5"})
            later.force_close()
            return later
        self.telemetry.count("webhooks.receipts", len(reports), provider=self.provider)
        return web.Response(status=204)
