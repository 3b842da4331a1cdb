"""The stores as their contracts see them: the ports over one database, its time, and a small world to fill it with."""

from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from attrs import frozen

from fn_notifications.application.ports.deliveries import Answer, Begun, Candidate, Deliveries, Gate, Lease
from fn_notifications.application.ports.eventlog import EventLog
from fn_notifications.application.ports.history import History, Story
from fn_notifications.application.ports.intake import (
    Batch,
    DeadEvent,
    DeadReason,
    Event,
    IntakeStore,
    Original,
    Position,
    Proposal,
    Report,
)
from fn_notifications.application.ports.people import Dossier, OptOut, People
from fn_notifications.application.ports.quarantine import DeadLetters, Quarantine
from fn_notifications.application.ports.receipts import Receipts
from fn_notifications.application.ports.routes import Routes
from fn_notifications.application.ports.storage import Storage
from fn_notifications.domain.address import EMAIL, SMS, Address, Channel, EmailAddress, PhoneNumber
from fn_notifications.domain.catalogue import InDoubt, NotificationType, Policy, Priority
from fn_notifications.domain.commands import Begin, Record
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.identity import attempt_id, digest
from fn_notifications.domain.notification import Notification, Request
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope
from fn_notifications.domain.preferences import ContactPoint, Fact, Source, UserRef, merge
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.domain.retry import RetryPolicy
from fn_notifications.domain.routing import gate, plan

TENANT: Final = "default"
POLICY: Final = Policy(zones=lambda _: UTC)
LEASE: Final = timedelta(seconds=60)
GRACE: Final = timedelta(minutes=10)

NEWS: Final = NotificationType(name="news", ttl=timedelta(days=2), in_doubt=InDoubt.RESEND)
"""Email, normal."""
BOTH: Final = NotificationType(name="both", channels=(EMAIL, SMS))
ALARM: Final = NotificationType(name="alarm", priority=Priority.URGENT, channels=(SMS,))

ADA: Final = EmailAddress("ada@example.com")
ADA_LOUD: Final = EmailAddress("ADA@example.com")
BEA: Final = EmailAddress("bea@example.com")
PHONE: Final = PhoneNumber("+15005550006")


@frozen(kw_only=True)
class Stores:
    """Every store port over one database, and the means to move its time."""

    people: People
    intake: IntakeStore
    deliveries: Deliveries
    receipts: Receipts
    eventlog: EventLog
    history: History
    storage: Storage
    routes: Routes
    quarantine: Quarantine
    dead_letters: DeadLetters
    advance: Callable[[timedelta], Awaitable[None]]
    """Move the time of the stores, and of nothing else."""


def user(name: str = "ada", tenant: str = TENANT) -> UserRef:
    """A person's key."""
    return UserRef(tenant=tenant, user_id=name)


async def now(stores: Stores) -> datetime:
    """What time it is for the stores."""
    return (await stores.people.load([])).now


async def dossier(stores: Stores, who: UserRef) -> Dossier:
    """What is held about a person."""
    return (await stores.people.load([who])).dossiers[who]


async def point(stores: Stores, who: UserRef, channel: Channel = EMAIL) -> ContactPoint:
    """A person's contact point."""
    return (await dossier(stores, who)).person.contacts[channel]


async def meet(stores: Stores, who: UserRef, /, **fields: Any) -> None:
    """Learn something of a person, later than all before; a double underscore stands for the dot in a field's name."""
    loaded = await stores.people.load([who])
    profile = loaded.dossiers[who].profile
    said = {name.replace("__", "."): value for name, value in fields.items()}
    at = max([loaded.now, *(known.at + timedelta(microseconds=1) for known in profile.fields.values())])
    await stores.people.save([merge(profile, [Fact(user=who, source=Source.USER, at=at, fields=said)])])


async def proposal(
    stores: Stores,
    who: UserRef,
    name: str,
    type_: NotificationType = NEWS,
    *,
    key: str | None = None,
    at: datetime | None = None,
    variables: dict[str, Any] | None = None,
) -> Proposal:
    """A notification as it would be planned now, for an event of this name."""
    loaded = await stores.people.load([who])
    request = Request(
        identity=identity(name),
        user=who,
        type=type_.name,
        event_at=at or loaded.now,
        key=key,
        variables=variables or {"name": name},
        metadata={"said by": "a test"},
        correlation_id=f"trace-{name}",
    )
    notification = plan(request, type_, loaded.dossiers[who].person, POLICY, loaded.now, chance=0.5, catalogue="test-1")
    return Proposal(notification=notification, window=type_.window)


def identity(name: str) -> bytes:
    """The identity of an event of this name."""
    return digest("contract", name)


def event(name: str, *proposals: Proposal, body: str = "body", offset: int = 0) -> Event:
    """An event that asks for these."""
    return Event(
        identity=identity(name),
        digest=digest(body),
        type="something.happened",
        original=original(name, offset),
        proposals=proposals,
    )


