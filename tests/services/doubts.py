"""A small world in which calls go wrong: the use cases over any stores, a scripted provider, workers that die."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from attrs import Factory, define, evolve, field

from fn_notifications.adapters.memory.circuit import MemoryCircuit
from fn_notifications.adapters.memory.renderer import MemoryRenderer
from fn_notifications.application.call import Caller, Lane
from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.dispatch import Dispatch, Pace
from fn_notifications.application.doubts import Doubts
from fn_notifications.application.enquiry import Enquiry
from fn_notifications.application.ports.lookup import Lookup
from fn_notifications.application.ports.sending import Message, Sender
from fn_notifications.application.ports.telemetry import Silent, Telemetry
from fn_notifications.application.receipts import ApplyReceipts
from fn_notifications.application.switchboard import Switchboard
from fn_notifications.application.upkeep import Upkeep
from fn_notifications.domain.address import EMAIL, SMS, Channel, PhoneNumber
from fn_notifications.domain.catalogue import InDoubt, NotificationType
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.outcome import Outcome, OutcomeKind
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.testing.contracts.stores import (
    ADA,
    LEASE,
    PHONE,
    POLICY,
    Stores,
    meet,
    now,
    story,
    told,
    user,
)

RESENT = NotificationType(name="resent", channels=(SMS,), in_doubt=InDoubt.RESEND, ttl=timedelta(hours=6))
HELD = NotificationType(name="held", channels=(SMS,), ttl=timedelta(hours=24))
ALONE = NotificationType(name="alone", channels=(EMAIL, SMS), in_doubt=InDoubt.RESEND_IF_ALONE, ttl=timedelta(hours=6))
DOUBLE = evolve(RESENT, name="double", duplicates_allowed=True)
TYPES = (RESENT, HELD, ALONE, DOUBLE)
ACCOUNT = "acme"
ACCEPTED = Outcome(kind=OutcomeKind.ACCEPTED, provider_id="p-1")


class Died(Exception):
    """The process is gone: whatever it still does reaches nobody."""


@define
class Mortal:
    """A port of a process that dies: right before, or right after, a named call of it."""

    port: Any
    before: str | None = None
    after: str | None = None
    dead: bool = False

    def __getattr__(self, name: str) -> Callable[..., Awaitable[Any]]:
        async def call(*args: Any, **kwargs: Any) -> Any:
            if self.dead or name == self.before:
                self.dead = True
                raise Died
            result = await getattr(self.port, name)(*args, **kwargs)
            if name == self.after:
                self.dead = True
                raise Died
            return result

        return call


@define
class Provider:
    """Does with each call what it was told to, then accepts. A call may be a function: what happens during it."""

    script: list[Outcome | Callable[[Message], Awaitable[Outcome]]] = field(factory=list)
    taken: list[Message] = field(factory=list)
    calls: int = 0

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        (message,) = messages
        self.calls += 1
        await asyncio.sleep(0)
        said = self.script.pop(0) if self.script else ACCEPTED
        if not isinstance(said, Outcome):
            return [await said(message)]
        if said.kind is OutcomeKind.ACCEPTED:
            self.taken.append(message)
        return [said]

    async def takes_and_says_nothing(self, message: Message) -> Outcome:
        """Accepted; the answer is lost on the way."""
        self.taken.append(message)
        return Outcome(kind=OutcomeKind.IN_DOUBT, code="disconnected")


@define(kw_only=True)
class World:
    """People, a provider or two, and the use cases over the stores."""

    stores: Stores
    started: datetime
    provider: Provider = field(factory=Provider)
    senders: Mapping[str, Sender] = field(
        default=Factory(lambda self: {f"{ACCOUNT}/sms": self.provider}, takes_self=True)
    )
    lookups: Mapping[str, Lookup] = field(factory=dict)
    telemetry: Telemetry = field(factory=Silent)
    text: str = "It is about {name}."
    deadline: float = 10.0
    """Seconds for a round of questions."""
    ahead: timedelta = timedelta()
    doubts: Doubts = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.doubts = Doubts(policy=POLICY, receipts=self.stores.receipts, askable=frozenset(self.lookups))

    @property
    def catalogue(self) -> Catalogue:
        return Catalogue(version="test-1", types={one.name: one for one in TYPES}, events={}, variables={})

    @property
    def renderer(self) -> MemoryRenderer:
        return MemoryRenderer({one.name: {"subject": "About {name}", "text": self.text} for one in TYPES})

    async def advance(self, **span: float) -> None:
        """Let time pass, for the stores and for the processes."""
        self.ahead += timedelta(**span)
        await self.stores.advance(timedelta(**span))

    def clock(self) -> datetime:
        return self.started + self.ahead

    async def told(
        self, type_: NotificationType = RESENT, name: str = "one", *, phone: PhoneNumber = PHONE, who: str = "ada"
    ) -> Notification:
        """A notification to Ada, or somebody else, due now."""
        await meet(self.stores, user(who), email=ADA.value, phone=phone.value)
        return await told(self.stores, user(who), name, type_)

    async def reports(self, account: str = ACCOUNT) -> None:
        """The account has sent a report before: from now on its doubts have a grace."""
        first = Receipt(provider=account, key="first", kind=ReceiptKind.ACCEPTED, at=self.clock())
        await self.stores.receipts.receive([first])
        await self.apply()
        await self.doubts.look()

    def lanes(self) -> Mapping[Channel, Mapping[str, Sender]]:
        """Each channel's routes."""
        lanes: dict[Channel, dict[str, Sender]] = {EMAIL: {}, SMS: {}}
        for route, sender in self.senders.items():
            lanes[Channel(route.partition("/")[2])][route] = sender
        return lanes

    def dispatch(self, worker: str = "w1", *, deliveries: Any = None, pace: Pace | None = None) -> Dispatch:
        """A worker's dispatcher."""
        lanes = self.lanes()
        switchboard = Switchboard(
            routes=self.stores.routes,
            lanes={one: Lane(channel=one, routes=routes, deadline=20) for one, routes in lanes.items() if routes},
            circuit=MemoryCircuit(),
            catalogue=self.catalogue,
            policy=POLICY,
            telemetry=self.telemetry,
            chance=lambda: 0.5,
            clock=self.clock,
        )
        caller = Caller(
            renderer=self.renderer, policy=POLICY, telemetry=self.telemetry, chance=lambda: 0.5, doubts=self.doubts
        )
        return Dispatch(
            deliveries=deliveries or self.stores.deliveries,
            switchboard=switchboard,
            caller=caller,
            telemetry=self.telemetry,
            worker=worker,
            pace=pace or Pace(lease=LEASE),
        )

    async def die(self, *, before: str | None = None, after: str | None = None) -> None:
        """A worker sends what is due and dies at this point of it."""
        mortal = Mortal(self.stores.deliveries, before=before, after=after)
        with suppress(Died):
            await self.dispatch("doomed", deliveries=mortal).once()
        assert mortal.dead

    async def apply(self) -> int:
        """Apply the reports that came."""
        apply = ApplyReceipts(receipts=self.stores.receipts, telemetry=self.telemetry, ask_after=self.doubts.ask_after)
        return await apply.step()

    def enquiry(self) -> Enquiry:
        """Whoever asks the providers."""
        return Enquiry(
            lookups=self.lookups,
            history=self.stores.history,
            people=self.stores.people,
            renderer=self.renderer,
            telemetry=self.telemetry,
            deadline=self.deadline,
        )

    async def upkeep(self, deliveries: Any = None) -> int:
        """One round of upkeep."""
        upkeep = Upkeep(
            deliveries=deliveries or self.stores.deliveries,
            routes=self.stores.routes,
            lanes={channel: tuple(routes) for channel, routes in self.lanes().items()},
            catalogue=self.catalogue,
            policy=POLICY,
            telemetry=self.telemetry,
            doubts=self.doubts,
            enquiry=self.enquiry(),
        )
        return await upkeep.once()

    async def drain(self) -> None:
        """Everything that can be done now."""
        dispatch = self.dispatch("w2")
        while await dispatch.once() or await self.apply() or await self.upkeep():
            pass

    async def report(self, message: Message, kind: ReceiptKind = ReceiptKind.DELIVERED) -> None:
        """The provider posts what became of a message."""
        id_ = message.attempt_id
        receipt = Receipt(provider=ACCOUNT, key=f"{id_}-{kind}", kind=kind, at=self.clock(), attempt_id=id_)
        await self.stores.receipts.receive([receipt])

    async def stop(self) -> None:
        """Ada texts STOP."""
        kind = ReceiptKind.OPTED_OUT
        stop = Receipt(provider=ACCOUNT, key="stop", kind=kind, at=self.clock(), channel=SMS, address=PHONE)
        await self.stores.receipts.receive([stop])
        await self.apply()

    async def state(self, notification: Notification, no: int = 1) -> Delivery:
        """A delivery as it stands."""
        return (await story(self.stores, notification)).notification.deliveries[no - 1]

    async def changes(self, notification: Notification) -> list[str]:
        """The names of its second thoughts."""
        return [change.event for change in (await story(self.stores, notification)).changes]


async def world_over(stores: Stores, **more: Any) -> World:
    """A world whose processes' clock is the stores'."""
    return World(stores=stores, started=await now(stores), **more)
