"""Why something that could go does not: held, shut, or behind others. Sentences for people."""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from fn_notifications.application.ports.routes import Seen
from fn_notifications.domain.address import Channel
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import Scope
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routes import Hold, HoldKind
from fn_notifications.domain.stops import Passage, Stop, names

_WAITS = (Reason.HELD, Reason.LANE_WAITS)


def waits(delivery: Delivery, type_: str, routes: Sequence[str], country: str | None, seen: Seen) -> Sequence[str]:
    """Why a pending delivery waits for the way out, and not for a time of its own; nothing for any other."""
    due = delivery.due_at is not None and delivery.due_at <= seen.now
    if delivery.status is not Status.PENDING or not (due or delivery.reason in _WAITS):
        return ()
    found = tuple(_found(delivery.channel, type_, routes, country, seen))
    return found or ("others are before it: it goes as soon as there is room",)


def waiting_channels(
    lanes: Mapping[Channel, Sequence[str]], seen: Seen, horizon: timedelta
) -> Mapping[Channel, Sequence[str]]:
    """Channels of which nothing can go within the horizon, as far as is known, and why."""
    until = seen.now + horizon
    return {
        channel: tuple(_found(channel, None, routes, None, seen))
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
    channel: Channel, type_: str | None, routes: Sequence[str], country: str | None, seen: Seen
) -> Iterator[str]:
    board, now = seen.board, seen.now
    if hold := board.held_by(type_=type_, channel=channel):
        yield hold_sentence(hold)
        return
    if not routes:
        yield "no provider is configured for this channel"
    told = set[str]()
    for route in board.ordered(routes, now):
        if held := board.held_by(route=route):
            yield hold_sentence(held)
        for name in names(route, country):
            stop = board.stops.get(name)
            if stop and name not in told and stop.passage(now) is not Passage.OPEN:
                told.add(name)
                yield stop_sentence(stop, now)
        standing = board.standings.get(route)
        if standing and standing.rate:
            yield f"route {route} takes {standing.rate:g} calls a second and no more"
