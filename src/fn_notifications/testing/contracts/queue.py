"""Who may work on what: the leases of every `Deliveries` store. Subclass, provide the `stores` fixture."""

import asyncio
from datetime import timedelta

from fn_notifications.domain.address import EMAIL, SMS
from fn_notifications.domain.commands import Cancel, Expire, Remedy, Rescue, Settle
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.events import Evidence
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.contracts.stores import (
    ADA,
    ALARM,
    BOTH,
    GRACE,
    LEASE,
    NEWS,
    PHONE,
    Stores,
    allowing,
    answer,
    begun,
    claim,
    deciding,
    delivery,
    meet,
    on_the_wire,
    story,
    told,
    user,
)

SECOND = timedelta(seconds=1)


class QueueContract:
    """Rules for leases."""

    async def test_what_is_due_is_leased_per_channel_up_to_the_limit(self, stores: Stores) -> None:
        """No more than was asked for, nothing of another channel, nothing twice."""
        await meet(stores, user(), email=ADA.value, phone=PHONE.value)
        notifications = [await told(stores, user(), f"n{number}", BOTH) for number in range(3)]
        first = await stores.deliveries.claim({EMAIL: 2, SMS: 1}, worker="w1", lease=LEASE)
        second = await stores.deliveries.claim({EMAIL: 9}, worker="w2", lease=LEASE)
        assert sorted(lease.channel for lease in first) == [EMAIL, EMAIL, SMS]
        assert [lease.channel for lease in second] == [EMAIL]
        emails = {lease.key for lease in (*first, *second) if lease.channel == EMAIL}
        assert emails == {one.deliveries[0].key for one in notifications}
        assert not await claim(stores)

    async def test_nothing_is_leased_before_its_time(self, stores: Stores) -> None:
        """A deferred delivery is due when it said, by the time of the store."""
        await meet(stores, user(), email=ADA.value)
        await told(stores, user(), "one")
        later = deciding(lambda one, at: Decision.defer(one.channel, Reason.QUIET_HOURS, at + timedelta(hours=1)))
        assert not await stores.deliveries.begin(await claim(stores), later)
        await stores.advance(timedelta(minutes=59))
        assert not await claim(stores)
        await stores.advance(timedelta(minutes=2))
        assert len(await claim(stores)) == 1

    async def test_the_urgent_go_first_then_everybody_in_turn(self, stores: Stores) -> None:
        """By priority; within it nobody's second before anybody's first; then the longest due."""
        for name in ("ada", "bea"):
            await meet(stores, user(name), phone=PHONE.value, email=ADA.value)
        order = {}
        for who, name in (("ada", "a1"), ("ada", "a2"), ("ada", "a3"), ("bea", "b1")):
            one = await told(stores, user(who), name, BOTH)
            order[one.deliveries[1].key] = name
            await stores.advance(SECOND)
        urgent = await told(stores, user("ada"), "urgent", ALARM)
        order |= {one.key: "urgent" for one in urgent.deliveries if one.channel == SMS}
        turns = [order[(await claim(stores, SMS, 1))[0].key] for _ in range(5)]
        assert turns == ["urgent", "a1", "b1", "a2", "a3"]

    async def test_no_two_workers_hold_one_delivery(self, stores: Stores) -> None:
        """However many claim at once."""
        await meet(stores, user(), email=ADA.value)
        for number in range(40):
            await told(stores, user(), f"n{number}")
        rounds = [[claim(stores, limit=3, worker=f"w{n}") for n in range(10)] for _ in range(2)]
        leases = [lease for batch in rounds for taken in await asyncio.gather(*batch) for lease in taken]
        leases += await claim(stores)
        assert len(leases) == 40
        assert len({lease.key for lease in leases}) == 40

    async def test_a_dead_lease_is_due_again_under_a_newer_token(self, stores: Stores) -> None:
        """Its holder died before anything began: simply due, nothing to rescue."""
        await meet(stores, user(), email=ADA.value)
        await told(stores, user(), "one")
        (first,) = await claim(stores)
        assert not await claim(stores)
        await stores.advance(LEASE + SECOND)
        assert not await stores.deliveries.overdue(10)
        (second,) = await claim(stores, worker="w2")
        assert (second.key, second.token > first.token) == (first.key, True)

    async def test_a_released_lease_is_due_at_once(self, stores: Stores) -> None:
        """And cannot be begun any more; one that passed to somebody else is not theirs to release."""
        await meet(stores, user(), email=ADA.value)
        await told(stores, user(), "one")
        first = await claim(stores)
        await stores.deliveries.release(first)
        second = await claim(stores, worker="w2")
        assert len(second) == 1
        await stores.deliveries.release(first)
        assert not await claim(stores)
        assert not await stores.deliveries.begin(first, allowing())
        assert len(await stores.deliveries.begin(second, allowing())) == 1
        await stores.deliveries.release(second)
        assert not await claim(stores)

    async def test_a_lost_lease_begins_nothing(self, stores: Stores) -> None:
        """A worker that slept past its lease is passed over, whether or not somebody took its place."""
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        first = await claim(stores)
        await stores.advance(LEASE + SECOND)
        assert not await stores.deliveries.begin(first, allowing())
        second = await claim(stores, worker="w2")
        assert not await stores.deliveries.begin(first, allowing())
        assert (await delivery(stores, one)).attempts == ()
        assert len(await stores.deliveries.begin(second, allowing())) == 1

    async def test_a_lease_begins_once(self, stores: Stores) -> None:
        """The same lease again, at the same moment or later, begins nothing."""
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        leases = await claim(stores)
        waves = await asyncio.gather(*(stores.deliveries.begin(leases, allowing()) for _ in range(5)))
        assert sum(len(wave) for wave in waves) == 1
        assert not await stores.deliveries.begin(leases, allowing())
        assert len((await delivery(stores, one)).attempts) == 1

    async def test_what_ended_meanwhile_is_passed_over(self, stores: Stores) -> None:
        """Cancelled between claim and begin."""
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        leases = await claim(stores)
        await stores.deliveries.change([one.deliveries[0].key], lambda *_: Cancel())
        assert not await stores.deliveries.begin(leases, allowing())
        assert (await delivery(stores, one)).status is Status.CANCELLED

    async def test_a_dead_lease_with_an_open_attempt_is_overdue(self, stores: Stores) -> None:
        """Not while the lease lives; rescued, it is in doubt until the grace is over, and overdue again then."""
        one = await on_the_wire(stores)
        key = one.delivery.key
        assert not await stores.deliveries.overdue(10)
        await stores.advance(LEASE + SECOND)
        assert not await claim(stores)
        assert await stores.deliveries.overdue(10) == [key]
        (state,) = await stores.deliveries.change([key], lambda *_: Rescue(grace=GRACE))
        assert (state.status, state.attempts[0].evidence) == (Status.IN_DOUBT, Evidence.IN_DOUBT)
        assert not await stores.deliveries.overdue(10)
        await stores.advance(GRACE + SECOND)
        assert await stores.deliveries.overdue(10) == [key]

    async def test_what_waits_past_its_time_is_found_though_nobody_claims_it(self, stores: Stores) -> None:
        """From the moment it expires, whether due, asleep or under a dead lease; not under a living one; once."""
        await meet(stores, user(), email=ADA.value)
        due = await told(stores, user(), "due")
        await stores.advance(SECOND)
        asleep = await told(stores, user(), "asleep")
        (first, second) = await claim(stores)
        later = deciding(lambda one, _: Decision.defer(one.channel, Reason.QUIET_HOURS, one.expires_at))
        assert not await stores.deliveries.begin([second], later)
        await stores.deliveries.release([first])
        (held,) = await claim(stores, lease=NEWS.ttl + LEASE)
        assert not await stores.deliveries.outlived(10)
        await stores.advance(NEWS.ttl - SECOND / 2)
        assert not await stores.deliveries.outlived(10)
        await stores.advance(SECOND)
        assert await stores.deliveries.outlived(10) == [asleep.deliveries[0].key]
        await stores.deliveries.release([held])
        assert await stores.deliveries.outlived(10) == [due.deliveries[0].key, asleep.deliveries[0].key]
        assert await stores.deliveries.outlived(1) == [due.deliveries[0].key]
        keys = await stores.deliveries.outlived(10)
        expired = await stores.deliveries.change(keys, lambda *_: Expire())
        assert {(one.status, one.reason) for one in expired} == {(Status.EXPIRED, Reason.EXPIRED)}
        assert [(one.event, one.reason) for one in (await story(stores, due)).changes] == [("expired", None)]
        assert not await stores.deliveries.outlived(10)
        assert not await claim(stores)

    async def test_what_is_leased_and_dead_is_found_past_its_time_too(self, stores: Stores) -> None:
        """And what has a call on the wire, or is in doubt, is not for this."""
        one = await on_the_wire(stores)
        two = await told(stores, user(), "two")
        await claim(stores)
        await stores.advance(NEWS.ttl + SECOND)
        assert await stores.deliveries.outlived(10) == [two.deliveries[0].key]
        await stores.deliveries.change([one.delivery.key], lambda *_: Rescue(grace=GRACE))
        assert await stores.deliveries.outlived(10) == [two.deliveries[0].key]

    async def test_a_settled_doubt_is_resent_once(self, stores: Stores) -> None:
        """Due again at once; the second doubt waits for an operator, until it expires."""
        one = await on_the_wire(stores)
        key = one.delivery.key
        await stores.deliveries.finish([answer(one, OutcomeKind.IN_DOUBT)])
        await stores.deliveries.change([key], lambda *_: Settle(remedy=Remedy.RESEND))
        (again,) = await begun(stores)
        assert [attempt.no for attempt in again.delivery.attempts] == [1, 2]
        await stores.deliveries.finish([answer(again, OutcomeKind.IN_DOUBT)])
        (held,) = await stores.deliveries.change([key], lambda *_: Settle(remedy=Remedy.RESEND))
        assert (held.status, held.due_at) == (Status.IN_DOUBT, held.expires_at)
        assert not await claim(stores)
