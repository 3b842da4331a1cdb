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
    """One provider account in memory. A call that hangs is given up after `deadline` seconds of the loop's time."""

    _mailbox: MemoryMailbox
    _channel: Channel
    _clock: Callable[[], datetime]
    _deadline: float = 0.0
    _met: set[str] = field(factory=set, init=False, repr=False)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `Sender.send`."""
        return [await self._send_one(message) for message in messages]

    async def _send_one(self, message: Message) -> Outcome:
        await asyncio.sleep(0)  # as any call would: others get their turn before anything changes
        word, outcome = self._scripted(message.to)
        if word == "unreachable":
            return outcome
        taken = word in TAKEN or outcome.kind is OutcomeKind.ACCEPTED
        number = self._mailbox.put(self._delivered(message, "accepted" if taken else word))
        if word == "hang":
            await asyncio.sleep(self._deadline)
        if outcome.kind is OutcomeKind.ACCEPTED:
            return Outcome(kind=OutcomeKind.ACCEPTED, provider_id=provider_id(number))
        return outcome

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
