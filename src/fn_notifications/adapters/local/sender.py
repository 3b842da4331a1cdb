"""A mailbox on this machine: what is sent to it stays here, for people to look at."""

from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime

from attrs import define, field, frozen

from fn_notifications.application.ports.sending import Delivered, Message
from fn_notifications.domain.address import Channel
from fn_notifications.domain.outcome import Outcome, OutcomeKind


@define(slots=False)
class LocalMailbox:
    """The newest `keep` messages, in memory. Several senders may share one."""

    keep: int = 10_000
    _kept: deque[Delivered] = field(init=False, repr=False)
    _received: int = field(init=False, default=0)

    def __attrs_post_init__(self) -> None:
        self._kept = deque(maxlen=self.keep)

    def messages(self) -> Sequence[Delivered]:
        """See `Mailbox.messages`."""
        return tuple(self._kept)

    def put(self, delivered: Delivered) -> int:
        """Keep it, and say how many have been received so far; the oldest makes room."""
        self._kept.append(delivered)
        self._received += 1
        return self._received


@frozen
class LocalSender:
    """Puts everything into the mailbox and always accepts."""

    _mailbox: LocalMailbox
    _channel: Channel
    _clock: Callable[[], datetime]

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `Sender.send`. Never in doubt: there is no wire."""
        return [self._deliver(message) for message in messages]

    def _deliver(self, message: Message) -> Outcome:
        number = self._mailbox.put(
            Delivered(
                at=self._clock(),
                provider="local",
                channel=self._channel,
                to=message.to.value,
                subject=message.content.subject,
                text=message.content.text,
                html=message.content.html,
                answer="accepted",
                attempt_id=message.attempt_id,
                status="delivered",
            )
        )
        return Outcome(kind=OutcomeKind.ACCEPTED, provider_id=f"local-{number}")
