"""The way out for every provider spoken to over HTTP: what it promises, whichever client keeps it.

It pools kept-alive connections and knows whether a request can have been acted on. It follows no redirect, keeps no
cookie, never posts anything twice, and uses no proxy of the environment.
"""

from collections.abc import Mapping
from typing import Final, Protocol

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
    """No whole answer came, and writing had begun or may have: the request may have been acted on."""


@frozen
class Response:
    """A whole answer. Headers are asked for by lower-case names; the body holds at most as many bytes as were to be
    kept.
    """

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class HttpTransport(Protocol):
    """Requests over one pool."""

    async def post(self, url: str, *, headers: Mapping[str, str], body: bytes, within: float | None = None) -> Response:
        """The answer, whatever its status. `within` is a total deadline in seconds, to the last byte read.

        Raises `NotSent` when certainly nothing was written, `Unknown` when something may have been and no whole answer
        came.
        """
        ...

    async def get(
        self, url: str, *, headers: Mapping[str, str], keep: int = KEPT_BYTES, within: float | None = None
    ) -> Response:
        """The answer to a question that changes nothing, whatever its status; at most `keep` bytes of its body.

        Raises `CallFailed` when there was none within the deadline, for whatever cause.
        """
        ...
