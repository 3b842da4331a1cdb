"""Which way calls go: what all processes know of the ways out, what this one finds out, and who has room.

A route's slots are its own, so a provider that hangs holds up nobody else. What a call says about its way is told to
all processes before the next wave is claimed; a lane is claimed for only while a call of it could go somewhere.

Where a call carries several messages, a wave asks for as many to each free slot as the last one brought together: a
flood fills its calls within a few waves, and nothing is begun that has no slot to go by.
"""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from typing import Final

from attrs import define, evolve, field

from fn_notifications.application.call import Called, Lane
from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.ports.circuit import Circuit
from fn_notifications.application.ports.deliveries import Begun, Candidate, Gate
from fn_notifications.application.ports.routes import Routes, Seen
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.application.room import Allotment, Permits, Way
from fn_notifications.domain.address import Channel, destination
from fn_notifications.domain.batches import batch_size
from fn_notifications.domain.catalogue import Policy
from fn_notifications.domain.commands import Begin
from fn_notifications.domain.decision import Decision, Verdict
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.failover import next_route
from fn_notifications.domain.identity import attempt_id
from fn_notifications.domain.outcome import Scope
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routes import Board
from fn_notifications.domain.routing import gate
from fn_notifications.domain.stops import Passage, Turn, Word, account_of, word_of

_FRESH: Final = 0.2
"""Seconds for which a board that was read is believed; `begin` reads it again, under lock."""
_SOON: Final = timedelta(seconds=1)
"""When a delivery whose route is merely busy looks again."""


