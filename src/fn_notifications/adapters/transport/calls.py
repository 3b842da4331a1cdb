"""What every HTTP sender does alike: many calls at once, in order, and a failed call as an outcome."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

from fn_notifications.adapters.transport.http import CallFailed, NotSent
from fn_notifications.application.ports.sending import Message
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope


async def call_each(messages: Sequence[Message], call: Callable[[Message], Awaitable[Outcome]]) -> list[Outcome]:
    """One call per message, all at once (the transport's pool is the bound), outcomes in the messages' order.

    Cancelling it cancels every call. Should `call` itself break, the others still end before that is raised.
    """
    answers = await asyncio.gather(*[call(message) for message in messages], return_exceptions=True)
    outcomes = []
    for answer in answers:
        if isinstance(answer, BaseException):
            raise answer
        outcomes.append(answer)
    return outcomes


def outcome_of_failure(failure: CallFailed) -> Outcome:
    """A call without an answer: about the route when nothing was sent, else nobody knows."""
    if isinstance(failure, NotSent):
        return Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code=failure.reason)
    return Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code=failure.reason)
