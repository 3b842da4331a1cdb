"""Sends a route whose messages arrive late behind the others of its channel, and takes it back."""

from collections.abc import Mapping, Sequence

from attrs import frozen

from fn_notifications.application.ports.routes import Routes
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.address import Channel
from fn_notifications.domain.slowness import judged


@frozen(kw_only=True)
class Slowness:
    """Looks at the channels that have a choice."""

    routes: Routes
    lanes: Mapping[Channel, Sequence[str]]
    """The routes of each channel."""
    telemetry: Telemetry

    async def once(self) -> int:
        """One round, one change per channel at most. Always 0: there is nothing more to do before the next."""
        for channel, routes in self.lanes.items():
            change = await self.routes.weigh(routes, judged) if len(routes) > 1 else None
            if change:
                route, demotion = change
                to = "slow" if demotion.times else "fast"
                self.telemetry.count("routes.weighed", channel=channel, to=to)
                self.telemetry.log("warning", f"route.{to}", what=route, until=demotion.until.isoformat())
        return 0
