"""One pooled way out for every provider spoken to over HTTP. It knows whether a request can have been acted on."""

import asyncio
import errno
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from types import MappingProxyType, SimpleNamespace
from typing import Final

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.http import StreamWriter
from attrs import field, frozen

KEPT_BYTES: Final = 64 * 1024
"""How much of an answer's body is kept unless said. The rest is never read: the connection is given up instead."""


class CallFailed(Exception):
    """There was no answer. `reason` is a stable token; no message holds a body, a header or a credential."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class NotSent(CallFailed):
    """No byte of the request was written: trying again cannot repeat anything."""


class Unknown(CallFailed):
    """Writing had begun and no whole answer came: the request may have been acted on."""


def _lowered(headers: Mapping[str, str]) -> Mapping[str, str]:
    return MappingProxyType({name.lower(): value for name, value in headers.items()})


@frozen
class Response:
    """A whole answer. Header names are lower-case; the body holds at most as many bytes as were to be kept."""

    status: int
    headers: Mapping[str, str] = field(converter=_lowered, repr=False)
    body: bytes = field(repr=False)


class _Body(aiohttp.BytesPayload):
    """The request's bytes, which notice how far they got."""

    writing = False
    """aiohttp is about to write: it says so right before it does, never after."""
    refused = False
    """The pooled connection turned out to be closed when these bytes were to go: the peer has no whole request."""

    @property
    def may_have_arrived(self) -> bool:
        return self.writing and not self.refused

    async def write_with_length(self, writer: AbstractStreamWriter, content_length: int | None) -> None:
        if isinstance(writer, StreamWriter) and (writer.transport is None or writer.transport.is_closing()):
            self.refused = True
            raise ConnectionResetError("closed before anything was written")
        await super().write_with_length(writer, content_length)


@frozen
class HttpTransport:
    """Requests over one pool of kept-alive connections. It follows no redirect, keeps no cookie and never retries."""

    _session: aiohttp.ClientSession
    _total_timeout: float

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes, within: float | None = None) -> Response:
        """The answer, whatever its status. `within` is a total deadline in seconds, to the last byte read.

        Raises `NotSent` when nothing was written, `Unknown` when something was and no whole answer came.
        """
        payload = _Body(body)
        try:
            async with (
                asyncio.timeout(self._total_timeout if within is None else within),
                self._session.post(
                    url, headers=headers, data=payload, allow_redirects=False, trace_request_ctx=payload
                ) as response,
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
        """The answer to a question that changes nothing, whatever its status; at most `keep` bytes of its body.

        Raises `CallFailed` when there was none within the deadline, for whatever cause.
        """
        try:
            async with (
                asyncio.timeout(self._total_timeout if within is None else within),
                self._session.get(
                    url, headers=headers, allow_redirects=False, trace_request_ctx=SimpleNamespace()
                ) as response,
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
) -> AsyncIterator[HttpTransport]:
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
        trace_configs=[_trace()],
    ) as session:
        yield HttpTransport(session, total_timeout)


def _trace() -> aiohttp.TraceConfig:
    async def note(_: object, context: SimpleNamespace, __: object) -> None:
        context.trace_request_ctx.writing = True

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(note)
    return trace


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
