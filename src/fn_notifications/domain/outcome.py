"""What one call to a provider came to: five kinds, each about something."""

from datetime import timedelta
from enum import StrEnum
from typing import Final

from attrs import frozen


class OutcomeKind(StrEnum):
    """The five answers there are. Everything a provider says becomes one of them."""

    ACCEPTED = "accepted"
    """The provider took it."""
    REFUSED = "refused"
    """Refused for good: the same message will be refused again."""
    UNSENT = "unsent"
    """Not sent, and proved so: trying again cannot duplicate."""
    OPTED_OUT = "opted_out"
    """Refused because this person said no; it suppresses the address."""
    IN_DOUBT = "in_doubt"
    """Nobody can know: the request may have been acted on."""


class Scope(StrEnum):
    """What an outcome is about: the widest thing it will be true of again."""

    RECIPIENT = "recipient"
    CONTENT = "content"
    DESTINATION = "destination"
    """A country or carrier."""
    BATCH = "batch"
    """The company it kept: another message of the same call was refused, or nobody knows which."""
    ROUTE = "route"
    ACCOUNT = "account"


class Uncalled(StrEnum):
    """The codes of outcomes that no provider gave: the call was not made."""

    TEMPLATE = "template"
    """The message could not be made from its template."""
    NO_ADDRESS = "no_address"
    LEASE_OVER = "lease_over"
    """Somebody else may have taken over."""


UNCALLED: Final = frozenset[str](Uncalled)


@frozen(kw_only=True)
class Outcome:
    """The normalised answer to one attempt. `code` is the provider's own or ours, never free text."""

    kind: OutcomeKind
    scope: Scope = Scope.RECIPIENT
    code: str | None = None
    provider_id: str | None = None
    """The provider's name for the message, when it gave one."""
    retry_after: timedelta | None = None

    @property
    def called(self) -> bool:
        """Whether the provider was called: otherwise this says nothing about it."""
        return self.code not in UNCALLED

    @property
    def spends(self) -> bool:
        """Whether it costs one of the delivery's tries: only proof that this very message was not sent does."""
        return self.kind is OutcomeKind.UNSENT and self.scope in (Scope.RECIPIENT, Scope.CONTENT)

    @property
    def waits(self) -> bool:
        """Whether the delivery has to wait for its way to get better."""
        return not self.spends and self.scope is not Scope.BATCH
