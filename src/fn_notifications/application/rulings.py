"""An operator's word about everything of a kind that is in doubt, as after an outage."""

from collections.abc import AsyncIterator, Sequence
from datetime import datetime
from typing import Final

from attrs import frozen

from fn_notifications.application.ports.deliveries import Choice, Deliveries
from fn_notifications.application.ports.history import History
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.commands import Resolve
from fn_notifications.domain.delivery import Delivery, DeliveryKey, decide
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.events import Ruling
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.remedy import unreported

_PAGE: Final = 500


@frozen(kw_only=True)
class Selection:
    """Some of the deliveries that wait for an operator."""

    before: datetime
    """Every attempt in doubt began before this."""
    type: str | None = None
    route: str | None = None
    """Every attempt in doubt went this way."""

    def include(self, type_: str, delivery: Delivery) -> bool:
        """Whether it is one of them."""
        held = delivery.status is Status.IN_DOUBT and delivery.due_at == delivery.expires_at
        return (
            held
            and self.type in (None, type_)
            and all(
                attempt.started_at < self.before and self.route in (None, attempt.route)
                for attempt in unreported(delivery)
            )
        )


@frozen(kw_only=True)
class Rulings:
    """Page by page, each its own transaction: after a crash, the same again resolves the rest."""

    history: History
    deliveries: Deliveries
    telemetry: Telemetry
    tenant: str
    by: str
    """Who decides."""

    async def count(self, doubts: Selection) -> int:
        """How many there are now."""
        return sum([len(page) async for page in self._pages(doubts)])

    async def resolve(self, doubts: Selection, ruling: Ruling, note: str) -> int:
        """Decide about each of them that still waits when it is its turn. Returns how many that were.

        What may not go again, because it has expired or was refused, is left as it is when it is to be resent. Raises
        InvalidValue for a note that is not one short line.
        """
        command = Resolve(ruling=ruling, note=note, by=self.by)
        self.telemetry.log(
            "warning",
            "operator.resolve",
            ruling=ruling,
            type=doubts.type,
            route=doubts.route,
            before=doubts.before.isoformat(),
            why=note,
            by=self.by,
        )
        resolved = 0
        async for page in self._pages(doubts):
            changed = await self.deliveries.change(page, _if_it_applies(doubts, command))
            for delivery in changed:
                count_ruling(self.telemetry, delivery)
            resolved += len(changed)
        return resolved

    async def _pages(self, doubts: Selection) -> AsyncIterator[Sequence[DeliveryKey]]:
        after = None
        while page := await self.history.doubtful(self.tenant, _PAGE, held=True, after=after):
            yield [one.delivery.key for one in page if doubts.include(one.type, one.delivery)]
            after = page[-1].delivery.key


def _if_it_applies(doubts: Selection, command: Resolve) -> Choice:
    def choose(notification: Notification, delivery: Delivery, now: datetime) -> Resolve | None:
        if not doubts.include(notification.type, delivery):
            return None
        try:
            decide(delivery, command, now)
        except IllegalTransition:
            return None
        return command

    return choose


def count_ruling(telemetry: Telemetry, resolved: Delivery) -> None:
    """Measure an operator's word about a delivery, which now stands as given."""
    telemetry.count("doubts.resolved", by="operator")
    if resolved.status is Status.PENDING and resolved.doubtful:
        telemetry.count("duplicates.possible", channel=resolved.channel)
