"""Every request to send as the provider saw it: which attempt, whether it was accepted, what its caller was told."""

from collections import deque
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from datetime import datetime
from typing import Final

from aiohttp import web
from aiohttp.typedefs import Handler
from attrs import define, field

from fn_notifications.application.ports.sending import Delivered

_CURRENT: Final[ContextVar["Call"]] = ContextVar("call")
"""The call that the running handler serves."""


@define(kw_only=True)
class Call:
    """One request to send, from its first byte to the end of its answer."""

    at: datetime
    provider: str | None = None
    attempts: tuple[str, ...] = ()
    """Our ids, as they travelled with it; empty for a request nobody could read."""
    accepted: bool = False
    answered: int | None = None
    """The status its caller was answered with; None while there is no answer, and for ever when none came."""
    gone: bool = False
    """Whether the caller hung up before the answer."""
    ended_at: datetime | None = None

    @property
    def ambiguous(self) -> bool:
        """Whether its caller cannot know what became of it: no answer, or one that proves nothing."""
        return self.answered is None or (self.answered // 100 == 5 and self.answered != 503)


@define
class Journal:
    """The newest `keep` calls, oldest first."""

    clock: Callable[[], datetime]
    keep: int = 10_000
    _calls: deque[Call] = field(init=False, repr=False)

    def __attrs_post_init__(self) -> None:
        self._calls = deque(maxlen=self.keep)

    def calls(self) -> Sequence[Call]:
        """Those made so far, unfinished ones too; they go on changing until they have ended."""
        return tuple(self._calls)

    async def record(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Handle a request to send, and keep what became of it."""
        call = Call(at=self.clock())
        self._calls.append(call)
        token = _CURRENT.set(call)
        try:
            response = await handler(request)
            # A connection that was reset carried no answer, whatever the handler returned.
            if request.transport is not None and not request.transport.is_closing():
                call.answered = response.status
            return response
        finally:
            _CURRENT.reset(token)
            call.gone = call.answered is None
            call.ended_at = self.clock()

    def note(self, delivered: Delivered) -> None:
        """Keep with the call under way whom it named, and whether the provider took it."""
        call = _CURRENT.get()
        call.provider, call.accepted = delivered.provider, delivered.answer == "accepted"
        if delivered.attempt_id is not None:
            call.attempts = (*call.attempts, delivered.attempt_id)
