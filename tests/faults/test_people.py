"""Faults in what is held about people: spellings of an address, words out of order, clocks nobody knows."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, time, timedelta
from itertools import permutations
from zoneinfo import ZoneInfo

import pytest
from tests.services.intakes import POLICY, Desk, claimed
from tests.services.stores import memory_stores, postgres_stores

from fn_notifications.adapters.addresses.canonical import CanonicalAddresses
from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.application.ports.people import OptOut
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Address, Channel, PhoneNumber
from fn_notifications.domain.catalogue import NotificationType, Policy, Priority
from fn_notifications.domain.decision import Verdict
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.preferences import ContactPoint, Person
from fn_notifications.domain.quiet_hours import QuietHours
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routing import gate
from fn_notifications.testing.contracts.stores import (
    ADA,
    NEWS,
    TENANT,
    Stores,
    claim,
    meet,
    now,
    point,
    start,
    stop,
    user,
)

O = EventOutcome  # noqa: E741 - read as a word in tables of outcomes
ADDRESSES = CanonicalAddresses()


@pytest.fixture(params=["memory", pytest.param("postgres", marks=pytest.mark.external)])
def url(request: pytest.FixtureRequest) -> str | None:
    """Where the stores are; None in memory."""
    return request.getfixturevalue("postgres_url") if request.param == "postgres" else None


@pytest.fixture
async def stores(url: str | None) -> AsyncIterator[Stores]:
    """Both kinds of store."""
    if url is None:
        yield memory_stores()
    else:
        async with postgres_stores(url) as (stores, _):
            yield stores


def email(raw: str) -> Address:
    return ADDRESSES.email(raw)


def phone(raw: str, region: str | None = None) -> Address:
    return ADDRESSES.phone(raw, region)


SAME = {
    "letter case": (EMAIL, email("Ana.Lima@Example.com"), email("ana.lima@EXAMPLE.COM")),
    "an international domain": (EMAIL, email("ana@bücher.example"), email("ANA@xn--bcher-kva.example")),
    "its other composition": (EMAIL, email("ana@bu\u0308cher.example"), email("ana@BÜCHER.example")),
    "white space": (EMAIL, email(" ana@example.com\n"), email("ana@example.com")),
    "a national number": (SMS, phone("(415) 555-2671", "US"), phone("+1 415 555 2671")),
    "an exit code": (SMS, phone("0049 151 1234567", "FR"), phone("+49 (0)151 1234567")),
    "another channel's number": (WHATSAPP, phone("+1-415-555-2671"), phone("+14155552671")),
}
OTHERS = {
    "dots in a name": (EMAIL, email("ana.lima@gmail.com"), email("analima@gmail.com")),
    "a tag": (EMAIL, email("ana+lost@example.com"), email("ana@example.com")),
    "another country": (SMS, phone("+14155552671"), phone("+494155552671")),
}


async def reached(stores: Stores, channel: Channel, address: Address) -> None:
    """Somebody has this address."""
    name = "email" if channel == EMAIL else "phone"
    await meet(stores, user(), **{name: address.value, "opt_in__whatsapp": True, "enabled__whatsapp": True})


class TestSpellings:
    @pytest.mark.parametrize(("channel", "held", "said"), SAME.values(), ids=SAME)
    async def test_fault_23_an_opt_out_in_another_form_holds(self, stores, channel, held, said):
        """Whichever of the two is known first."""
        await reached(stores, channel, held)
        await stores.people.suppress([stop(said, await now(stores), channel=channel)])
        assert (await point(stores, user(), channel)).suppression
        assert await Desk(stores).feed(claimed("1")) == {O.PLANNED: 1}
        (told,) = await stores.history.recent(TENANT, 10)
        reasons = {delivery.channel: delivery.reason for delivery in told.deliveries}
        assert reasons[channel] is Reason.SUPPRESSED
        await meet(stores, user("later"), **{"email" if channel == EMAIL else "phone": held.value})
        assert (await point(stores, user("later"), channel)).suppression

    @pytest.mark.parametrize(("channel", "held", "said"), OTHERS.values(), ids=OTHERS)
    async def test_fault_23_another_address_is_not_taken_for_it(self, stores, channel, held, said):
        await reached(stores, channel, held)
        await stores.people.suppress([stop(said, await now(stores), channel=channel)])
        assert (await point(stores, user(), channel)).suppression is None


class TestWords:
    async def test_fault_24_the_latest_word_holds_in_whatever_order_they_come(self, stores):
        """STOP, START, STOP, START by the provider's times, in all 24 orders, some of them twice."""
        at = await now(stores)
        words = [(stop if number % 2 == 0 else start, at + timedelta(seconds=number)) for number in range(4)]
        for number, order in enumerate(permutations(words)):
            address = PhoneNumber(f"+150055500{number:02}")
            for word, moment in (*order, *order[:2]):
                await stores.people.suppress([word(address, moment, channel=SMS)])
            await meet(stores, user(f"u{number}"), phone=address.value)
            assert (await point(stores, user(f"u{number}"), SMS)).suppression is None
            await stores.people.suppress([stop(address, at + timedelta(seconds=9), channel=SMS)])
            await stores.people.suppress([start(address, at + timedelta(seconds=8), channel=SMS)])
            assert (await point(stores, user(f"u{number}"), SMS)).suppression

    async def test_fault_24_of_two_at_one_moment_the_stop_holds(self, stores):
        at = await now(stores)
        for number, order in enumerate(permutations([stop, start])):
            address = PhoneNumber(f"+150055501{number:02}")
            await meet(stores, user(f"u{number}"), phone=address.value)
            for word in order:
                await stores.people.suppress([word(address, at, channel=SMS)])
            assert (await point(stores, user(f"u{number}"), SMS)).suppression

    async def test_fault_24_a_start_lifts_no_other_refusal(self, stores):
        """Nor one of another channel."""
        at = await now(stores)
        await meet(stores, user(), phone="+15005550006", email=ADA.value)
        address = PhoneNumber("+15005550006")
        complaint = OptOut(tenant=TENANT, channel=SMS, address=address, cause="complaint", at=at)
        await stores.people.suppress([complaint, stop(address, at, channel=WHATSAPP)])
        await stores.people.suppress([start(address, at + timedelta(hours=1), channel=SMS)])
        assert (await point(stores, user(), SMS)).suppression
        assert (await point(stores, user(), WHATSAPP)).suppression


