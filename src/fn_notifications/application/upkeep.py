"""What nobody else would come back for: dead leases with a call on the wire, doubts whose grace is over."""

from datetime import datetime

from attrs import frozen

from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.ports.deliveries import Deliveries
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.catalogue import InDoubt, Policy
from fn_notifications.domain.commands import Command, Rescue, Settle
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.remedy import remedy
from fn_notifications.domain.routing import doubt_grace


@frozen(kw_only=True)
class Upkeep:
    """Rescues and settles."""

    deliveries: Deliveries
    catalogue: Catalogue
    policy: Policy
    telemetry: Telemetry
    batch: int = 500

    async def once(self) -> int:
        """One round. Returns how many deliveries changed."""
        overdue = await self.deliveries.overdue(self.batch)
        if not overdue:
            return 0
        changed = await self.deliveries.change(overdue, self.choose)
        for delivery in changed:
            self.telemetry.count("deliveries.upkept", channel=delivery.channel, status=delivery.status)
        return len(changed)

    def choose(self, notification: Notification, delivery: Delivery, now: datetime) -> Command | None:
        """What an overdue delivery needs."""
        if delivery.status is Status.SENDING:
            grace = doubt_grace(delivery.channel, self.policy, now=now, expires_at=delivery.expires_at)
            return Rescue(grace=grace)
        type_ = self.catalogue.types.get(notification.type)
        policy = type_.in_doubt if type_ else InDoubt.HOLD
        return Settle(remedy=remedy(policy, notification, delivery))
