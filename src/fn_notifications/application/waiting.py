"""Why something that could go does not: held, shut, or behind others. Sentences for people."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from fn_notifications.application.changes import TURNED_DOWN
from fn_notifications.application.ports.ledger import Backlog
from fn_notifications.application.ports.routes import Seen
from fn_notifications.domain.address import Channel
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import Scope
from fn_notifications.domain.routes import Hold, HoldKind
from fn_notifications.domain.stops import Passage, Stop, names

_NOTHING: Final = "nothing is known to be in the way any more"
_ROOM: Final = "others are before it: it goes as soon as there is room"


@frozen(kw_only=True)
class Queue:
    """Deliveries of one channel that wait for the same."""

    channel: Channel
    deliveries: int
    since: datetime
    """When the first of them began to wait."""
    causes: tuple[str, ...]


def waits(delivery: Delivery, type_: str, routes: Sequence[str], country: str | None, seen: Seen) -> Sequence[str]:
    """Why a pending delivery waits for the way out, and not for a time of its own; nothing for any other."""
    due, down = delivery.due_at is not None and delivery.due_at <= seen.now, delivery.reason in TURNED_DOWN
    if delivery.status is not Status.PENDING or not (due or down):
        return ()
    found = tuple(_found(delivery.channel, type_, routes, country, seen, down=down))
    return found or (_ROOM if due else _NOTHING,)


def kept(delivery: Delivery, type_: str, routes: Sequence[str], seen: Seen) -> Sequence[str]:
    """What is in the way of a delivery whose time is over; nothing where it was put off, to the last, for a time."""
    down = delivery.reason in TURNED_DOWN
    put_off = delivery.due_at is None or delivery.due_at >= delivery.expires_at
    return () if put_off and not down else tuple(_found(delivery.channel, type_, routes, None, seen, down=down))


def queues(backlog: Iterable[Backlog], lanes: Mapping[Channel, Sequence[str]], seen: Seen) -> Sequence[Queue]:
    """What waits, by what it waits for: the most first."""
    together: dict[tuple[Channel, tuple[str, ...]], list[Backlog]] = {}
    for one in backlog:
        routes, down = lanes.get(one.channel, ()), one.reason is not None
        found = tuple(_found(one.channel, one.type, routes, None, seen, down=down))
        causes = found or tuple(_countries(routes, seen) if down else ()) or (_NOTHING if down else _ROOM,)
        together.setdefault((one.channel, causes), []).append(one)
    found_queues = [
        Queue(
            channel=channel,
            deliveries=sum(one.deliveries for one in ones),
            since=min(one.since for one in ones),
            causes=causes,
        )
        for (channel, causes), ones in together.items()
    ]
    return sorted(found_queues, key=lambda queue: (-queue.deliveries, queue.channel, queue.causes))


def waiting_channels(
    lanes: Mapping[Channel, Sequence[str]], seen: Seen, horizon: timedelta
) -> Mapping[Channel, Sequence[str]]:
    """Channels of which nothing can go within the horizon, as far as is known, and why."""
    until = seen.now + horizon
    return {
        channel: tuple(_found(channel, None, routes, None, seen, down=True))
        for channel, routes in lanes.items()
        if seen.board.shut_beyond(channel, routes, seen.now, until)
    }


def hold_sentence(hold: Hold) -> str:
    """A hold in words."""
    what = "everything" if hold.kind is HoldKind.ALL else f"{hold.kind} {hold.name}"
    why = f": {hold.reason}" if hold.reason else ""
    return f"{what} is held back by {hold.by or 'an operator'} since {clock(hold.since)}{why}"


def stop_sentence(stop: Stop, now: datetime) -> str:
    """A stop in words."""
    code = f" (it said {stop.code})" if stop.code else ""
    match stop.passage(now):
        case Passage.SHUT if stop.probe_until and now >= stop.until:
            return f"{_WHAT[stop.scope]} {stop.what} is being tried again{code}"
        case Passage.SHUT:
            how = "shut" if stop.probes else "resting, as it asked to be,"
            return f"{_WHAT[stop.scope]} {stop.what} is {how} until {clock(stop.until)}{code}"
        case _:
            return f"{_WHAT[stop.scope]} {stop.what} was shut since {clock(stop.since)}{code}; the next call tries it"


def clock(moment: datetime) -> str:
    """A time as it is written for people."""
    return moment.strftime("%Y-%m-%d %H:%M:%S UTC")


_WHAT = {Scope.ACCOUNT: "account", Scope.ROUTE: "route", Scope.DESTINATION: "the way to"}


def _found(
    channel: Channel, type_: str | None, routes: Sequence[str], country: str | None, seen: Seen, *, down: bool
) -> Iterator[str]:
    """What is in the way. With a route open, what was not turned down (`down`) only has others before it."""
    board, now = seen.board, seen.now
    if hold := board.held_by(type_=type_, channel=channel):
        yield hold_sentence(hold)
        return
    if not routes:
        yield "no provider is configured for this channel"
    free = not down and any(board.passage(route, country, now) is Passage.OPEN for route in routes)
    ways = () if free else board.ordered(routes, now)
    yield from dict.fromkeys(sentence for route in ways for sentence in _shut(route, country, seen))
    for route in routes:
        standing = board.standings.get(route)
        if standing and standing.rate:
            yield f"route {route} takes {standing.rate:g} calls a second and no more"


def _shut(route: str, country: str | None, seen: Seen) -> Iterator[str]:
    if held := seen.board.held_by(route=route):
        yield hold_sentence(held)
    for name in names(route, country):
        stop = seen.board.stops.get(name)
        if stop and stop.passage(seen.now) is not Passage.OPEN:
            yield stop_sentence(stop, seen.now)


def _countries(routes: Sequence[str], seen: Seen) -> Iterator[str]:
    for stop in seen.board.stops.values():
        narrow = stop.scope is Scope.DESTINATION and stop.what.partition("+")[0] in routes
        if narrow and stop.passage(seen.now) is not Passage.OPEN:
            yield stop_sentence(stop, seen.now)