NIGHT = QuietHours(start=time(21), end=time(7))
BERLIN = ZoneInfo("Europe/Berlin")
URGENT = NotificationType(name="urgent", priority=Priority.URGENT, channels=(SMS,))


def decided(at: datetime, number: str, *, zone: str | None = None, type_: NotificationType = NEWS, **policy):
    """What the rules say of an SMS to this number at this moment."""
    person = Person(
        user=user(),
        contacts={SMS: ContactPoint(channel=SMS, address=PhoneNumber(number))},
        timezone=zone,
        quiet_hours=NIGHT,
    )
    rules = Policy(zones=POLICY.zones, **({"zones_of": POLICY.zones_of} | policy))
    return gate(type_, SMS, person, rules, at, expires_at=at + timedelta(days=2), chance=0.0)


class TestQuiet:
    async def test_fault_41_due_before_and_begun_within_quiet_hours(self, stores):
        """Planned a second before them, two minutes of queue later put off to their end; the urgent goes."""
        desk = Desk(stores)
        at = await now(stores)
        start_, end = at + timedelta(seconds=1), at + timedelta(hours=8)
        hours = {"start": f"{start_:%H:%M:%S}", "end": f"{end:%H:%M:%S}", "timezone": "UTC"}
        await meet(stores, user(), phone="+4915112345678", quiet_hours=hours, **{"channels.match_detected": ["sms"]})
        matched = {"type": "post.matched", "id": "m", "data": {"user_id": "ada", "match_id": "m"}}
        assert await desk.feed(matched, claimed("1")) == {O.PLANNED: 2}
        await stores.advance(timedelta(minutes=2))
        leases = await claim(stores, SMS)
        types = desk.intake.catalogue.types

        def rules(candidate, moment):
            from fn_notifications.domain.commands import Begin

            one, delivery = candidate.notification, candidate.delivery
            decision = gate(
                types[one.type], delivery.channel, candidate.person, POLICY, moment,
                expires_at=delivery.expires_at, chance=0.0,
            )  # fmt: skip
            return Begin(gate=decision, attempt_id="a", route="r", epoch=0)

        (begun,) = await stores.deliveries.begin(leases, rules)
        assert begun.notification.type == "urgent_claim"
        waiting = next(one for one in await stores.history.recent(TENANT, 10) if one.type == "match_detected")
        (delivery,) = (one for one in waiting.deliveries if one.channel == SMS)
        assert (delivery.status, delivery.reason) == (Status.PENDING, Reason.QUIET_HOURS)
        assert abs(delivery.due_at - end) < timedelta(seconds=2)

    @pytest.mark.parametrize("zone", [None, "Mars/Olympus_Mons"])
    def test_fault_41_without_a_zone_the_numbers_country_decides(self, zone):
        """21:00 in Berlin, 19:00 by UTC."""
        at = datetime(2026, 6, 1, 21, 0, tzinfo=BERLIN)
        decision = decided(at, "+4915112345678", zone=zone)
        assert (decision.reason, decision.until) == (Reason.QUIET_HOURS, datetime(2026, 6, 2, 5, tzinfo=UTC))
        assert decided(at - timedelta(seconds=1), "+4915112345678", zone=zone).verdict is Verdict.SEND
        assert decided(at, "+4915112345678", zone="UTC").verdict is Verdict.SEND
        assert decided(at, "+4915112345678", zone=zone, type_=URGENT).verdict is Verdict.SEND

    def test_fault_41_the_strictest_of_a_countrys_clocks_decides(self):
        """From 21:00 in New York to 07:00 in Honolulu, whatever the area code: people keep their number."""
        new_york, honolulu = ZoneInfo("America/New_York"), ZoneInfo("Pacific/Honolulu")
        begins = datetime(2026, 6, 1, 21, tzinfo=new_york)
        ends = datetime(2026, 6, 2, 7, tzinfo=honolulu)
        for number in ("+12125550123", "+18085550123"):
            assert decided(begins - timedelta(seconds=1), number).verdict is Verdict.SEND
            for at in (begins, begins + (ends - begins) / 2, ends - timedelta(seconds=1)):
                assert decided(at, number).until == ends
            assert decided(ends, number).verdict is Verdict.SEND

    def test_fault_41_a_number_of_no_country_goes_by_utc(self):
        """So does everything where nobody can tell countries apart."""
        at = datetime(2026, 6, 1, 21, tzinfo=UTC)
        for decision in (decided(at, "+870773111632"), decided(at, "+4915112345678", zones_of=lambda _: ())):
            assert decision.until == datetime(2026, 6, 2, 7, tzinfo=UTC)

    def test_fault_41_a_country_without_a_free_hour_is_not_silenced(self):
        """Long quiet hours in a country as wide as Russia: by its first zone then."""
        long = QuietHours(start=time(15), end=time(12))
        person = Person(
            user=user(),
            contacts={SMS: ContactPoint(channel=SMS, address=PhoneNumber("+79161234567"))},
            quiet_hours=long,
        )
        at = datetime(2026, 6, 1, 3, tzinfo=UTC)
        decision = gate(NEWS, SMS, person, POLICY, at, expires_at=at + timedelta(days=9), chance=0.0)
        assert decision.until == datetime(2026, 6, 1, 10, tzinfo=UTC)
        (first, *_) = POLICY.zones_of(PhoneNumber("+79161234567"))
        assert decision.until.astimezone(first).time() == time(12)