@define(kw_only=True)
class Switchboard:
    """The routes of one process."""

    routes: Routes
    lanes: Mapping[Channel, Lane]
    circuit: Circuit
    catalogue: Catalogue
    policy: Policy
    telemetry: Telemetry
    chance: Callable[[], float]
    clock: Callable[[], datetime]
    total_slots: int = 1000
    """Over all lanes. Where the routes have more together, each gets its share of this."""
    wave: int = 64
    """Calls of one lane that are begun together, at most: while they are on the wire the next are begun."""
    most: int = 1000
    """Messages of one lane that are begun together, at most: it is one transaction."""
    stall: float = 5.0
    """Seconds. A route whose every slot has been waiting for so long is passed over: it hangs."""
    _seen: Seen | None = field(default=None, init=False)
    _seen_at: float = field(default=0.0, init=False)
    _permits: Permits = field(factory=Permits, init=False)
    _calls: dict[str, dict[DeliveryKey, float]] = field(factory=dict, init=False)
    """The calls on the wire by each route, each under its first delivery, and since when, the oldest first."""
    _together: dict[str, float] = field(factory=dict, init=False)
    """How many messages shared a call by each route in the last wave, on average."""
    _words: list[Word] = field(factory=list, init=False)

    @property
    def board(self) -> Board:
        """As last seen."""
        return self._seen.board if self._seen else Board()

    @property
    def crowded(self) -> bool:
        """Whether a route that calls are going by has room for less than a wave, or than half of its calls."""
        return any(
            self._calls.get(route) and self._room(lane, route) < min(self.wave, self._slots(lane) // 2)
            for lane in self.lanes.values()
            for route in lane.routes
        )

    async def wanted(self, *, fresh: float = _FRESH) -> Mapping[Channel, int]:
        """How many deliveries of each lane could go somewhere now; lanes with none are left out.

        Tells first what was learnt, and reads the board when it was read more than `fresh` seconds ago. Raises the
        ports' errors.
        """
        await self.tell()
        now = await self._look(fresh)
        await self._permit()
        wanted: dict[Channel, int] = {}
        left = self.total_slots - sum(map(len, self._calls.values()))
        for channel, lane in self.lanes.items():
            calls, messages = self._room_of_lane(lane, now, min(left, self.wave))
            if messages > 0:
                wanted[channel] = min(messages, self.most)
                left -= calls
        return wanted

    async def tell(self) -> None:
        """Tell all processes what calls said about their ways. Raises the port's errors, and tells it again then."""
        words, self._words = self._words, []
        if not words:
            return
        try:
            turns = await self.routes.report(words)
        except BaseException:
            self._words = [*words, *self._words]
            raise
        self._seen = None
        for turn in turns:
            self._announce(turn)

    def gate(self) -> Gate:
        """The rules for one wave, run under lock: holds, then consent and time, then the route.

        It may be asked about one delivery several times, when the transaction is run anew: the last answer counts.
        """
        chosen: dict[DeliveryKey, Way] = {}
        room = self._allotment()

        def begin(candidate: Candidate, now: datetime) -> Begin:
            key = candidate.delivery.key
            if before := chosen.pop(key, None):
                room.give_back(before)
            decision, way = self._decide(candidate, now, room)
            if way:
                chosen[key] = way
                room.take(way)
            if self._seen is None or self._seen.board is not candidate.board or self._seen.now != now:
                self._seen = Seen(now=now, board=candidate.board)
            point = candidate.person.contacts.get(candidate.delivery.channel)
            return Begin(
                gate=decision,
                attempt_id=attempt_id(key.notification_id, key.no, len(candidate.delivery.attempts) + 1),
                route=way[0] if way else "",
                epoch=point.epoch if point else 0,
            )

        return begin

    def calls(self, begun: Sequence[Begun]) -> Sequence[Sequence[Begun]]:
        """A wave sorted into calls, in its order: what goes the same way goes together, as far as it may."""
        ways: dict[Way, list[Begun]] = {}
        for one in begun:
            route = one.delivery.attempts[-1].route
            ways.setdefault((route, self._batch(one.notification.type, one.delivery, route)), []).append(one)
        calls = Counter[str]()
        messages = Counter[str]()
        for (route, size), each in ways.items():
            calls[route] += ceil(len(each) / size)
            messages[route] += len(each)
        self._together |= {route: messages[route] / calls[route] for route in calls}
        return [each[n : n + size] for (_, size), each in ways.items() for n in range(0, len(each), size)]

    def started(self, batch: Sequence[Begun]) -> None:
        """A call goes out."""
        route, key = batch[0].delivery.attempts[-1].route, batch[0].delivery.key
        if self._seen and self._seen.board.stops:
            board = self._seen.board
            for begun in batch:
                board = board.probed(route, _country(begun), begun.delivery.attempts[-1].started_at)
            self._seen = evolve(self._seen, board=board)
        self._calls.setdefault(route, {})[key] = _time()
        self._permits.used(route, len(batch))

    def ended(self, batch: Sequence[Begun], called: Sequence[Called]) -> None:
        """A call was answered. What it says about its way, once, is told before the next wave if it is news."""
        self._calls[batch[0].delivery.attempts[-1].route].pop(batch[0].delivery.key, None)
        words = (self._word(begun, one) for begun, one in zip(batch, called, strict=True))
        self._words += (news for word in dict.fromkeys(words) if (news := self._news(word)))

    def _word(self, begun: Begun, called: Called) -> Word:
        attempt = begun.delivery.attempts[-1]
        return word_of(
            called.outcome,
            route=attempt.route,
            country=_country(begun),
            began=attempt.started_at,
            span=self.circuit.rest(attempt.route),
            asked=called.asked,
        )

    def _news(self, word: Word) -> Word | None:
        """What of it changes anything for others. Single failures are counted here; too many of them are news."""
        now, probed = self.clock(), self.board.probing(word.route, word.country)
        if word.works:
            self.circuit.succeeded(word.route, now)
        if word.bad is Scope.ROUTE and not word.asks_to_wait:
            too_many = self.circuit.failed(word.route, now)
            word = word if too_many or word.route in probed else evolve(word, bad=None)
        return word if probed or word.bad else None

    async def _look(self, fresh: float) -> datetime:
        if self._seen is None or _time() - self._seen_at >= fresh:
            self._seen, self._seen_at = await self.routes.board(), _time()
            for lane in self.lanes.values():
                for route in lane.routes:
                    state = self._seen.board.passage(route, None, self._seen.now)
                    self.telemetry.gauge("routes.state", state, route=route)
        return self._seen.now

    async def _permit(self) -> None:
        """Take permits where a rate is set."""
        rates = {route: lane.rate for lane in self.lanes.values() if lane.rate for route in lane.routes}
        if rates:
            room = {route: self._messages(route, calls) for route, calls in self._rooms().items()}
            await self._permits.renew(self.routes, room, rates)

    def _room_of_lane(self, lane: Lane, now: datetime, left: int) -> tuple[int, int]:
        """Of `left` calls those it has room for, and the messages these would carry.

        By the route that would be taken first; what it has no room for waits for it, and does not go to the next.
        """
        if self.board.held_by(channel=lane.channel):
            return 0, 0
        probes = 0
        for route in self.board.ordered(lane.routes, now):
            passage = self.board.passage(route, None, now)
            if passage is Passage.SHUT or self._hangs(lane, route):
                continue
            room = min(self._room(lane, route), left - probes)
            messages = int(min(self._messages(route, room), self._permits.left(route, lane.rate)))
            if passage is Passage.OPEN:
                return probes + min(room, messages), probes + messages
            probes += min(messages, 1)
        return probes, probes

    def _messages(self, route: str, calls: int) -> int:
        return int(calls * self._together.get(route, 1))

    def _batch(self, name: str, delivery: Delivery, route: str) -> int:
        type_ = self.catalogue.types.get(name)
        return batch_size(type_, delivery, self.lanes[delivery.channel].batch(route)) if type_ else 1

    def _allotment(self) -> Allotment:
        """For one wave."""
        permits = {route: self._permits.left(route, lane.rate) for lane in self.lanes.values() for route in lane.routes}
        return Allotment(self._rooms(), permits)

    def _rooms(self) -> dict[str, int]:
        """How many more calls each route has room for."""
        return {route: self._room(lane, route) for lane in self.lanes.values() for route in lane.routes}

    def _room(self, lane: Lane, route: str) -> int:
        return self._slots(lane) - len(self._calls.get(route, ()))

    def _slots(self, lane: Lane) -> int:
        together = sum(each.slots * len(each.routes) for each in self.lanes.values())
        return lane.slots if together <= self.total_slots else max(1, lane.slots * self.total_slots // together)

    def _hangs(self, lane: Lane, route: str) -> bool:
        starts = self._calls.get(route, {}).values()
        return bool(starts) and _time() - next(reversed(starts)) >= self.stall and len(starts) >= self._slots(lane)

    def _decide(self, candidate: Candidate, now: datetime, room: Allotment) -> tuple[Decision, Way | None]:
        delivery, board = candidate.delivery, candidate.board
        hold = board.held_by(type_=candidate.notification.type, channel=delivery.channel)
        if hold and now < delivery.expires_at:
            return Decision.defer(delivery.channel, Reason.HELD, hold.look_again(now)), None
        type_ = self.catalogue.types.get(candidate.notification.type)
        if type_ is None:
            return Decision.skip(delivery.channel, Reason.UNKNOWN_TYPE), None
        decision = gate(
            type_,
            delivery.channel,
            candidate.person,
            self.policy,
            now,
            expires_at=delivery.expires_at,
            chance=self.chance(),
            explicit=candidate.notification.explicit,
        )
        if decision.verdict is not Verdict.SEND:
            return decision, None
        lane = self.lanes.get(delivery.channel)
        if lane is None:
            return self._wait(delivery.channel, now, now), None
        country = destination(candidate.person.contacts[delivery.channel].address)
        routes = board.ordered(lane.routes, now)
        usable = [
            route
            for route in routes
            if board.passage(route, country, now) is not Passage.SHUT and not self._hangs(lane, route)
        ]
        route = next_route(delivery, type_, routes, usable)
        if route is None:
            shut = [stop for one in routes if (stop := board.blocking(one, country, now))]
            free = min((stop.free_at(now) for stop in shut), default=now)
            return self._wait(delivery.channel, now, free), None
        way = (route, batch_size(type_, delivery, lane.batch(route)))
        if not room.fits(way):
            return Decision.defer(delivery.channel, Reason.LANE_WAITS, now + _SOON), None
        return decision, way

    def _wait(self, channel: Channel, now: datetime, free: datetime) -> Decision:
        """Until something may go again; spread, or all would come back at once."""
        pause = max(self.policy.retry.lane_pause, free - now)
        return Decision.defer(channel, Reason.LANE_WAITS, now + pause * (1 + self.policy.retry.jitter * self.chance()))

    def _announce(self, turn: Turn) -> None:
        """One alert when something is shut and one when it opens, whoever found out, however many messages wait."""
        stop = turn.stop
        event = f"{_EVENTS[stop.scope]}.{'stopped' if turn.shut else 'resumed'}"
        self.telemetry.count("routes.turned", scope=stop.scope, to="shut" if turn.shut else "open")
        self.telemetry.log(
            "error" if turn.shut and stop.scope is Scope.ACCOUNT else "warning",
            event,
            what=stop.what,
            account=account_of(stop.what),
            code=stop.code,
            until=stop.until.isoformat() if turn.shut else None,
        )


_EVENTS: Final = {Scope.ACCOUNT: "account", Scope.ROUTE: "route", Scope.DESTINATION: "country"}


def _country(begun: Begun) -> str | None:
    point = begun.person.contacts.get(begun.delivery.channel)
    return destination(point.address) if point else None


def _time() -> float:
    return asyncio.get_running_loop().time()
