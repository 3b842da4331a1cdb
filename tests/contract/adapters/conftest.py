"""A provider that only takes notes: what our senders really put on the wire."""

from collections.abc import AsyncIterator, Mapping

import pytest
from aiohttp import web
from attrs import define, field, frozen

from fn_notifications.adapters.transport.aiohttp import open_transport
from fn_notifications.adapters.transport.http import HttpTransport


@frozen
class Request:
    """One request as it came."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes


@define
class Notary:
    """Notes every request and answers all alike."""

    base_url: str = ""
    status: int = 202
    body: bytes = b""
    requests: list[Request] = field(factory=list)

    async def take(self, request: web.Request) -> web.Response:
        self.requests.append(Request(request.method, request.path_qs, dict(request.headers), await request.read()))
        return web.Response(status=self.status, body=self.body)


@pytest.fixture
async def notary() -> AsyncIterator[Notary]:
    notary = Notary()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", notary.take)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    notary.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    yield notary
    await runner.cleanup()


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    async with open_transport() as opened:
        yield opened
