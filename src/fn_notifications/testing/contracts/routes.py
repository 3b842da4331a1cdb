"""What every `Routes` store keeps to, and `Deliveries.begin` beside it. Subclass, provide the `stores` fixture."""

import asyncio
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import evolve

from fn_notifications.application.ports.deliveries import Begun, Candidate, Gate
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import SMS
from fn_notifications.domain.commands import Begin
from fn_notifications.domain.decision import Decision
from fn_notifications.domain.delivery import DeliveryKey
from fn_notifications.domain.identity import attempt_id
from fn_notifications.domain.outcome import OutcomeKind, Scope
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.domain.routes import Board, HoldKind
from fn_notifications.domain.slowness import Demotion, Speed
from fn_notifications.domain.stops import Passage, Word
from fn_notifications.testing.contracts.stores import (
    ADA,
    BOTH,
    PHONE,
    TENANT,
    Stores,
    answer,
    begun,
    claim,
    meet,
    now,
    receipt,
    told,
    user,
)

ROUTE: Final = "acme/sms"
SPAN: Final = timedelta(minutes=5)
SECOND: Final = timedelta(seconds=1)


async def word(stores: Stores, **more: Any) -> Word:
    """What a call that began now says."""
    values: dict[str, Any] = {"route": ROUTE, "country": "+1", "began": await now(stores), "span": SPAN, "code": "down"}
    return Word(**{**values, **more})


async def passage(stores: Stores, route: str = ROUTE, country: str | None = None) -> Passage:
    """How a way stands now."""
    seen = await stores.routes.board()
    return seen.board.passage(route, country, seen.now)


def through(route: str = ROUTE, seen: list[Board] | None = None) -> Gate:
    """A gate that sends by a route while its way is not shut, and holds back what is held."""

    def begin(candidate: Candidate, at: datetime) -> Begin:
        delivery, board = candidate.delivery, candidate.board
        if seen is not None:
            seen.append(board)
        decision = Decision.send(delivery.channel)
        if board.held_by(type_=candidate.notification.type, channel=delivery.channel):
            decision = Decision.defer(delivery.channel, Reason.HELD, at + timedelta(hours=1))
        elif board.passage(route, "+1", at) is Passage.SHUT:
            decision = Decision.defer(delivery.channel, Reason.LANE_WAITS, at + SECOND)
        name = attempt_id(delivery.key.notification_id, delivery.key.no, len(delivery.attempts) + 1)
        return Begin(gate=decision, attempt_id=name, route=route, epoch=0)

    return begin


async def texts(stores: Stores, amount: int) -> None:
    """So many messages to send by SMS."""
    await meet(stores, user(), email=ADA.value, phone=PHONE.value)
    for number in range(amount):
        await told(stores, user(), f"n{number}", BOTH)


async def wave(stores: Stores, limit: int = 100) -> Sequence[Begun]:
    """Begin what is due by SMS."""
    return await stores.deliveries.begin(await claim(stores, SMS, limit), through())


