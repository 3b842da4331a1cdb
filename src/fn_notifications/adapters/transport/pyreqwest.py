"""The transport by pyreqwest, a client written in Rust: a fraction of the CPU, above all with TLS.

Its exceptions do not say whether a request was written: a connection lost after writing is a `ConnectError`, a request
that arrived and was never answered a `ConnectTimeoutError`. Their list of causes does, in the words of the library
below. `NotSent` is what those words prove; whatever else fails is `Unknown`, should they ever change all of it.

Two things are weaker than by aiohttp, and both are true: a total deadline that ends before the connection stands is
`Unknown`; and a cancelled call goes on by itself, holding its connection, until its deadline at the latest.
"""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from attrs import frozen
from pyreqwest.client import Client, ClientBuilder
from pyreqwest.exceptions import (
    BuilderError,
    DecodeError,
    PoolTimeoutError,
    PyreqwestError,
    RequestError,
    RequestTimeoutError,
)
from pyreqwest.request import RequestBuilder
from pyreqwest.response import Response as Answer

from fn_notifications.adapters.transport.http import KEPT_BYTES, CallFailed, NotSent, Response, Unknown

_CONNECTING: Final = "client error (Connect)"
"""hyper's word for a failure of whatever comes before it has a connection to write to."""


@frozen
class PyreqwestTransport:
    """pyreqwest's pool. Only a request of which nothing was written is ever given to another connection."""

    _client: Client
    _total_timeout: float

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes, within: float | None = None) -> Response:
        """See `HttpTransport.post`."""
        try:
            request = self._client.post(url).headers(headers).body_bytes(body)
        except ValueError as failure:
            raise NotSent("unsendable") from failure
        try:
            return await self._answer(request, KEPT_BYTES, within)
        except PyreqwestError as failure:
            if reason := _reason_not_sent(failure):
                raise NotSent(reason) from failure
            raise Unknown(_reason_unknown(failure)) from failure

    async def get(
        self, url: str, *, headers: Mapping[str, str], keep: int = KEPT_BYTES, within: float | None = None
    ) -> Response:
        """See `HttpTransport.get`."""
        try:
            return await self._answer(self._client.get(url).headers(headers), keep, within)
        except (PyreqwestError, ValueError) as failure:
            raise CallFailed(_reason_unknown(failure)) from failure

    async def _answer(self, request: RequestBuilder, keep: int, within: float | None) -> Response:
        deadline = timedelta(seconds=self._total_timeout if within is None else within)
        async with request.timeout(deadline).build_streamed() as answer:
            return Response(answer.status, answer.headers, await _kept(answer, keep))


@asynccontextmanager
async def open_transport(
    *,
    limit: int = 100,
    connect_timeout: float = 5.0,
    total_timeout: float = 15.0,
    keep_alive: float = 15.0,
) -> AsyncIterator[PyreqwestTransport]:
    """A transport with at most `limit` requests at once, and as many idle connections; times in seconds.

    `connect_timeout` bounds the wait for a free connection, and once more DNS, TCP and TLS together. A `total_timeout`
    of more than both keeps every failure to connect a `NotSent`. `keep_alive` is short for the reason it is in aiohttp.
    """
    builder = (
        ClientBuilder()
        .http1_only()
        .no_proxy()
        .follow_redirects(enable=False)
        .referer(enable=False)
        # Compressed answers would need a limit of their own; providers answer in a few hundred bytes.
        .gzip(enable=False)
        .brotli(enable=False)
        .zstd(enable=False)
        .deflate(enable=False)
        .default_headers({"Accept-Encoding": "identity"})
        .max_connections(limit)
        .pool_timeout(timedelta(seconds=connect_timeout))
        .connect_timeout(timedelta(seconds=connect_timeout))
        .pool_max_idle_per_host(limit)
        .pool_idle_timeout(timedelta(seconds=keep_alive))
    )
    async with builder.build() as client:
        yield PyreqwestTransport(client, total_timeout)


async def _kept(answer: Answer, most: int) -> bytes:
    """As much as is kept. Left with bytes unread, the connection is closed instead of pooled."""
    body = b""
    while len(body) < most and (chunk := await answer.body_reader.read(most - len(body))):
        body += bytes(chunk)
    return body


def _reason_not_sent(failure: PyreqwestError) -> str | None:
    """Why nothing was written; None when that is not certain."""
    if isinstance(failure, BuilderError):
        return "unsendable"
    if isinstance(failure, PoolTimeoutError):
        return "connect_timeout"
    causes = _causes(failure)
    if _CONNECTING not in causes:
        return None
    if isinstance(failure, RequestTimeoutError):
        return "connect_timeout"
    if "dns error" in causes:
        return "dns"
    if "tcp connect error" not in causes:
        return "tls"
    return "connection_refused" if any("refused" in cause for cause in causes) else "connect_failed"


def _causes(failure: PyreqwestError) -> list[str]:
    found = failure.details["causes"] if isinstance(failure, RequestError) else None
    return [cause["message"] for cause in found or ()]


def _reason_unknown(failure: Exception) -> str:
    match failure:
        case TimeoutError():
            return "timeout"
        case DecodeError() | ValueError():
            return "broken_answer"
        case _:
            return "disconnected"
