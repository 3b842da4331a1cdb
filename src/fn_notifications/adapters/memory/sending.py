"""A provider in memory, whose answer the address chooses: the words and numbers are the provider simulator's."""

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from types import MappingProxyType
from typing import Final

from attrs import define, evolve, field, frozen

from fn_notifications.application.ports.sending import Delivered, Message
from fn_notifications.domain.address import Address, Channel, PhoneNumber
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope

_ACCEPTED: Final = Outcome(kind=OutcomeKind.ACCEPTED)

SCRIPT: Final[Mapping[str, Outcome]] = MappingProxyType(
    {
        "reject": Outcome(kind=OutcomeKind.REFUSED, scope=Scope.RECIPIENT, code="invalid_recipient"),
        "reject-content": Outcome(kind=OutcomeKind.REFUSED, scope=Scope.CONTENT, code="http_400"),
        "optout": Outcome(kind=OutcomeKind.OPTED_OUT, scope=Scope.RECIPIENT, code="opted_out"),
        "unauthorised": Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT, code="http_401"),
        "ratelimited": Outcome(
            kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="rate_limited", retry_after=timedelta(seconds=1)
        ),
        "throttled": Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="rate_limited"),
        "unavailable": Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="unavailable"),
        "unreachable": Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="connection_refused"),
        "error500": Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="http_500"),
        "hang": Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="timeout"),
        "reset-before": Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="disconnected"),
        "reset-after": Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="disconnected"),
    }
)
"""What a local part of an address brings about. With `-once` behind it only the first message meets it, and
`ratelimited+30` asks to wait 30 seconds. Everything else is accepted."""

NUMBERS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "+15005550001": "reject",
        "+15005550004": "optout",
        "+15005550401": "unauthorised",
        "+15005550429": "ratelimited",
        "+15005550430": "throttled",
        "+15005550500": "error500",
        "+15005550503": "unavailable",
        "+15005550600": "hang",
        "+15005550601": "reset-before",
        "+15005550602": "reset-after",
        "+15005550609": "unreachable",
        "+15005551429": "ratelimited-once",
        "+15005551503": "unavailable-once",
    }
)
"""Phone numbers that stand for a word."""

TAKEN: Final = frozenset({"hang", "reset-after"})
"""Words whose message is accepted although the answer never comes."""

_NO: Final = (OutcomeKind.REFUSED, OutcomeKind.OPTED_OUT)
_ANOTHER_REFUSED: Final = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.BATCH, code="another_refused")
_REFUSED_TOGETHER: Final = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.BATCH, code="refused_together")

_WORD: Final = re.compile(r"(?P<word>[a-z0-9-]+?)(?P<once>-once)?(?:\+(?P<wait>[0-9]{1,4}))?")


@define
class MemoryMailbox:
    """Everything its senders received, refused ones too."""

    _received: list[Delivered] = field(factory=list, init=False, repr=False)

    def messages(self) -> Sequence[Delivered]:
        """See `Mailbox.messages`."""
        return tuple(self._received)

    def put(self, delivered: Delivered) -> int:
        """Keep it, and say how many there are."""
        self._received.append(delivered)
        return len(self._received)

    def report(self, number: int, status: str) -> None:
        """Say what became of message `number`, counted from 1: `delivered` or `failed`."""
        self._received[number - 1] = evolve(self._received[number - 1], status=status)


def provider_id(number: int) -> str:
    """What the provider calls the message that it received as its `number`th."""
    return f"memory-{number}"


@frozen(eq=False)
class MemorySender:
    """One provider account in memory. A call that hangs is given up after `deadline` seconds of the loop's time.

    `together` messages share a call, to nobody twice. What the word of one asks for then becomes of all of them, a
    refusal before anything else: the call is refused as a whole, and whom the words find fault with is named.
    """

    _mailbox: MemoryMailbox
    _channel: Channel
    _clock: Callable[[], datetime]
    _deadline: float = 0.0
    _together: int = 1
    calls: list[int] = field(factory=list, init=False, repr=False)
    """How many messages each call carried that reached the provider."""
    _met: set[str] = field(factory=set, init=False, repr=False)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `Sender.send`."""
        outcomes = dict[int, Outcome]()
        left = dict(enumerate(messages))
        while left:
            first = {message.to.lookup: place for place, message in reversed(left.items())}
            places = sorted(first.values())[: self._together]
            answers = await self._call([left.pop(place) for place in places])
            outcomes |= zip(places, answers, strict=True)
        return [outcomes[place] for place in range(len(messages))]

    async def _call(self, messages: Sequence[Message]) -> list[Outcome]:
        await asyncio.sleep(0)  # as any call would: others get their turn before anything changes
        scripted = [self._scripted(message.to) for message in messages]
        word, outcome = min(scripted, key=_mildness)
        if word == "unreachable":
            return [outcome] * len(messages)
        self.calls.append(len(messages))
        taken = word in TAKEN or outcome.kind is OutcomeKind.ACCEPTED
        numbers = [self._mailbox.put(self._delivered(message, "accepted" if taken else word)) for message in messages]
        if word == "hang":
            await asyncio.sleep(self._deadline)
        if outcome.kind is OutcomeKind.ACCEPTED:
            return [Outcome(kind=OutcomeKind.ACCEPTED, provider_id=provider_id(number)) for number in numbers]
        if outcome.kind not in _NO or len(messages) == 1:
            return [outcome] * len(messages)
        named = [own.kind in _NO and own.scope is Scope.RECIPIENT for _, own in scripted]
        others = _ANOTHER_REFUSED if any(named) else _REFUSED_TOGETHER
        return [own if at_fault else others for at_fault, (_, own) in zip(named, scripted, strict=True)]

    def _scripted(self, to: Address) -> tuple[str, Outcome]:
        name = NUMBERS.get(to.value, "") if isinstance(to, PhoneNumber) else to.value.rpartition("@")[0]
        match = _WORD.fullmatch(name)
        outcome = SCRIPT.get(match["word"]) if match else None
        if match is None or outcome is None or (match["once"] and to.lookup in self._met):
            return "accept", _ACCEPTED
        self._met.add(to.lookup)
        if match["wait"] and outcome.retry_after is not None:
            outcome = evolve(outcome, retry_after=timedelta(seconds=int(match["wait"])))
        return match["word"], outcome

    def _delivered(self, message: Message, answer: str) -> Delivered:
        return Delivered(
            at=self._clock(),
            provider="memory",
            channel=self._channel,
            to=message.to.value,
            subject=message.content.subject,
            text=message.content.text,
            html=message.content.html,
            answer=answer,
            attempt_id=message.attempt_id,
        )


def _mildness(scripted: tuple[str, Outcome]) -> int:
    """In the order of which a call's messages say what becomes of it."""
    _, outcome = scripted
    return 0 if outcome.kind in _NO else 2 if outcome.kind is OutcomeKind.ACCEPTED else 1
