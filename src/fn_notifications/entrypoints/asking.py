"""Which providers can be asked what became of a message, and what follows from that for doubts."""

from collections.abc import Mapping

from attrs import define, field

from fn_notifications.adapters.postgres.store import PostgresStore
from fn_notifications.application.doubts import Doubts, measure_doubts
from fn_notifications.application.enquiry import Enquiry
from fn_notifications.application.ports.lookup import Lookup
from fn_notifications.application.ports.sending import Renderer
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import Policy
from fn_notifications.entrypoints.providers.context import Context
from fn_notifications.entrypoints.registry import provider


@define(kw_only=True)
class Asking:
    """What a process's dispatcher, receipts and upkeep share about doubts."""

    context: Context
    stores: PostgresStore
    renderer: Renderer
    policy: Policy
    lookups: Mapping[str, Lookup] = field(init=False)
    doubts: Doubts = field(init=False)

    def __attrs_post_init__(self) -> None:
        # A command that runs no loop asks nobody, and need not have the providers' credentials.
        lanes = self.context.settings.lanes if self.context.settings.roles else {}
        named = [(name, channel) for channel, lane in lanes.items() if lane.on for name in lane.adapters]
        found = {f"{name}/{channel}": _lookup(self.context, name, channel) for name, channel in named}
        self.lookups = {route: lookup for route, lookup in found.items() if lookup is not None}
        self.doubts = Doubts(policy=self.policy, receipts=self.stores.receipts, askable=frozenset(self.lookups))

    def enquiry(self) -> Enquiry:
        """Asks what these providers know."""
        return Enquiry(
            lookups=self.lookups,
            history=self.stores.history,
            people=self.stores.people,
            renderer=self.renderer,
            telemetry=self.context.telemetry,
        )

    async def look(self) -> int:
        """See which providers have begun to report, for those who write answers down. A loop's step."""
        await self.doubts.look()
        return 0

    async def measure(self) -> int:
        """Say how much is in doubt. A loop's step."""
        await measure_doubts(self.stores.history, self.context.settings.tenant, self.policy, self.context.telemetry)
        return 0


def _lookup(context: Context, name: str, channel: Channel) -> Lookup | None:
    """A provider of another package need not say whether it can be asked."""
    making = getattr(provider(name), "lookup", None)
    lookup: Lookup | None = making(context, channel) if making else None
    return lookup
