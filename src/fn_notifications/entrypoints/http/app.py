"""The HTTP application: probes, providers' webhooks, the mailbox page."""

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp import web

from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.ports.sending import Mailbox
from fn_notifications.entrypoints.http.doors import Door
from fn_notifications.simulator.page import HEADERS, render_mailbox

LARGEST_BODY: Final = 1024 * 1024
"""Bytes. Providers' batches of reports stay below it."""


def application(doors: Iterable[Door], mailbox: Mailbox | None) -> web.Application:
    """The routes. Without a mailbox on this machine there is no mailbox page."""
    app = web.Application(client_max_size=LARGEST_BODY)
    app.router.add_get("/api/health/live", _live)
    for door in doors:
        app.router.add_post(door.path, door.answer)
    if mailbox is not None:

        async def page(_: web.Request) -> web.Response:
            body = render_mailbox(mailbox.messages())
            return web.Response(text=body, content_type="text/html", headers=HEADERS)

        async def to_page(_: web.Request) -> web.Response:
            raise web.HTTPFound("/mailbox")

        app.router.add_get("/mailbox", page)
        app.router.add_get("/", to_page)
    return app


async def _live(_: web.Request) -> web.Response:
    """The process answers. A provider's or database's outage is no reason to be restarted."""
    return web.json_response({"status": "alive"})


@asynccontextmanager
async def serve(app: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Listen; yields the port, which is a free one for 0. Raises Misconfigured when it cannot be listened on."""
    runner = web.AppRunner(app, access_log=None, handle_signals=False, shutdown_timeout=5)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise Misconfigured(f"port {port}: {os.strerror(error.errno or 0)}; choose another (PORT)") from None
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
