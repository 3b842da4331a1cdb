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
from math import ceil, inf
from typing import Final

from attrs import define, evolve, field

from fn_notifications.application.call import Called, Lane
from fn_notifications.application.catalogue import Catalogue
from fn_notifications.application.ports.circuit import Circuit
from fn_notifications.application.ports.deliveries import Begun, Candidate, Gate
from fn_notifications.application.ports.routes import Routes, Seen
from fn_notifications.application.ports.telemetry import Telemetry
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
from fn_notifications.domain.stops import Passage, Turn, Word, account_of, names, word_of

_FRESH: Final = 0.2
"""Seconds for which a board that was read is believed; `begin` reads it again, under lock."""
_PERMIT: Final = 1.0
"""Seconds after which a permit to call that was not used is dropped."""
_SLICE: Final = 0.05
"""Seconds between two requests for permits."""
_SOON: Final = timedelta(seconds=1)
"""When a delivery whose route is merely busy looks again."""

Way = tuple[str, int]
"""A route, and how many messages may share a call by it."""


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
    stall: float = 5.0
    """Seconds. A route whose every slot has been waiting for so long is passed over: it hangs."""
    _seen: Seen | None = field(default=None, init=False)
    _seen_at: float = field(default=0.0, init=False)
    _permits: dict[str, tuple[int, float]] = field(factory=dict, init=False)
    """Permits left by route, and when they were given."""
    _calls: dict[str, dict[DeliveryKey, float]] = field(factory=dict, init=False)
    """The calls on the wire by each route, each under its first delivery, and since when, the oldest first."""
    _together: dict[str, float] = field(factory=dict, init=False)
    """How many messages shared a call by each route in the last wave, on average."""
    _words: list[Word] = field(factory=list, init=False)

    @property
    def board(self) -> Board:
        """As last seen."""
        return self._seen.board if self._seen else Board()

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
            calls, messages = self._room_of_lane(lane, now, left)
            if messages > 0:
                wanted[channel] = messages
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
        taken = Counter[Way]()

        def begin(candidate: Candidate, now: datetime) -> Begin:
            key = candidate.delivery.key
            taken[chosen.pop(key, _NOWHERE)] -= 1
            decision, way = self._decide(candidate, now, taken)
            chosen[key] = way
            taken[way] += 1
            self._seen = Seen(now=now, board=candidate.board)
            point = candidate.person.contacts.get(candidate.delivery.channel)
            return Begin(
                gate=decision,
                attempt_id=attempt_id(key.notification_id, key.no, len(candidate.delivery.attempts) + 1),
                route=way[0],
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
        for begun in batch:
            if seen := self._seen:
                board = seen.board.probed(route, _country(begun), begun.delivery.attempts[-1].started_at)
                self._seen = evolve(seen, board=board)
        self._calls.setdefault(route, {})[key] = _time()
        if route in self._permits:
            amount, given = self._permits[route]
            self._permits[route] = (max(amount - len(batch), 0), given)

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
        now, probed = self.clock(), [one for name in names(word.route, word.country) if (one := self._probed(name))]
        if word.works:
            self.circuit.succeeded(word.route, now)
        if word.bad is Scope.ROUTE and not word.asks_to_wait:
            too_many = self.circuit.failed(word.route, now)
            word = word if too_many or word.route in probed else evolve(word, bad=None)
        return word if probed or word.bad else None

    def _probed(self, name: str) -> str | None:
        """Its name, if it is shut until a probe opens it."""
        stop = self.board.stops.get(name)
        return name if stop and stop.probes else None

    async def _look(self, fresh: float) -> datetime:
        if self._seen is None or _time() - self._seen_at >= fresh:
            self._seen, self._seen_at = await self.routes.board(), _time()
            for lane in self.lanes.values():
                for route in lane.routes:
                    state = self._seen.board.passage(route, None, self._seen.now)
                    self.telemetry.gauge("routes.state", state, route=route)
        return self._seen.now

    async def _permit(self) -> None:
        """Take permits where a rate is set, and drop those that were not used in time."""
        time = _time()
        self._permits = {
            route: (left, given)
            for route, (left, given) in self._permits.items()
            if time - given < (_PERMIT if left else _SLICE)
        }
        wanted = {
            route: room
            for lane in self.lanes.values()
            if lane.rate
            for route in lane.routes
            if route not in self._permits and (room := self._messages(route, self._room(lane, route))) > 0
        }
        rates = {route: lane.rate for lane in self.lanes.values() if lane.rate for route in lane.routes}
        if wanted:
            given = await self.routes.permits(wanted, {route: rates[route] for route in wanted})
            self._permits |= {route: (amount, time) for route, amount in given.items()}

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
            messages = int(min(self._messages(route, room), self._permitted(lane, route)))
            if passage is Passage.OPEN:
                return probes + min(room, messages), probes + messages
            probes += min(messages, 1)
        return probes, probes

    def _messages(self, route: str, calls: int) -> int:
        return int(calls * self._together.get(route, 1))

    def _permitted(self, lane: Lane, route: str) -> float:
        return self._permits.get(route, (0, 0.0))[0] if lane.rate else inf

    def _batch(self, name: str, delivery: Delivery, route: str) -> int:
        type_ = self.catalogue.types.get(name)
        return batch_size(type_, delivery, self.lanes[delivery.channel].batch(route)) if type_ else 1

    def _fits(self, lane: Lane, way: Way, taken: Mapping[Way, int]) -> bool:
        """Whether one more may go a way, beside what this wave has begun already."""
        route = way[0]
        begun = {other: amount for other, amount in taken.items() if other[0] == route}
        begun[way] = begun.get(way, 0) + 1
        calls = sum(ceil(amount / size) for (_, size), amount in begun.items())
        return calls <= self._room(lane, route) and sum(begun.values()) <= self._permitted(lane, route)

    def _room(self, lane: Lane, route: str) -> int:
        return self._slots(lane) - len(self._calls.get(route, ()))

    def _slots(self, lane: Lane) -> int:
        together = sum(each.slots * len(each.routes) for each in self.lanes.values())
        return lane.slots if together <= self.total_slots else max(1, lane.slots * self.total_slots // together)

    def _hangs(self, lane: Lane, route: str) -> bool:
        starts = self._calls.get(route, {}).values()
        return len(starts) >= self._slots(lane) and _time() - next(reversed(starts)) >= self.stall

    def _decide(self, candidate: Candidate, now: datetime, taken: Mapping[Way, int]) -> tuple[Decision, Way]:
        delivery, board = candidate.delivery, candidate.board
        hold = board.held_by(type_=candidate.notification.type, channel=delivery.channel)
        if hold and now < delivery.expires_at:
            return Decision.defer(delivery.channel, Reason.HELD, hold.look_again(now)), _NOWHERE
        type_ = self.catalogue.types.get(candidate.notification.type)
        if type_ is None:
            return Decision.skip(delivery.channel, Reason.UNKNOWN_TYPE), _NOWHERE
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
            return decision, _NOWHERE
        lane = self.lanes.get(delivery.channel)
        if lane is None:
            return self._wait(delivery.channel, now, now), _NOWHERE
        country = destination(candidate.person.contacts[delivery.channel].address)
        routes = board.ordered(lane.routes, now)

        def usable(route: str) -> bool:
            return board.passage(route, country, now) is not Passage.SHUT and not self._hangs(lane, route)

        route = next_route(delivery, type_, routes, [route for route in routes if usable(route)])
        if route is None:
            shut = [stop for one in routes if (stop := board.blocking(one, country, now))]
            free = min((stop.free_at(now) for stop in shut), default=now)
            return self._wait(delivery.channel, now, free), _NOWHERE
        way = (route, batch_size(type_, delivery, lane.batch(route)))
        if not self._fits(lane, way, taken):
            return Decision.defer(delivery.channel, Reason.LANE_WAITS, now + _SOON), _NOWHERE
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


_NOWHERE: Final = ("", 1)
_EVENTS: Final = {Scope.ACCOUNT: "account", Scope.ROUTE: "route", Scope.DESTINATION: "country"}


def _country(begun: Begun) -> str | None:
    point = begun.person.contacts.get(begun.delivery.channel)
    return destination(point.address) if point else None


def _time() -> float:
    return asyncio.get_running_loop().time()
