"""What each route's provider can tell us after a call: how long a doubt is left to its report, and when it is asked."""

from collections.abc import Collection
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final

from attrs import define, field

from fn_notifications.application.errors import PortError
from fn_notifications.application.ports.history import History
from fn_notifications.application.ports.receipts import Receipts
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.catalogue import Policy
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.remedy import POLLS
from fn_notifications.domain.routing import doubt_grace

_SETTLING: Final = timedelta(seconds=30)
"""How long a provider that never reports, but can be asked, gets to list what it just took."""


@define(kw_only=True)
class Doubts:
    """Graces and polls. One for all of a process that writes down answers, reports and rescues."""

    policy: Policy
    receipts: Receipts | None = None
    """Says which providers report; None: they all do."""
    askable: Collection[str] = frozenset()
    """The routes whose provider can be asked."""
    _reporting: frozenset[str] | None = field(default=None, init=False)
    """None until it could be read: then every provider is taken to report, for waiting is what can be undone."""

    async def look(self) -> None:
        """See which providers report. Never raises: what could not be read is read the next time."""
        if self.receipts is None:
            return
        with suppress(PortError):
            self._reporting = await self.receipts.reporting()

    def grace(self, delivery: Delivery, *, now: datetime) -> timedelta:
        """How long a report may clear up a doubt about the last attempt: none from a provider that never reported."""
        attempt = delivery.attempts[-1]
        grace = doubt_grace(delivery.channel, self.policy, now=now, expires_at=delivery.expires_at)
        if self._reporting is None or attempt.provider in self._reporting:
            return grace
        return min(grace, _SETTLING) if attempt.route in self.askable else timedelta()

    def ask_after(self, route: str) -> timedelta | None:
        """When a provider is first asked about what it took; None when it cannot be."""
        return POLLS[0] if route in self.askable else None


async def measure_doubts(history: History, tenant: str, policy: Policy, telemetry: Telemetry) -> None:
    """Say how many deliveries are in doubt, on every channel."""
    open_ = await history.doubts(tenant)
    for channel in policy.channels:
        telemetry.gauge("doubts.open", open_.get(channel, 0), channel=channel)
