"""Messages out: what a provider is to the application."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol

from attrs import field, frozen

from fn_notifications.domain.address import Address, Channel
from fn_notifications.domain.outcome import Outcome


@frozen(kw_only=True)
class Content:
    """A rendered message. What a channel has no place for stays None."""

    text: str = field(repr=False)
    subject: str | None = field(default=None, repr=False)
    html: str | None = field(default=None, repr=False)
    template_id: str | None = None
    """A provider-side template (WhatsApp's Content SID); `text` is then what it will read like."""
    template_variables: Mapping[str, str] = field(factory=dict, repr=False)


@frozen(kw_only=True)
class Message:
    """One message for one person, ready to go."""

    attempt_id: str
    """Opaque; must travel with the call so that reports bring it back."""
    channel: Channel
    to: Address = field(repr=False)
    content: Content
    notification_type: str
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    """Extra email headers (List-Unsubscribe); other channels ignore them."""


class Sender(Protocol):
    """One provider account carrying one channel."""

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """Hand the messages over; outcomes in the same order, one each.

        Each message is in exactly one request, alone or, where the provider takes several, with others; never a hidden
        retry. A refusal that is another message's fault is `UNSENT` of `Scope.BATCH`: it goes again with fewer others.
        Never raises for an answer, a refused connection or a time-out: those are outcomes. The caller sets the
        total deadline by cancelling; a cancelled call may have been acted on.
        """
        ...


class Renderer(Protocol):
    """Templates to content."""

    def render(
        self,
        notification_type: str,
        channel: Channel,
        variables: Mapping[str, object],
        *,
        language: str | None,
        timezone: str | None,
        version: str,
    ) -> Content:
        """The content of one message. Deterministic: the same arguments give the same bytes.

        Raises `ContentError` when a variable is missing, a template fails or the result breaks the channel's limits;
        its message names the template and the variable, never a value.
        """
        ...


class ContentError(Exception):
    """A message could not be made from its template. Holds no value of any variable."""


@frozen(kw_only=True)
class Delivered:
    """A message as it lies in a local mailbox, for people to look at."""

    at: datetime
    provider: str
    channel: Channel
    to: str = field(repr=False)
    subject: str | None = field(repr=False)
    text: str = field(repr=False)
    html: str | None = field(default=None, repr=False)
    answer: str
    """What the provider answered: `accepted`, or the code of the refusal."""
    attempt_id: str | None
    status: str | None = None
    """The last report sent about it, if any."""


class Mailbox(Protocol):
    """Where messages end that never leave this machine."""

    def messages(self) -> Sequence[Delivered]:
        """Everything received, oldest first, refused ones too."""
        ...
