"""What every `Deliveries` store keeps to. Subclass, provide the `stores` fixture, and pytest runs the rules."""

import asyncio
from datetime import datetime, timedelta
from typing import Any

from fn_notifications.application.ports.deliveries import Begun
from fn_notifications.domain.address import EMAIL, SMS, EmailAddress
from fn_notifications.domain.commands import Cancel, Command, Remedy, Rescue, Settle
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.events import Evidence
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.outcome import OutcomeKind, Scope
from fn_notifications.domain.preferences import UserRef
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.contracts.stores import (
    ADA,
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
    delivery,
    meet,
    now,
    on_the_wire,
    point,
    start,
    stop,
    story,
    told,
    user,
)

SECOND = timedelta(seconds=1)


class DeliveriesContract:
    """Rules for what becomes of a delivery."""

    async def test_an_attempt_is_stored_before_it_is_returned(self, stores: Stores) -> None:
        """With all that a call needs: address, variables, the attempt and the epoch it was allowed under."""
        one = await on_the_wire(stores)
        contact = await point(stores, user())
        (attempt,) = one.delivery.attempts
        assert (attempt.no, attempt.route, attempt.evidence) == (1, "route-a", Evidence.OPEN)
        assert (attempt.epoch, one.person.contacts[EMAIL].address) == (contact.epoch, ADA)
        assert (one.notification.variables, one.notification.type) == ({"name": "one"}, NEWS.name)
        assert one.delivery.status is Status.SENDING
        assert await delivery(stores, one.notification) == one.delivery

    async def test_an_opt_out_before_the_call_is_seen(self, stores: Stores) -> None:
        """Suppressed after it was planned and leased: skipped, with its reason."""
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        leases = await claim(stores)
        await stores.people.suppress([stop(ADA, await now(stores))])
        assert not await stores.deliveries.begin(leases, allowing())
        state = await delivery(stores, one)
        assert (state.status, state.reason, state.attempts) == (Status.SKIPPED, Reason.SUPPRESSED, ())
        (change,) = (await story(stores, one)).changes
        assert (change.delivery_no, change.event, change.reason) == (1, "skipped", Reason.SUPPRESSED)

    async def test_every_word_of_the_person_is_seen(self, stores: Stores) -> None:
        """Switch, global switch, choice per type, a new address: as they stand when the call starts."""
        said: tuple[tuple[dict[str, Any], Reason], ...] = (
            ({"enabled__email": False}, Reason.CHANNEL_OFF),
            ({"global_enabled": False}, Reason.GLOBAL_OFF),
            ({"channels__news": []}, Reason.TYPE_OFF),
            ({"email": None}, Reason.NO_CONTACT),
        )
        for number, (word, reason) in enumerate(said):
            who = user(f"user{number}")
            await meet(stores, who, email=f"user{number}@example.com")
            one = await told(stores, who, f"n{number}")
            leases = await claim(stores)
            await meet(stores, who, **word)
            assert not await stores.deliveries.begin(leases, allowing())
            assert (await delivery(stores, one)).reason is reason

    async def test_no_opt_out_is_ever_overtaken(self, stores: Stores) -> None:
        """At the very same moment: either the call is skipped, or it was allowed under an older epoch."""
        for number in range(20):
            who, address = user(f"user{number}"), f"user{number}@example.com"
            await meet(stores, who, email=address)
            one = await told(stores, who, f"n{number}")
            leases = await claim(stores)
            word = stop(EmailAddress(address), await now(stores))
            await asyncio.gather(stores.deliveries.begin(leases, allowing()), stores.people.suppress([word]))
            state, contact = await delivery(stores, one), await point(stores, who)
            assert contact.suppression is not None
            if state.attempts:
                assert state.attempts[0].epoch < contact.epoch
            else:
                assert state.reason is Reason.SUPPRESSED

    async def test_a_cap_counts_sends_also_within_one_wave(self, stores: Stores) -> None:
        """The second of two is deferred until the window of the first is over."""
        await meet(stores, user(), email=ADA.value, cap__email={"count": 1, "window_s": 600})
        for name in ("one", "two"):
            await told(stores, user(), name)
        assert len(await begun(stores)) == 1
        assert len((await point(stores, user())).recent) == 1
        await stores.advance(timedelta(minutes=9))
        assert not await begun(stores)
        await stores.advance(timedelta(minutes=2))
        assert len(await begun(stores)) == 1

    async def test_an_answer_is_written_and_told_once(self, stores: Stores) -> None:
        """Settled, told to the outside; the same answer again changes nothing and tells nothing."""
        one = await on_the_wire(stores)
        accepted = answer(one, OutcomeKind.ACCEPTED)
        (state,) = await stores.deliveries.finish([accepted])
        assert (state.status, state.attempts[0].provider_id) == (Status.SENT, accepted.record.outcome.provider_id)
        assert await stores.deliveries.finish([accepted]) == [state]
        assert await delivery(stores, one.notification) == state
        (entry,) = await stores.eventlog.take("relay", 10)
        assert (entry.id, entry.data["status"]) == (f"{state.key.event_key}-v{state.version}", "sent")
        await stores.advance(timedelta(days=1))
        assert not await stores.deliveries.overdue(10)
        assert not await claim(stores)

    async def test_answers_of_many_come_back_in_order(self, stores: Stores) -> None:
        """Each delivery gets its own."""
        await meet(stores, user(), email=ADA.value)
        for number in range(6):
            await told(stores, user(), f"n{number}")
        wave = await begun(stores)
        kinds = [OutcomeKind.ACCEPTED, OutcomeKind.REFUSED, OutcomeKind.UNSENT] * 2
        states = await stores.deliveries.finish([answer(one, kind) for one, kind in zip(wave, kinds, strict=True)])
        assert [state.key for state in states] == [one.lease.key for one in wave]
        assert [state.status for state in states] == [Status.SENT, Status.FAILED, Status.PENDING] * 2

    async def test_what_was_not_sent_is_tried_again_after_its_delay(self, stores: Stores) -> None:
        """Pending, due when the rule said."""
        one = await on_the_wire(stores)
        (state,) = await stores.deliveries.finish([answer(one, OutcomeKind.UNSENT)])
        assert (state.status, state.reason) == (Status.PENDING, Reason.RETRY)
        assert not await claim(stores)
        await stores.advance(timedelta(seconds=2))
        (again,) = await begun(stores)
        assert again.delivery.attempts[-1].no == 2

    async def test_a_late_answer_is_still_evidence(self, stores: Stores) -> None:
        """Rescued while the worker only slept: what it comes back with clears up the doubt."""
        one = await on_the_wire(stores)
        await stores.advance(LEASE + SECOND)
        await stores.deliveries.change([one.delivery.key], lambda *_: Rescue(grace=GRACE))
        (state,) = await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        assert state.status is Status.SENT
        await stores.advance(GRACE + SECOND)
        assert not await stores.deliveries.overdue(10)

    async def test_a_late_answer_takes_nothing_from_the_new_holder(self, stores: Stores) -> None:
        """The delivery was resent and leased to another worker meanwhile: the lease stands."""
        one = await on_the_wire(stores)
        await stores.deliveries.finish([answer(one, OutcomeKind.IN_DOUBT)])
        await stores.deliveries.change([one.delivery.key], lambda *_: Settle(remedy=Remedy.RESEND))
        leases = await claim(stores, worker="w2")
        await stores.deliveries.finish([answer(one, OutcomeKind.UNSENT, scope=Scope.ROUTE)])
        assert not await claim(stores, worker="w3")
        (again,) = await stores.deliveries.begin(leases, allowing())
        assert [attempt.evidence for attempt in again.delivery.attempts] == [Evidence.UNSENT, Evidence.OPEN]
        await stores.deliveries.finish([answer(one, OutcomeKind.UNSENT, scope=Scope.ROUTE)])
        assert not await claim(stores, worker="w3")
        (state,) = await stores.deliveries.finish([answer(again, OutcomeKind.ACCEPTED)])
        assert state.status is Status.SENT

    async def test_an_answer_may_suppress(self, stores: Stores) -> None:
        """The provider knows of an opt-out we missed: with the answer, not some time after it."""
        one = await on_the_wire(stores)
        word = stop(ADA, await now(stores))
        (state,) = await stores.deliveries.finish([answer(one, OutcomeKind.OPTED_OUT, opt_out=word)])
        assert (state.status, state.reason) == (Status.FAILED, Reason.OPTED_OUT)
        assert (await point(stores, user())).suppression

    async def test_a_change_is_decided_on_the_whole_notification(self, stores: Stores) -> None:
        """With all its deliveries as they stand; a choice of nothing leaves it alone; strangers are passed over."""
        one = await _both(stores, user())
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        seen: dict[int, tuple[list[Status | None], datetime]] = {}

        def choose(notification: Notification, state: Delivery, at: datetime) -> Command | None:
            seen[state.key.no] = ([each.status for each in notification.deliveries], at)
            return Cancel() if state.channel == SMS else None

        keys = [each.key for each in one.notification.deliveries]
        stranger = DeliveryKey(tenant="elsewhere", notification_id=keys[0].notification_id, no=1)
        changed = await stores.deliveries.change([*keys, stranger], choose)
        assert [(state.key, state.status) for state in changed] == [(keys[1], Status.CANCELLED)]
        assert {no: statuses for no, (statuses, _) in seen.items()} == {
            1: [Status.SENT, Status.PENDING],
            2: [Status.SENT, Status.PENDING],
        }

    async def test_changes_at_once_are_decided_one_after_the_other(self, stores: Stores) -> None:
        """Each sees the other's: a thing is cancelled once, and told of once."""
        await meet(stores, user(), email=ADA.value)
        one = await told(stores, user(), "one")
        key = one.deliveries[0].key
        rounds = await asyncio.gather(*(stores.deliveries.change([key], lambda *_: Cancel()) for _ in range(8)))
        assert sum(len(changed) for changed in rounds) == 1
        assert (await delivery(stores, one)).version == 2

    async def test_a_lifted_opt_out_is_seen_too(self, stores: Stores) -> None:
        """Back in before the call: it goes out."""
        await meet(stores, user(), email=ADA.value)
        await told(stores, user(), "one")
        at = await now(stores)
        await stores.people.suppress([stop(ADA, at)])
        await stores.people.suppress([start(ADA, at + SECOND)])
        assert len(await begun(stores)) == 1


async def _both(stores: Stores, who: UserRef) -> Begun:
    """A notification by email and sms, its email on the wire."""
    await meet(stores, who, email=ADA.value, phone=PHONE.value)
    await told(stores, who, "both", BOTH)
    (one,) = await begun(stores, type_=BOTH)
    return one