def dead(name: str, offset: int = 0) -> DeadEvent:
    """An event that could not be used."""
    return DeadEvent(reason=DeadReason.NOT_JSON, original=original(name, offset), detail="at byte 0")


def original(name: str, offset: int) -> Original:
    """An event's bytes, wherever they lay."""
    return Original(
        position=Position(topic="posts", partition=offset % 2, offset=offset),
        timestamp=datetime(2026, 1, 1, tzinfo=UTC),
        value=f"the bytes of {name}".encode(),
        key=b"key",
        headers=(("trace", b"\x00\xff"),),
    )


async def stored(stores: Stores, *events: Event) -> Report:
    """Store events as one batch."""
    return await stores.intake.store(Batch(tenant=TENANT, events=events))


async def told(
    stores: Stores, who: UserRef, name: str, type_: NotificationType = NEWS, *, key: str | None = None
) -> Notification:
    """A notification, planned and stored."""
    one = await proposal(stores, who, name, type_, key=key)
    await stored(stores, event(name, one))
    return one.notification


async def claim(
    stores: Stores, channel: Channel = EMAIL, limit: int = 100, *, worker: str = "w1", lease: timedelta = LEASE
) -> Sequence[Lease]:
    """Lease what is due on one channel."""
    return await stores.deliveries.claim({channel: limit}, worker=worker, lease=lease)


def allowing(type_: NotificationType = NEWS, route: str = "route-a") -> Gate:
    """The rules, run again."""

    def begin(candidate: Candidate, now: datetime) -> Begin:
        delivery = candidate.delivery
        contact = candidate.person.contacts.get(delivery.channel)
        decision = gate(
            type_, delivery.channel, candidate.person, POLICY, now, expires_at=delivery.expires_at, chance=0.5
        )
        return _begin(delivery, decision, route, contact.epoch if contact else 0)

    return begin


def deciding(decide: Callable[[Delivery, datetime], Decision]) -> Gate:
    """A gate that says this, whatever the rules."""
    return lambda candidate, now: _begin(candidate.delivery, decide(candidate.delivery, now), "route-a", 0)


def _begin(delivery: Delivery, decision: Decision, route: str, epoch: int) -> Begin:
    name = attempt_id(delivery.key.notification_id, delivery.key.no, len(delivery.attempts) + 1)
    return Begin(gate=decision, attempt_id=name, route=route, epoch=epoch)


async def begun(stores: Stores, channel: Channel = EMAIL, type_: NotificationType = NEWS) -> Sequence[Begun]:
    """Claim and begin what is due on one channel."""
    return await stores.deliveries.begin(await claim(stores, channel), allowing(type_))


async def on_the_wire(stores: Stores, who: UserRef | None = None, name: str = "one") -> Begun:
    """A delivery with an open attempt."""
    who = who or user()
    await meet(stores, who, email=ADA.value)
    await told(stores, who, name)
    (one,) = await begun(stores)
    return one


def answer(one: Begun, kind: OutcomeKind, *, scope: Scope = Scope.RECIPIENT, opt_out: OptOut | None = None) -> Answer:
    """What a call came to."""
    outcome = Outcome(kind=kind, scope=scope, code=f"said_{kind}", provider_id=f"p-{one.delivery.key.event_key}")
    record = Record(
        no=len(one.delivery.attempts), outcome=outcome, retry=RetryPolicy(), chance=0.5, grace=GRACE, digest="d1"
    )
    return Answer(begun=one, record=record, opt_out=opt_out)


def receipt(one: Begun, kind: ReceiptKind, key: str, **more: Any) -> Receipt:
    """A report about the last attempt of what was begun."""
    more.setdefault("at", one.delivery.attempts[-1].started_at)
    return Receipt(provider="acme", key=key, kind=kind, attempt_id=one.delivery.attempts[-1].id, **more)


def stop(address: Address, at: datetime, *, cause: str = "stop", channel: Channel = EMAIL) -> OptOut:
    """Somebody wants no more."""
    return OptOut(tenant=TENANT, channel=channel, address=address, cause=cause, at=at)


def start(address: Address, at: datetime, *, cause: str = "stop", channel: Channel = EMAIL) -> OptOut:
    """Somebody wants it again."""
    return OptOut(tenant=TENANT, channel=channel, address=address, cause=cause, at=at, lifted=True)


async def story(stores: Stores, notification: Notification) -> Story:
    """All that is known of a notification."""
    found = await stores.history.story(notification.user.tenant, notification.id)
    assert found is not None, "a stored notification has a story"
    return found


async def delivery(stores: Stores, notification: Notification, no: int = 1) -> Delivery:
    """One of its deliveries, as it stands."""
    return (await story(stores, notification)).notification.deliveries[no - 1]
