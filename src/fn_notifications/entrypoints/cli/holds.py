"""`holds`: what is held back, which routes are shut, pinned or slow, and why."""

import argparse
import asyncio
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from attrs import asdict, evolve

from fn_notifications.application.ports.routes import Seen
from fn_notifications.application.waiting import clock, hold_sentence, stop_sentence
from fn_notifications.domain.stops import Passage, channel_of
from fn_notifications.entrypoints.cli.context import database_of_running
from fn_notifications.entrypoints.cli.operators import operating
from fn_notifications.entrypoints.parts import routes_of
from fn_notifications.entrypoints.settings import Settings

_PASSAGES = {Passage.OPEN: "open", Passage.PROBE: "to be tried again", Passage.SHUT: "shut"}


def run(arguments: argparse.Namespace) -> int:
    """Print them."""
    settings = database_of_running()
    seen = asyncio.run(_read(settings))
    routes = [route for channel in routes_of(settings).values() for route in channel]
    if arguments.json:
        print(json.dumps(_document(seen, routes), default=str, indent=2))
    else:
        print("\n".join(_lines(seen, routes)))
    return 0


async def _read(settings: Settings) -> Seen:
    async with operating(settings) as operator:
        return await operator.board()


def _document(seen: Seen, routes: Sequence[str]) -> Mapping[str, Any]:
    board = seen.board
    return {
        "holds": [asdict(hold) for hold in board.holds],
        "routes": {
            route: {
                "state": _state(seen, route),
                "held": _is_held(seen, route),
                **(asdict(board.standings[route]) if route in board.standings else {}),
            }
            for route in dict.fromkeys((*routes, *board.standings))
        },
        "stops": [
            asdict(stop) | {"state": _PASSAGES[stop.passage(seen.now)]}
            for stop in board.stops.values()
            if stop.passage(seen.now) is not Passage.OPEN
        ],
    }


def _lines(seen: Seen, routes: Sequence[str]) -> Iterator[str]:
    board, now = seen.board, seen.now
    yield from (hold_sentence(hold) for hold in board.holds)
    if not board.holds:
        yield "nothing is held back"
    yield ""
    for route in dict.fromkeys((*routes, *board.standings)):
        standing = board.standings.get(route)
        notes = ["held back"] if _is_held(seen, route) else []
        if not notes or _state(seen, route) != _PASSAGES[Passage.OPEN]:
            notes.append(_state(seen, route))
        if standing and standing.pin and now < standing.pin.until:
            notes.append(f"pinned by {standing.pin.by} until {clock(standing.pin.until)}")
        if standing and standing.demotion and standing.demotion.lasts(now):
            notes.append(f"slow, behind the others until {clock(standing.demotion.until)}")
        if standing and standing.rate:
            notes.append(f"{standing.rate:g} calls a second")
        yield f"{route:<20} {', '.join(notes)}"
    yield from (stop_sentence(stop, now) for stop in board.stops.values() if stop.passage(now) is not Passage.OPEN)


def _is_held(seen: Seen, route: str) -> bool:
    """Whether everything on a route waits for an operator."""
    return seen.board.held_by(route=route, channel=channel_of(route)) is not None


def _state(seen: Seen, route: str) -> str:
    """How a route stands by itself, whatever is held."""
    return _PASSAGES[evolve(seen.board, holds=()).passage(route, None, seen.now)]
