"""What every HTTP sender does alike: many calls at once, in order, and a failed call as an outcome."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

from fn_notifications.adapters.transport.http import CallFailed, NotSent
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope

T = TypeVar("T")
R = TypeVar("R")


async def call_each(payloads: Sequence[T], call: Callable[[T], Awaitable[R]]) -> list[R]:
    """One call per payload, all at once (the transport's pool is the bound), what they return in the payloads' order.

    Cancelling it cancels every call. Should `call` itself break, the others still end before that is raised.
    """
    if len(payloads) == 1:
        return [await call(payloads[0])]
    answers = await asyncio.gather(*[call(payload) for payload in payloads], return_exceptions=True)
    returned = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        returned.append(answer)
    return returned


def outcome_of_failure(failure: CallFailed) -> Outcome:
    """A call without an answer: about the route when nothing was sent, else nobody knows."""
    if isinstance(failure, NotSent):
        return Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code=failure.reason)
    return Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code=failure.reason)
