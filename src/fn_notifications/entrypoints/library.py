"""The whole engine in one process's memory: for library users, tests and trying things out.

Everything the service does, but nothing is kept and nothing leaves the process. Needs the base install only.
"""

import random
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from attrs import define, field

from fn_notifications.adapters.memory.addresses import StrictAddresses
from fn_notifications.adapters.memory.circuit import MemoryCircuit
from fn_notifications.adapters.memory.renderer import MemoryRenderer
from fn_notifications.adapters.memory.sending import MemoryMailbox, MemorySender
from fn_notifications.adapters.memory.store import MemoryStore
from fn_notifications.adapters.zones.tz import zone
from fn_notifications.application.call import Caller, Lane
from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.dispatch import Dispatch
from fn_notifications.application.doubts import Doubts
from fn_notifications.application.enquiry import Enquiry
from fn_notifications.application.intake import Intake
from fn_notifications.application.ports.lookup import Lookup
from fn_notifications.application.ports.sending import Sender
from fn_notifications.application.ports.telemetry import Silent, Telemetry
from fn_notifications.application.preferences import PreferencesFormat
from fn_notifications.application.receipts import ApplyReceipts
from fn_notifications.application.service import Notifications
from fn_notifications.application.switchboard import Switchboard
from fn_notifications.application.upkeep import Upkeep
from fn_notifications.domain.address import Channel
from fn_notifications.domain.catalogue import NotificationType, Policy


def _now() -> datetime:
    return datetime.now(UTC)


def _as_given(value: Any) -> Any:
    return value


@define(kw_only=True)
class MemoryEngine:
    """An engine for `types`, whose texts are in `templates` (see `MemoryRenderer`).

    `senders` replaces the mailbox that otherwise receives a channel's messages. `clock` is all the time there is.
    """

    types: Sequence[NotificationType]
    templates: Mapping[str, Mapping[str, str]]
    clock: Callable[[], datetime] = _now
    chance: Callable[[], float] = random.random
    senders: Mapping[Channel, Sender] = field(factory=dict)
    batches: Mapping[Channel, int] = field(factory=dict)
    """How many messages share a call at most, for each of `senders` that takes several."""
    lookups: Mapping[str, Lookup] = field(factory=dict)
    """Who can be asked what became of a message, by route: `memory/email` and so on."""
    telemetry: Telemetry = field(factory=Silent)
    policy: Policy = Policy(zones=zone)
    store: MemoryStore = field(init=False)
    mailbox: MemoryMailbox = field(init=False)
    notifications: Notifications = field(init=False)
    dispatch: Dispatch = field(init=False)
    receipts: ApplyReceipts = field(init=False)
    upkeep: Upkeep = field(init=False)
    doubts: Doubts = field(init=False)

    def __attrs_post_init__(self) -> None:
        catalogue = Catalogue(
            version="memory",
            types={type_.name: type_ for type_ in self.types},
            events={},
            variables={
                type_.name: dict.fromkeys((*type_.required, *type_.optional), _as_given) for type_ in self.types
            },
        )
        self.store = MemoryStore(clock=self.clock, channels=self.policy.channels)
        self.mailbox = MemoryMailbox()
        intake = Intake(
            catalogue=catalogue,
            people=self.store.people,
            store=self.store.intake,
            policy=self.policy,
            telemetry=self.telemetry,
            chance=self.chance,
        )
        lanes = {channel: (f"memory/{channel}",) for channel in self.policy.channels}
        self.notifications = Notifications(
            intake=intake,
            people=self.store.people,
            deliveries=self.store.deliveries,
            history=self.store.history,
            routes=self.store.routes,
            lanes=lanes,
            preferences=PreferencesFormat(
                addresses=StrictAddresses(), policy=self.policy, types=frozenset(catalogue.types)
            ),
        )
        renderer = MemoryRenderer(self.templates, {type_.name: type_.optional for type_ in self.types})
        self.doubts = Doubts(policy=self.policy, askable=frozenset(self.lookups))
        self.dispatch = Dispatch(
            deliveries=self.store.deliveries,
            switchboard=Switchboard(
                routes=self.store.routes,
                lanes={channel: self._lane(channel) for channel in self.policy.channels},
                circuit=MemoryCircuit(),
                catalogue=catalogue,
                policy=self.policy,
                telemetry=self.telemetry,
                chance=self.chance,
                clock=self.clock,
            ),
            caller=Caller(
                renderer=renderer,
                policy=self.policy,
                telemetry=self.telemetry,
                chance=self.chance,
                doubts=self.doubts,
            ),
            telemetry=self.telemetry,
            worker="memory",
        )
        self.receipts = ApplyReceipts(
            receipts=self.store.receipts, telemetry=self.telemetry, ask_after=self.doubts.ask_after
        )
        self.upkeep = Upkeep(
            deliveries=self.store.deliveries,
            routes=self.store.routes,
            lanes=lanes,
            catalogue=catalogue,
            policy=self.policy,
            telemetry=self.telemetry,
            doubts=self.doubts,
            enquiry=Enquiry(
                lookups=self.lookups,
                history=self.store.history,
                people=self.store.people,
                renderer=renderer,
                telemetry=self.telemetry,
            ),
        )

    def _lane(self, channel: Channel) -> Lane:
        sender = self.senders.get(channel) or MemorySender(self.mailbox, channel, self.clock)
        route = f"memory/{channel}"
        return Lane(channel=channel, routes={route: sender}, batches={route: self.batches.get(channel, 1)})

    async def run(self) -> None:
        """Send what is due now, apply reports, rescue and settle, until there is nothing left to do at this moment."""
        while await self.dispatch.once() or (await self.receipts.once()).applied or await self.upkeep.once():
            pass
