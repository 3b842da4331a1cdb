"""The board in its tables: read whole, in one statement, alone or as a part of somebody's transaction."""

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import evolve

from fn_notifications.adapters.postgres.pool import Connection, execute, fetch
from fn_notifications.domain.outcome import Scope
from fn_notifications.domain.routes import Board, Hold, HoldKind, Pin, Standing
from fn_notifications.domain.slowness import Demotion
from fn_notifications.domain.stops import Passage, Stop

# One row, whatever there is: `begin` pays for it with every wave.
_READ: Final = """
WITH held AS (SELECT * FROM holds {share}),
     shut AS (SELECT *, extract(epoch FROM span) AS seconds FROM route_stops),
     mine AS ({mine})
SELECT fn_now() AS now,
       (SELECT json_agg(h) FROM held h) AS holds,
       (SELECT json_agg(s) FROM shut s) AS stops,
       (SELECT json_agg(m.what) FROM mine m) AS mine,
       (SELECT json_agg(r) FROM routes r) AS routes
"""
READ: Final = _READ.format(share="", mine="SELECT NULL::text AS what WHERE false")

# A probe is one for all processes: who finds its row locked leaves it to them. A row that changed while this looked at
# it no longer fits the condition, and is left alone as well.
READ_TO_BEGIN: Final = _READ.format(
    share="FOR SHARE",
    mine="""
    SELECT what FROM route_stops
    WHERE probes AND NOT (SELECT fn_now()) BETWEEN since AND until
      AND (probe_until IS NULL OR NOT (SELECT fn_now()) BETWEEN probe_since AND probe_until)
    FOR NO KEY UPDATE SKIP LOCKED""",
)

_WRITE: Final = """
INSERT INTO route_stops (what, scope, since, until, code, span, probes, times, probe_since, probe_until)
SELECT what, scope, since, until, code, make_interval(secs => seconds), probes, times, probe_since, probe_until
FROM json_to_recordset(%(stops)s) AS i (
    what text, scope text, since timestamptz, until timestamptz, code text, seconds double precision, probes boolean,
    times integer, probe_since timestamptz, probe_until timestamptz)
ON CONFLICT (what) DO UPDATE SET
    scope = excluded.scope, since = excluded.since, until = excluded.until, code = excluded.code, span = excluded.span,
    probes = excluded.probes, times = excluded.times, probe_since = excluded.probe_since,
    probe_until = excluded.probe_until
"""

_PATIENCE: Final = timedelta(seconds=5)
"""How long somebody else's probe counts as under way whose begin is not committed yet."""


async def read_board(connection: Connection) -> tuple[datetime, Board]:
    """The board and when it was read."""
    (row,) = await fetch(connection, READ)
    return row.now, _board(row)


async def board_to_begin(connection: Connection) -> Board:
    """The board for calls that begin in this transaction, its holds share-locked, and the probes that are to be had
    locked for this transaction: what others are about to probe shows as shut.
    """
    (row,) = await fetch(connection, READ_TO_BEGIN)
    board, mine = _board(row), set(row.mine or ())
    others = {
        what: evolve(stop, probe_since=row.now, probe_until=row.now + _PATIENCE)
        for what, stop in board.stops.items()
        if what not in mine and stop.probes and stop.passage(row.now + _PATIENCE) is Passage.PROBE
    }
    return evolve(board, stops={**board.stops, **others})


async def write_stops(connection: Connection, stops: Iterable[Stop]) -> None:
    """Store these as they are now."""
    rows = [_stop_row(stop) for stop in sorted(stops, key=lambda stop: stop.what)]
    if rows:
        await execute(connection, _WRITE, stops=rows)


def _board(row: Any) -> Board:
    return Board(
        stops={one["what"]: _stop(one) for one in row.stops or ()},
        standings={one["name"]: _standing(one) for one in row.routes or ()},
        holds=tuple(
            Hold(
                kind=HoldKind(one["kind"]),
                name=one["name"],
                since=_time(one["since"]),
                reason=one["reason"],
                by=one["by"],
            )
            for one in row.holds or ()
        ),
    )


def _stop(row: Mapping[str, Any]) -> Stop:
    return Stop(
        what=row["what"],
        scope=Scope(row["scope"]),
        since=_time(row["since"]),
        until=_time(row["until"]),
        code=row["code"],
        span=timedelta(seconds=row["seconds"]),
        probes=row["probes"],
        times=row["times"],
        probe_since=_maybe(row["probe_since"]),
        probe_until=_maybe(row["probe_until"]),
    )


def _stop_row(stop: Stop) -> dict[str, Any]:
    return {
        "what": stop.what,
        "scope": stop.scope,
        "since": stop.since,
        "until": stop.until,
        "code": stop.code,
        "seconds": stop.span.total_seconds(),
        "probes": stop.probes,
        "times": stop.times,
        "probe_since": stop.probe_since,
        "probe_until": stop.probe_until,
    }


def _standing(row: Mapping[str, Any]) -> Standing:
    pinned = _maybe(row["pinned_until"])
    since, until = _maybe(row["demoted_since"]), _maybe(row["demoted_until"])
    return Standing(
        pin=Pin(until=pinned, reason=row["pin_reason"] or "", by=row["pinned_by"] or "") if pinned else None,
        demotion=Demotion(since=since, until=until, times=row["demotions"]) if since and until else None,
        rate=row["rate"],
    )


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _maybe(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None
