"""What happened to a delivery, in the past tense. The log of these is the delivery."""

from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum, StrEnum
from types import MappingProxyType
from typing import Final

from attrs import frozen

from fn_notifications.domain.outcome import UNCALLED, OutcomeKind, Scope
from fn_notifications.domain.reasons import Reason


class Evidence(IntEnum):
    """How much is known about an attempt. A report never lowers it: the lattice is this order.

    Top is `DELIVERED`: once a handset or mailbox has confirmed, a late bounce changes nothing (it may still
    suppress the address).
    """

    OPEN = 0
    """The call is on the wire."""
    IN_DOUBT = 1
    UNSENT = 2
    REFUSED = 3
    ACCEPTED = 4
    UNDELIVERED = 5
    """Accepted first, then reported as not delivered."""
    DELIVERED = 6


ANSWERS: Final[Mapping[OutcomeKind, Evidence]] = MappingProxyType(
    {
        OutcomeKind.ACCEPTED: Evidence.ACCEPTED,
        OutcomeKind.REFUSED: Evidence.REFUSED,
        OutcomeKind.OPTED_OUT: Evidence.REFUSED,
        OutcomeKind.UNSENT: Evidence.UNSENT,
        OutcomeKind.IN_DOUBT: Evidence.IN_DOUBT,
    }
)
"""What an answer proves of its attempt."""


@frozen(kw_only=True)
class Attempt:
    """One call to a provider."""

    no: int
    id: str
    """Opaque; travels with the call and comes back with its reports."""
    route: str
    started_at: datetime
    epoch: int
    """The contact point's consent epoch that was read, under lock, when this attempt was allowed."""
    evidence: Evidence = Evidence.OPEN
    scope: Scope | None = None
    code: str | None = None
    provider_id: str | None = None
    answered_at: datetime | None = None
    digest: str | None = None
    """Of the content as sent: SHA-256, hex."""

    @property
    def provider(self) -> str:
        """Who was called: a route is named provider/channel."""
        return self.route.partition("/")[0]

    @property
    def called(self) -> bool:
        """Whether the provider was called, as far as anybody wrote down (see `Outcome.called`)."""
        return self.code not in UNCALLED

    @property
    def spent(self) -> bool:
        """Whether it used up one of the tries (see `Outcome.spends`)."""
        return self.evidence is Evidence.UNSENT and self.scope in (Scope.RECIPIENT, Scope.CONTENT)

    @property
    def ruled(self) -> bool:
        """Whether what is known of it is an operator's word, which proves nothing."""
        return self.code == Reason.OPERATOR

    @property
    def outvoted(self) -> bool:
        """Whether it was not sent for the sake of another message in its call."""
        return self.evidence is Evidence.UNSENT and self.scope is Scope.BATCH

    def join(self, finding: "Finding") -> "Attempt":
        """This attempt with a finding merged in, the very same when that tells nothing new.

        The evidence is the same whatever the order of findings and their repetition.
        """
        more = finding.evidence > self.evidence
        provider_id, digest = self.provider_id or finding.provider_id, self.digest or finding.digest
        if not more and (provider_id, digest) == (self.provider_id, self.digest):
            return self
        return Attempt(
            no=self.no,
            id=self.id,
            route=self.route,
            started_at=self.started_at,
            epoch=self.epoch,
            evidence=finding.evidence if more else self.evidence,
            scope=finding.scope if more else self.scope,
            code=finding.code if more else self.code,
            provider_id=provider_id,
            answered_at=self.answered_at or finding.at if more else self.answered_at,
            digest=digest,
        )


@frozen(kw_only=True)
class Finding:
    """Something learnt about attempt `no`: an answer, a report, an operator's word, or that nobody knows."""

    no: int
    evidence: Evidence
    at: datetime
    scope: Scope | None = None
    code: str | None = None
    provider_id: str | None = None
    digest: str | None = None


@frozen(kw_only=True)
class Planned:
    """It will be sent, at the earliest at `due_at`; `reason` says why not at once."""

    at: datetime
    due_at: datetime
    reason: Reason | None = None


@frozen(kw_only=True)
class Deferred:
    """A gate said: not now."""

    at: datetime
    until: datetime
    reason: Reason


@frozen(kw_only=True)
class Skipped:
    """A rule said no."""

    at: datetime
    reason: Reason


@frozen(kw_only=True)
class Began:
    """An attempt is recorded; the call follows."""

    at: datetime
    attempt: Attempt


@frozen(kw_only=True)
class Retried:
    """The attempt is proved unsent; another may start at `until`."""

    at: datetime
    finding: Finding
    until: datetime
    reason: Reason


@frozen(kw_only=True)
class Doubted:
    """What is left is a doubt: nobody can know whether an attempt was acted on; a report may tell before `until`."""

    at: datetime
    finding: Finding
    until: datetime


@frozen(kw_only=True)
class Asked:
    """The provider was asked about attempt `no` and told nothing new, or could not be asked: `reason` says which. It is
    asked again at `until`; None: the next event says what is done, or nothing more is.
    """

    at: datetime
    no: int
    reason: Reason
    until: datetime | None = None


class Ruling(StrEnum):
    """What an operator decides about a delivery."""

    SENT = "sent"
    FAILED = "failed"
    RESEND = "resend"


@frozen(kw_only=True)
class Resolved:
    """An operator decided, for the reason in `note`; what follows from it is the next event."""

    at: datetime
    ruling: Ruling
    note: str
    by: str = ""
    reason: Reason = Reason.OPERATOR


@frozen(kw_only=True)
class Resent:
    """One more attempt is allowed: by the type, for a doubt that is not waited for any longer, or by an operator."""

    at: datetime
    reason: Reason


@frozen(kw_only=True)
class Held:
    """The doubt waits: for an operator, until the delivery expires; or for a report, which may come after all."""

    at: datetime
    until: datetime


@frozen(kw_only=True)
class Unconfirmed:
    """An attempt was still in doubt when nothing more could be done; `note` and `by` as of what ended it."""

    at: datetime
    reason: Reason
    note: str = ""
    by: str = ""


@frozen(kw_only=True)
class Cancelled:
    """Somebody stopped it before it was sent, for the reason in `note`."""

    at: datetime
    reason: Reason
    note: str = ""
    by: str = ""


@frozen(kw_only=True)
class Expired:
    """Its time passed unsent; `note` says what was in its way to the last, where that is known."""

    at: datetime
    note: str = ""


@frozen(kw_only=True)
class Sent:
    """A finding makes the delivery count as sent. Its provider is asked about it at `ask_at`, if ever."""

    at: datetime
    finding: Finding
    ask_at: datetime | None = None


@frozen(kw_only=True)
class Delivered:
    """A finding proves arrival."""

    at: datetime
    finding: Finding


@frozen(kw_only=True)
class Failed:
    """A finding ends it: refused for good, never made, reported undelivered, or the tries are spent."""

    at: datetime
    finding: Finding
    reason: Reason


@frozen(kw_only=True)
class Noted:
    """A finding is kept with its attempt and changes nothing else."""

    at: datetime
    finding: Finding


Event = (
    Planned
    | Deferred
    | Skipped
    | Began
    | Retried
    | Doubted
    | Asked
    | Resolved
    | Resent
    | Held
    | Unconfirmed
    | Cancelled
    | Expired
    | Sent
    | Delivered
    | Failed
    | Noted
)
