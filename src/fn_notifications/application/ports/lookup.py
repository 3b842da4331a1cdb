"""Asking a provider what became of calls that it was given, when its answers or reports did not come."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final, Protocol

from attrs import field, frozen

from fn_notifications.domain.address import Address, Channel
from fn_notifications.domain.events import Evidence

SKEW: Final = timedelta(minutes=2)
"""How far a provider's clock may be from ours, its whole seconds included."""
LONGEST_CALL: Final = timedelta(minutes=10)
"""How long after its attempt was recorded a call may still have reached the provider: more than any lease."""


class Known(StrEnum):
    """What asking came to."""

    FOUND = "found"
    NOTHING = "nothing"
    """The provider answered, and nothing it said proves anything about the attempt. No proof that it was not sent."""
    UNANSWERED = "unanswered"
    """It could not be asked now: asking later may help."""


@frozen(kw_only=True)
class Question:
    """What became of this attempt?"""

    attempt_id: str
    channel: Channel
    started_at: datetime
    provider_id: str | None = None
    """The provider's name for the message; without one it is sought by address, text and time."""
    to: Address | None = field(default=None, repr=False)
    text: str | None = field(default=None, repr=False)
    """As it was sent: the rendering is deterministic. None when it cannot be made any more."""
    taken: frozenset[str] = frozenset()
    """The provider's names for messages of other attempts."""

    @property
    def searchable(self) -> bool:
        """Whether there is enough to seek the message by."""
        return self.to is not None and self.text is not None

    @property
    def earliest(self) -> datetime:
        """Before this the provider cannot have taken it."""
        return self.started_at - SKEW

    @property
    def latest(self) -> datetime:
        """After this the provider cannot have taken it."""
        return self.started_at + LONGEST_CALL

    def may_be(self, *, provider_id: str, to: str, text: str, at: datetime) -> bool:
        """Whether a message that a provider lists can be this attempt's."""
        return (
            self.to is not None
            and (to, text) == (self.to.value, self.text)
            and provider_id not in self.taken
            and self.earliest <= at <= self.latest
        )


@frozen(kw_only=True)
class Knowledge:
    """The answer to a question. What a provider knows of the message is in `evidence`, `code` and `provider_id`."""

    known: Known
    evidence: Evidence | None = None
    code: str | None = None
    provider_id: str | None = None
    opted_out: bool = False
    """It failed because this person said no."""


NOTHING: Final = Knowledge(known=Known.NOTHING)
UNANSWERED: Final = Knowledge(known=Known.UNANSWERED)


class Lookup(Protocol):
    """One provider account, asked about one channel's messages."""

    async def ask(self, questions: Sequence[Question]) -> Sequence[Knowledge]:
        """An answer to each question, in order. Changes nothing anywhere; never raises for an answer, a refused
        connection or a time-out. Without a provider id a message is found only if exactly one fits: none, or two,
        prove nothing.
        """
        ...
