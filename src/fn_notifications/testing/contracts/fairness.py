"""Who goes first: the ranks that every `IntakeStore` gives. Subclass, provide the `stores` fixture."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from fn_notifications.application.ports.intake import Batch, Event, Proposal
from fn_notifications.domain.address import EMAIL
from fn_notifications.domain.catalogue import NotificationType
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.notification import Notification, Request
from fn_notifications.domain.preferences import ContactPoint, Person, UserRef
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routing import plan
from fn_notifications.testing.contracts.stores import (
    ADA,
    NEWS,
    POLICY,
    TENANT,
    Stores,
    claim,
    deciding,
    event,
    identity,
    now,
    user,
)

MANY: Final = 10_000
OFFERS: Final = NotificationType(name="offers", ttl=timedelta(days=2))
"""Of another type in the same lane and priority as NEWS."""


async def queued(stores: Stores, people: Sequence[UserRef], name: str, type_: NotificationType = NEWS) -> list[UUID]:
    """Notifications by email, due at once: one to each of these, in this order, stored in as few batches as may be."""
    at = await now(stores)
    planned = [_planned(who, f"{name}-{number}", type_, at) for number, who in enumerate(people)]
    for start in range(0, len(planned), 2000):
        events = tuple(_asking(one, type_) for one in planned[start : start + 2000])
        await stores.intake.store(Batch(tenant=TENANT, events=events))
    return [one.id for one in planned]


async def next_claimed(stores: Stores, limit: int) -> list[UUID]:
    """Whose turn it is."""
    return [lease.key.notification_id for lease in await claim(stores, EMAIL, limit)]


class FairnessContract:
    """Rules for ranks."""

    async def test_a_persons_backlog_does_not_stand_before_anothers_first(self, stores: Stores) -> None:
        """Neither when it comes, nor when half of it is done."""
        await queued(stores, [user("ada")] * MANY, "ada")
        (bea,) = await queued(stores, [user("bea")], "bea")
        assert bea in await next_claimed(stores, 2)
        await next_claimed(stores, MANY // 2)
        (cleo,) = await queued(stores, [user("cleo")], "cleo")
        assert cleo in await next_claimed(stores, 2)

    async def test_a_types_backlog_does_not_stand_before_anothers(self, stores: Stores) -> None:
        """However many people it is for; nor has a type that was silent saved up turns, to stand before it."""
        crowd = [user(f"one of {MANY}: {number}") for number in range(MANY)]
        await queued(stores, crowd, "crowd")
        (bea,) = await queued(stores, [user("bea")], "bea", OFFERS)
        assert bea in await next_claimed(stores, 2)
        await next_claimed(stores, MANY // 2)
        offers = await queued(stores, crowd[:200], "offers", OFFERS)
        taken = await next_claimed(stores, 200)
        assert 60 <= len(set(taken) & set(offers)) <= 140

    async def test_what_one_person_is_told_keeps_its_order(self, stores: Stores) -> None:
        """Within a lane and priority."""
        await queued(stores, [user("bea")] * 3, "bea")
        mine = await queued(stores, [user("ada")] * 5, "ada")
        mine += await queued(stores, [user("ada")] * 5, "ada again")
        taken = await next_claimed(stores, 100)
        assert [one for one in taken if one in mine] == mine

    async def test_nobody_is_forgotten_when_a_lane_ran_empty(self, stores: Stores) -> None:
        """What was put off keeps its rank, and it is none that newcomers stand before for ever."""
        mine = await queued(stores, [user("ada")] * 50, "ada")
        leases = await claim(stores, EMAIL, 100)
        last = [lease for lease in leases if lease.key.notification_id == mine[-1]]
        await stores.deliveries.begin([lease for lease in leases if lease not in last], deciding(_never))
        await stores.deliveries.begin(last, deciding(_in_an_hour))
        for number in range(5):
            await queued(stores, [user(f"early {number}")], f"early {number}")
            assert len(await stores.deliveries.begin(await claim(stores, EMAIL, 100), deciding(_never))) == 0
        await stores.advance(timedelta(hours=2))
        await queued(stores, [user(f"late {number}") for number in range(20)], "late")
        assert mine[-1] in await next_claimed(stores, 3)

    async def test_nobody_saves_up_turns_while_a_lane_is_empty(self, stores: Stores) -> None:
        """A type that had little to say is not ahead of one that had much, once both are done."""
        await queued(stores, [user(f"one of many {number}") for number in range(200)], "many")
        assert not await stores.deliveries.begin(await claim(stores, EMAIL, 200), deciding(_never))
        await queued(stores, [user(f"one of few {number}") for number in range(50)], "few", OFFERS)
        (bea,) = await queued(stores, [user("bea")], "bea")
        assert bea in await next_claimed(stores, 3)

    async def test_a_storm_of_retries_does_not_stand_before_a_newcomer(self, stores: Stores) -> None:
        """All of a backlog was tried and waits: whoever comes meanwhile is not behind all of it."""
        await queued(stores, [user(f"in the storm {number}") for number in range(500)], "storm")
        leases = await claim(stores, EMAIL, 500)
        assert not await stores.deliveries.begin(leases, deciding(_in_an_hour))
        (bea,) = await queued(stores, [user("bea")], "bea", OFFERS)
        held_back = await claim(stores, EMAIL, 1)
        await stores.deliveries.begin(held_back, deciding(_in_an_hour))
        await stores.advance(timedelta(hours=2))
        assert bea in await next_claimed(stores, 5)

    async def test_intakes_at_once_take_different_turns(self, stores: Stores) -> None:
        """Nobody's messages stand together because they came together."""
        names = [f"person {number}" for number in range(5)]
        batches = await asyncio.gather(*(queued(stores, [user(name)] * 20, name) for name in names))
        taken = await next_claimed(stores, 100)
        assert len(taken) == 100
        assert {batch[0] for batch in batches} <= set(taken[:15])


def _planned(who: UserRef, name: str, type_: NotificationType, at: datetime) -> Notification:
    request = Request(identity=identity(name), user=who, type=type_.name, event_at=at)
    person = Person(user=who, contacts={EMAIL: ContactPoint(channel=EMAIL, address=ADA)})
    return plan(request, type_, person, POLICY, request.event_at, chance=0.5, catalogue="test-1")


def _asking(one: Notification, type_: NotificationType) -> Event:
    asking = event("", Proposal(notification=one, window=type_.window))
    return Event(
        identity=one.identity,
        digest=asking.digest,
        type=asking.type,
        original=asking.original,
        proposals=asking.proposals,
    )


def _never(delivery: Delivery, _: datetime) -> Decision:
    return Decision.skip(delivery.channel, Reason.CHANNEL_OFF)


def _in_an_hour(delivery: Delivery, at: datetime) -> Decision:
    return Decision.defer(delivery.channel, Reason.QUIET_HOURS, at + timedelta(hours=1))