class RoutesContract:
    """Rules for what is shut, held, pinned, slow, and how fast calls go."""

    async def test_nothing_is_shut_before_anybody_spoke(self, stores: Stores) -> None:
        """An empty store lets everything through."""
        assert (await stores.routes.board()).board == Board()
        assert await passage(stores) is Passage.OPEN

    async def test_what_is_shut_is_shut_for_all(self, stores: Stores) -> None:
        """For its time, then a probe is wanted; an account shuts its other routes, and nobody else's."""
        (turn,) = await stores.routes.report([await word(stores, bad=Scope.ACCOUNT, code="http_401")])
        assert (turn.shut, turn.stop.what, turn.stop.code) == (True, "acme", "http_401")
        assert [await passage(stores, route) for route in (ROUTE, "acme/whatsapp", "other/sms")] == [
            Passage.SHUT,
            Passage.SHUT,
            Passage.OPEN,
        ]
        await stores.advance(SPAN)
        assert await passage(stores) is Passage.PROBE

    async def test_a_country_is_shut_alone(self, stores: Stores) -> None:
        """The rest of the route goes on."""
        await stores.routes.report([await word(stores, country="+49", works=True, bad=Scope.DESTINATION)])
        assert [await passage(stores, ROUTE, to) for to in ("+49", "+44", None)] == [
            Passage.SHUT,
            Passage.OPEN,
            Passage.OPEN,
        ]

    async def test_of_many_that_find_it_out_at_once_one_hears_that_it_turned(self, stores: Stores) -> None:
        """One alert, whoever gives it."""
        one = await word(stores, bad=Scope.ACCOUNT)
        turns = await asyncio.gather(*(stores.routes.report([one]) for _ in range(8)))
        assert sum(len(heard) for heard in turns) == 1

    async def test_a_pause_asked_for_is_over_by_itself(self, stores: Stores) -> None:
        """It shuts the route for its time, wants no probe, and is no outage."""
        asked = await word(stores, bad=Scope.ROUTE, pause=timedelta(seconds=90))
        assert not await stores.routes.report([asked])
        assert await passage(stores) is Passage.SHUT
        await stores.advance(timedelta(seconds=91))
        assert await passage(stores) is Passage.OPEN

    async def test_everything_of_a_stop_is_kept(self, stores: Stores) -> None:
        """What one process wrote, another reads."""
        (turn,) = await stores.routes.report([await word(stores, bad=Scope.ROUTE, span=timedelta(seconds=61.5))])
        assert (await stores.routes.board()).board.stops == {ROUTE: turn.stop}

    async def test_one_probe_goes_whoever_asks(self, stores: Stores) -> None:
        """Of many that begin at once, in one wave or in several, one is the probe; a good answer opens for all."""
        await stores.routes.report([await word(stores, bad=Scope.ROUTE)])
        await stores.advance(SPAN + SECOND)
        await texts(stores, 12)
        leases = await claim(stores, SMS)
        waves = await asyncio.gather(
            *(stores.deliveries.begin(leases[start : start + 3], through()) for start in range(0, 12, 3))
        )
        (probe,) = [one for each in waves for one in each]
        assert await passage(stores) is Passage.SHUT
        began = probe.delivery.attempts[-1].started_at
        assert not await stores.routes.report([await word(stores, works=True, began=began - SECOND)])
        (turn,) = await stores.routes.report([await word(stores, works=True, began=began)])
        assert (turn.shut, turn.stop.what) == (False, ROUTE)
        assert await passage(stores) is Passage.OPEN

    async def test_a_probe_that_fails_shuts_it_for_longer(self, stores: Stores) -> None:
        """And nobody is alarmed again."""
        await stores.routes.report([await word(stores, bad=Scope.ROUTE)])
        await stores.advance(SPAN + SECOND)
        await texts(stores, 1)
        (probe,) = await wave(stores)
        began = probe.delivery.attempts[-1].started_at
        assert not await stores.routes.report([await word(stores, bad=Scope.ROUTE, began=began)])
        await stores.advance(SPAN + SECOND)
        assert await passage(stores) is Passage.SHUT
        await stores.advance(SPAN)
        assert await passage(stores) is Passage.PROBE

    async def test_a_begin_that_fails_takes_no_probe(self, stores: Stores) -> None:
        """What is undone has probed nothing."""
        await stores.routes.report([await word(stores, bad=Scope.ROUTE)])
        await stores.advance(SPAN + SECOND)
        await texts(stores, 2)
        sound = through()

        def breaks(candidate: Candidate, at: datetime) -> Begin:
            if candidate.board.passage(ROUTE, "+1", at) is Passage.SHUT:
                raise ArithmeticError
            return sound(candidate, at)

        leases = await claim(stores, SMS)
        try:
            await stores.deliveries.begin(leases, breaks)
        except ArithmeticError:
            await stores.advance(timedelta(minutes=3))
            assert len(await stores.deliveries.begin(await claim(stores, SMS), sound)) == 1
        else:
            raise AssertionError("the second of a wave was let through beside the probe")

    async def test_the_permits_of_a_rate_are_shared(self, stores: Stores) -> None:
        """However many ask, and however often: never more than the rate, and one second's worth at once."""
        given = 0
        for _ in range(4):
            taken = await asyncio.gather(*(stores.routes.permits({ROUTE: 7}, {ROUTE: 10.0}) for _ in range(5)))
            given += sum(one[ROUTE] for one in taken)
            await stores.advance(SECOND / 2)
        assert 10 + 3 * 5 <= given <= 10 + 4 * 5
        assert (await stores.routes.board()).board.standings[ROUTE].rate == 10.0

    async def test_routes_have_rates_of_their_own(self, stores: Stores) -> None:
        """A slow one is served in its turn all the same."""
        rates = {ROUTE: 0.5, "acme/whatsapp": 3.0}
        first = await stores.routes.permits(dict.fromkeys(rates, 5), rates)
        assert first == {ROUTE: 1, "acme/whatsapp": 3}
        await stores.advance(SECOND)
        assert (await stores.routes.permits(dict.fromkeys(rates, 5), rates))[ROUTE] == 0
        await stores.advance(SECOND)
        assert (await stores.routes.permits(dict.fromkeys(rates, 5), rates))[ROUTE] == 1

    async def test_a_hold_is_seen_by_whoever_begins(self, stores: Stores) -> None:
        """With why and by whom; holding twice keeps the first."""
        assert await stores.routes.hold(HoldKind.TYPE, BOTH.name, reason="bad template", by="eve")
        assert not await stores.routes.hold(HoldKind.TYPE, BOTH.name, reason="again", by="mallory")
        await texts(stores, 2)
        assert not await wave(stores)
        (hold,) = (await stores.routes.board()).board.holds
        assert (hold.kind, hold.name, hold.reason, hold.by) == (HoldKind.TYPE, BOTH.name, "bad template", "eve")

    async def test_a_release_wakes_what_was_held(self, stores: Stores) -> None:
        """All of it, at once, and nothing else that waits; releasing twice is no error."""
        await stores.routes.hold(HoldKind.ALL, "", reason="", by="eve")
        await texts(stores, 3)
        assert not await wave(stores)
        assert not await claim(stores, SMS)
        assert await stores.routes.release(HoldKind.ALL, "")
        assert len(await wave(stores)) == 3
        assert not await stores.routes.release(HoldKind.ALL, "")
        assert (await stores.routes.board()).board.holds == ()

    async def test_a_release_leaves_alone_what_waits_for_something_else(self, stores: Stores) -> None:
        """Deferred for a hold once, and for another reason since."""
        await stores.routes.hold(HoldKind.ALL, "", reason="", by="eve")
        await texts(stores, 1)
        await wave(stores)
        await stores.advance(timedelta(hours=1, seconds=1))
        await stores.routes.report([await word(stores, bad=Scope.ROUTE)])
        await stores.routes.release(HoldKind.CHANNEL, "nobody")
        leases = await claim(stores, SMS)

        def later(candidate: Candidate, at: datetime) -> Begin:
            waits = Decision.defer(candidate.delivery.channel, Reason.QUIET_HOURS, at + timedelta(hours=5))
            return evolve(through()(candidate, at), gate=waits)

        assert not await stores.deliveries.begin(leases, later)
        await stores.routes.release(HoldKind.ALL, "")
        assert not await claim(stores, SMS)

    async def test_a_release_misses_nothing_that_begins_at_the_same_time(self, stores: Stores) -> None:
        """In whatever order they come: nothing stays behind."""
        await texts(stores, 60)
        await stores.routes.hold(HoldKind.ALL, "", reason="", by="eve")
        released: list[asyncio.Task[bool]] = []

        def begin(candidate: Candidate, at: datetime) -> Begin:
            if not released:
                released.append(asyncio.create_task(stores.routes.release(HoldKind.ALL, "")))
            return through()(candidate, at)

        sent = len(await stores.deliveries.begin(await claim(stores, SMS), begin))
        assert await released[0]
        assert sent + len(await wave(stores)) == 60

    async def test_releasing_a_route_lets_a_probe_try_at_once(self, stores: Stores) -> None:
        """Somebody mended it: its account and its countries too, and no other route."""
        for more in ({"bad": Scope.ACCOUNT}, {"bad": Scope.DESTINATION, "works": True}, {"route": "other/sms"}):
            await stores.routes.report([await word(stores, **{"bad": Scope.ROUTE, **more})])
        await stores.routes.release(HoldKind.ROUTE, ROUTE)
        assert [await passage(stores, ROUTE, "+1"), await passage(stores, "other/sms")] == [Passage.PROBE, Passage.SHUT]

    async def test_a_pin_puts_one_route_of_a_channel_first(self, stores: Stores) -> None:
        """Until its time; another pin of that channel takes its place, one of another channel does not."""
        await stores.routes.pin("a/email", timedelta(hours=2), reason="cheaper", by="eve")
        await stores.routes.pin("b/sms", timedelta(hours=2), reason="", by="eve")
        until = await stores.routes.pin("b/email", timedelta(hours=1), reason="", by="eve")
        seen = await stores.routes.board()
        assert list(seen.board.ordered(["a/email", "b/email"], seen.now)) == ["b/email", "a/email"]
        assert list(seen.board.ordered(["a/sms", "b/sms"], seen.now)) == ["b/sms", "a/sms"]
        assert list(seen.board.ordered(["a/email", "b/email"], until)) == ["a/email", "b/email"]
        assert [await stores.routes.unpin(route) for route in ("b/email", "b/email", "a/email")] == [True, False, False]

    async def test_late_messages_are_measured_by_route(self, stores: Stores) -> None:
        """What arrived in time, what came late and what has not come; a route without any report is not measured."""
        await meet(stores, user(), email=ADA.value, phone=PHONE.value)
        for number in range(3):
            await told(stores, user(), f"n{number}", BOTH)
        mails = await begun(stores)
        messages = await wave(stores)
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED) for one in (*mails, *messages)])
        began = messages[0].delivery.attempts[0].started_at
        for one, minutes in zip(messages[:2], (1, 6), strict=True):
            report = receipt(one, ReceiptKind.DELIVERED, f"k{minutes}", at=began + timedelta(minutes=minutes))
            await stores.receipts.receive([report])
        await _apply(stores)
        assert await _speeds(stores) == {}
        await stores.advance(timedelta(minutes=7))
        assert await _speeds(stores) == {ROUTE: Speed(known=3, late=2)}
        await stores.advance(timedelta(minutes=15))
        assert await _speeds(stores) == {}

    async def test_a_demotion_is_kept(self, stores: Stores) -> None:
        """As it was judged, with how the routes stood before."""
        at = await now(stores)
        demotion = Demotion(since=at, until=at + timedelta(minutes=15), times=2)
        assert await stores.routes.weigh(["a/sms", "b/sms"], lambda *_: ("a/sms", demotion)) == ("a/sms", demotion)
        stood: list[Any] = []
        assert await stores.routes.weigh(["a/sms", "b/sms"], lambda standing, *_: stood.append(standing)) is None
        assert stood == [{"a/sms": demotion, "b/sms": None}]
        seen = await stores.routes.board()
        assert list(seen.board.ordered(["a/sms", "b/sms"], seen.now)) == ["b/sms", "a/sms"]

    async def test_what_waits_is_found_by_its_type(self, stores: Stores) -> None:
        """Page by page, each delivery once, and only what was planned before and is still pending."""
        await texts(stores, 3)
        await told(stores, user(), "news")
        (wired,) = await wave(stores, 1)
        await stores.advance(SECOND)
        cut = await now(stores)
        await stores.advance(SECOND)
        await told(stores, user(), "later", BOTH)
        found: list[DeliveryKey] = []
        page = await stores.deliveries.waiting(TENANT, BOTH.name, cut, limit=2)
        found += page.keys
        while page.next:
            page = await stores.deliveries.waiting(TENANT, BOTH.name, cut, after=page.next, limit=2)
            found += page.keys
        assert len(found) == len(set(found)) == 5
        assert wired.delivery.key not in found
        assert not (await stores.deliveries.waiting("nobody", BOTH.name, cut)).keys


async def _apply(stores: Stores) -> None:
    await stores.receipts.apply(100, judge)


async def _speeds(stores: Stores) -> dict[str, Speed]:
    measured: dict[str, Speed] = {}
    await stores.routes.weigh([ROUTE], lambda _, speeds, __: measured.update(speeds))
    return measured
