"""The ways an answer can fail to come."""

import asyncio
import socket
import struct
from typing import Any, Final

from aiohttp import web

from fn_notifications.simulator.behaviour import Act

_DRIBBLE_SECONDS: Final = 0.05


async def perform(act: Act, request: web.Request, answer: web.Response, *, pause: float) -> web.StreamResponse:
    """Give the answer, or not, as told. Ends by cancellation when the caller hangs up or the simulator stops."""
    match act:
        case Act.ANSWER:
            return answer
        case Act.SLOW:
            await asyncio.sleep(pause)
            return answer
        case Act.HANG:
            await asyncio.Event().wait()
        case Act.DRIBBLE:
            await _dribble(request, answer)
        case Act.RESET_BEFORE | Act.RESET_AFTER:
            reset(request)
    return answer


def reset(request: web.Request) -> None:
    """Break the connection so that the other side sees a reset (RST), not an orderly end."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


async def _dribble(request: web.Request, answer: web.Response) -> None:
    stream = web.StreamResponse(status=answer.status, headers=_without_length(answer))
    await stream.prepare(request)
    while True:
        await stream.write(b" ")
        await asyncio.sleep(_DRIBBLE_SECONDS)


def strange_page(status: int) -> web.Response:
    """Two megabytes of HTML, as no API would answer with."""
    page = "<!doctype html><title>Oops</title>" + "<p>Something went wrong.</p>" * 75_000
    return web.Response(status=status, text=page, content_type="text/html")


def _without_length(answer: web.Response) -> dict[str, Any]:
    return {name: value for name, value in answer.headers.items() if name.lower() != "content-length"}
