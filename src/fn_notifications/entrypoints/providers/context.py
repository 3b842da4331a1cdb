"""What a provider's wiring gets to work with."""

from collections.abc import Callable
from datetime import datetime

from attrs import frozen

from fn_notifications.adapters.local.sender import LocalMailbox
from fn_notifications.adapters.transport.http import HttpTransport
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.address import Channel
from fn_notifications.entrypoints.settings import Settings


@frozen(kw_only=True)
class Context:
    """Shared by every provider of a process."""

    settings: Settings
    transport: HttpTransport
    mailbox: LocalMailbox
    telemetry: Telemetry
    clock: Callable[[], datetime]

    def deadline(self, channel: Channel) -> float:
        """Seconds a sender may take: a little less than the lane allows, so that what the sender can still prove
        (that nothing was written) is not cut off into a doubt.
        """
        return 0.9 * self.settings.lanes[channel].deadline
