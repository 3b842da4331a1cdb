"""Providers: what they answer, what they do not, and what becomes of a message all the same."""

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from attrs import define, field, frozen

from fn_notifications.application.ports.lookup import NOTHING, UNANSWERED, Knowledge, Known, Question
from fn_notifications.application.ports.sending import Message
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Address, Channel
from fn_notifications.domain.events import Evidence
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope
from fn_notifications.testing.simulation.faults import Fault
from fn_notifications.testing.simulation.life import Life
from fn_notifications.testing.simulation.surroundings import Surroundings

ROUTES: Final[dict[Channel, tuple[str, ...]]] = {
    EMAIL: ("post/email", "mail/email"),
    SMS: ("twin/sms", "tele/sms"),
    WHATSAPP: ("twin/whatsapp",),
}
"""In order of failover. `twin` is one account that carries two channels."""
ASKABLE: Final = ("twin/sms", "twin/whatsapp")
"""Whose provider can be asked what became of a message."""
_HANG: Final = 3600.0
_SLOWEST_END: Final = timedelta(minutes=2)


class Mode(StrEnum):
    """How a route does at the moment."""

    WELL = "well"
    DOWN = "down"
    THROTTLED = "throttled"
    HANGS = "hangs"
    SLOW = "slow"
    STOPPED = "stopped"
    CLOSED = "closed"
    """To one country."""


@frozen(kw_only=True)
class Taken:
    """A message a provider took."""

    attempt_id: str
    route: str
    to: Address = field(repr=False)
    text: str = field(repr=False)
    at: datetime
    id: str
    """The provider's."""
    end: Evidence
    """What it comes to in time, reported or not."""


@define(eq=False, repr=False)
class Providers:
    """All of them, as they are, whichever process calls."""

    around: Surroundings
    report: Callable[[Message, str, bool], Evidence]
    """Called with what will be reported on: the message, its route, and whether it was taken. Says how it will end."""
    modes: dict[str, Mode] = field(factory=lambda: {route: Mode.WELL for every in ROUTES.values() for route in every})
    requests: Counter[str] = field(factory=Counter)
    """By attempt."""
    taken: list[Taken] = field(factory=list)
    said: dict[str, None] = field(factory=dict)
    """Attempts that a provider took, or claims to have taken."""
    stops: list[str] = field(factory=list)
    """Numbers that said STOP: a provider of texts refuses them by itself."""

    def take(self, message: Message, route: str, at: datetime) -> Outcome:
        """Accept it."""
        taken = Taken(
            attempt_id=message.attempt_id,
            route=route,
            to=message.to,
            text=message.content.text,
            at=at,
            id=f"{route}-{message.attempt_id}",
            end=self.report(message, route, True),
        )
        self.taken.append(taken)
        self.said[message.attempt_id] = None
        return Outcome(kind=OutcomeKind.ACCEPTED, provider_id=taken.id)

    def doubt(self, messages: Sequence[Message], route: str, fault: str, at: datetime) -> None:
        """Nobody will learn from this call what became of its messages; half of the calls are taken."""
        taken = self.around.dice.chance() < 0.5
        for message in messages:
            self.around.watch.ambiguous.setdefault(message.attempt_id, fault)
            if taken:
                self.take(message, route, at)


