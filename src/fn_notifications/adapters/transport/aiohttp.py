"""The transport by aiohttp."""

import asyncio
import errno
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter
from attrs import frozen

from fn_notifications.adapters.transport.http import KEPT_BYTES, CallFailed, NotSent, Response, Unknown


class _Body(aiohttp.BytesPayload):
    """The request's bytes, which notice how far they got.

    aiohttp holds the headers back until the body's first bytes, and writes both at once: before it turns to the body,
    nothing has left.
    """

    may_have_arrived = False

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        if isinstance(writer, StreamWriter) and (writer.transport is None or writer.transport.is_closing()):
            raise ConnectionResetError("closed before anything was written")
        self.may_have_arrived = True
        await super().write_with_length(writer, content_length)


@frozen
class AiohttpTransport:
    """aiohttp's pool. What it knows is exact: nothing was written, or something was."""

    _session: aiohttp.ClientSession
    _total_timeout: float

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes, within: float | None = None) -> Response:
        """See `HttpTransport.post`."""
        payload = _Body(body)
        try:
            async with (
                asyncio.timeout(self._total_timeout if within is None else within),
                self._session.post(url, headers=headers, data=payload, allow_redirects=False) as response,
            ):
                return Response(response.status, response.headers, await _kept(response))
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            # TimeoutError is an OSError; aiohttp reports a malformed URL or header as ValueError, before writing.
            if payload.may_have_arrived:
                raise Unknown(_reason_unknown(failure)) from failure
            raise NotSent(_reason_not_sent(failure)) from failure

    async def get(
        self, url: str, *, headers: Mapping[str, str], keep: int = KEPT_BYTES, within: float | None = None
    ) -> Response:
        """See `HttpTransport.get`."""
        try:
            async with (
                asyncio.timeout(self._total_timeout if within is None else within),
                self._session.get(url, headers=headers, allow_redirects=False) as response,
            ):
                return Response(response.status, response.headers, await _kept(response, keep))
        except (aiohttp.ClientError, OSError, ValueError) as failure:
            raise CallFailed(_reason_unknown(failure)) from failure


@asynccontextmanager
async def open_transport(
    *,
    limit: int = 100,
    connect_timeout: float = 5.0,
    total_timeout: float = 15.0,
    keep_alive: float = 15.0,
) -> AsyncIterator[AiohttpTransport]:
    """A transport with at most `limit` connections at once; times in seconds.

    `connect_timeout` covers the wait for a free connection, DNS, TCP and TLS. `keep_alive` is short on purpose: a
    connection the other side closed just as we wrote leaves a message in doubt, and idle ones are where that happens.
    """
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=limit, keepalive_timeout=keep_alive),
        timeout=aiohttp.ClientTimeout(total=None, connect=connect_timeout),
        cookie_jar=aiohttp.DummyCookieJar(),
        # Compressed answers would need a limit of their own; providers answer in a few hundred bytes.
        headers={"Accept-Encoding": "identity"},
        auto_decompress=False,
    ) as session:
        yield AiohttpTransport(session, total_timeout)


async def _kept(response: aiohttp.ClientResponse, most: int = KEPT_BYTES) -> bytes:
    """As much as is kept. Left with bytes unread, aiohttp closes the connection instead of pooling it."""
    body = b""
    while chunk := await response.content.read(most - len(body)):
        body += chunk
    return body


def _reason_not_sent(failure: Exception) -> str:
    match failure:
        case TimeoutError():
            return "connect_timeout"
        case aiohttp.ClientConnectorDNSError():
            return "dns"
        case aiohttp.ClientSSLError():
            return "tls"
        case aiohttp.ClientConnectorError(errno=errno.ECONNREFUSED):
            return "connection_refused"
        case aiohttp.ClientConnectionError():
            return "connect_failed"
        case _:
            return "unsendable"


def _reason_unknown(failure: Exception) -> str:
    match failure:
        case TimeoutError():
            return "timeout"
        case aiohttp.ClientConnectionError():
            return "disconnected"
        case _:
            return "broken_answer"
