"""What the rules said for one channel, and why."""

from datetime import datetime
from enum import StrEnum

from attrs import frozen

from fn_notifications.domain.address import Channel
from fn_notifications.domain.errors import InvalidValue
from fn_notifications.domain.reasons import Reason


class Verdict(StrEnum):
    """Send it, send it later, or do not send it."""

    SEND = "send"
    DEFER = "defer"
    SKIP = "skip"


_SAYS = {Verdict.SEND: (False, False), Verdict.DEFER: (True, True), Verdict.SKIP: (True, False)}
"""Whether a verdict comes with a reason, and with a time."""


@frozen(kw_only=True)
class Decision:
    """A verdict with its reason. A deferral says until when. Raises InvalidValue for one that does not say why."""

    channel: Channel
    verdict: Verdict
    reason: Reason | None = None
    until: datetime | None = None

    def __attrs_post_init__(self) -> None:
        if (self.reason is not None, self.until is not None) != _SAYS[self.verdict]:
            raise InvalidValue("a skip has a reason, a deferral a reason and a time, a send neither")

    @classmethod
    def send(cls, channel: Channel) -> "Decision":
        """Nothing speaks against it."""
        return cls(channel=channel, verdict=Verdict.SEND)

    @classmethod
    def skip(cls, channel: Channel, reason: Reason) -> "Decision":
        """A rule says no."""
        return cls(channel=channel, verdict=Verdict.SKIP, reason=reason)

    @classmethod
    def defer(cls, channel: Channel, reason: Reason, until: datetime) -> "Decision":
        """A rule says: not before `until`."""
        return cls(channel=channel, verdict=Verdict.DEFER, reason=reason, until=until)