@define(eq=False, repr=False)
class Wire:
    """One process's `Sender` for one route."""

    providers: Providers
    life: Life
    route: str
    now: Callable[[], datetime]

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `Sender`."""
        around = self.providers.around
        await self.life.half(around)
        outcomes = await self._answers(messages)
        for message, outcome in zip(messages, outcomes, strict=True):
            around.happened(
                self.life.name, f"{self.route}.send", f"{message.attempt_id} {outcome.kind} {outcome.code or ''}"
            )
        await self.life.half(around)
        return outcomes

    async def _answers(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        providers, dice = self.providers, self.providers.around.dice
        mode, several = providers.modes[self.route], len(messages)
        if mode is Mode.DOWN:
            return [_unsent("connection_refused", Scope.ROUTE)] * several
        around = providers.around
        for message in messages:
            providers.requests[message.attempt_id] += 1
            around.note(self.life.name, f"{self.route}.request", message.attempt_id)
        if mode is Mode.SLOW:
            await asyncio.sleep(2.0 + 18.0 * dice.chance())
            await self.life.here()
        if mode is Mode.HANGS or dice.strikes(Fault.HANG):
            providers.doubt(messages, self.route, Fault.HANG, self.now())
            await asyncio.sleep(_HANG)
        if dice.strikes(Fault.ANSWER_LOST):
            providers.doubt(messages, self.route, Fault.ANSWER_LOST, self.now())
            return [Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="disconnected")] * several
        if dice.strikes(Fault.ERROR):
            providers.doubt(messages, self.route, Fault.ERROR, self.now())
            return [Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="http_500")] * several
        noes = [self._refusal(message, mode) for message in messages]
        if not any(noes):
            return [providers.take(message, self.route, self.now()) for message in messages]
        if dice.strikes(Fault.CONTRADICTION):
            for message in messages:
                providers.said[message.attempt_id] = None
                providers.report(message, self.route, False)
        return self._shared(noes)

    def _shared(self, noes: Sequence[Outcome | None]) -> Sequence[Outcome]:
        """What a call that is refused as a whole says of each; of two times once it does not say who is at fault."""
        wide = next((no for no in noes if no and no.scope is not Scope.RECIPIENT), None)
        if wide:
            return [wide] * len(noes)
        named = len(noes) == 1 or self.providers.around.dice.chance() < 0.5
        outvoted = _unsent("another_refused" if named else "refused_together", Scope.BATCH)
        return [no if no and named else outvoted for no in noes]

    def _refusal(self, message: Message, mode: Mode) -> Outcome | None:
        dice = self.providers.around.dice
        if mode is Mode.STOPPED:
            return _unsent("http_401", Scope.ACCOUNT)
        if mode is Mode.CLOSED:
            return _unsent("21408", Scope.DESTINATION)
        if mode is Mode.THROTTLED or dice.strikes(Fault.THROTTLED):
            after = timedelta(seconds=60 * dice.chance()) if dice.chance() < 0.7 else None
            return Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="http_429", retry_after=after)
        if message.channel != EMAIL and message.to.lookup in self.providers.stops:
            return Outcome(kind=OutcomeKind.OPTED_OUT, code="21610")
        if dice.strikes(Fault.UNAVAILABLE):
            return _unsent("http_503", Scope.ROUTE)
        if dice.strikes(Fault.UNSENT):
            return _unsent("30005", Scope.RECIPIENT)
        if dice.strikes(Fault.REFUSED):
            return Outcome(kind=OutcomeKind.REFUSED, code="21211")
        return None


@define(eq=False, repr=False)
class Asked:
    """One process's `Lookup` for one route."""

    providers: Providers
    life: Life
    route: str
    now: Callable[[], datetime]

    async def ask(self, questions: Sequence[Question]) -> Sequence[Knowledge]:
        """See `Lookup`."""
        around = self.providers.around
        await self.life.half(around)
        out = self.providers.modes[self.route] is Mode.DOWN or around.dice.strikes(Fault.LOOKUP_UNANSWERED)
        answers = [UNANSWERED if out else self._answer(question) for question in questions]
        around.happened(self.life.name, f"{self.route}.ask", ",".join(one.known for one in answers))
        await self.life.half(around)
        return answers

    def _answer(self, question: Question) -> Knowledge:
        fitting = [one for one in self.providers.taken if one.route == self.route and _fits(question, one)]
        if len(fitting) != 1:
            return NOTHING
        (found,) = fitting
        known = found.end if self.now() - found.at > _SLOWEST_END else Evidence.ACCEPTED
        return Knowledge(known=Known.FOUND, evidence=known, provider_id=found.id)


def _fits(question: Question, one: Taken) -> bool:
    if question.provider_id:
        return question.provider_id == one.id
    return question.may_be(provider_id=one.id, to=one.to.value, text=one.text, at=one.at)


def _unsent(code: str, scope: Scope) -> Outcome:
    return Outcome(kind=OutcomeKind.UNSENT, scope=scope, code=code)
