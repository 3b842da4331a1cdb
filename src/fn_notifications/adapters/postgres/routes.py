"""What all processes hold in common about the ways out, in PostgreSQL."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import frozen

from fn_notifications.adapters.postgres.aggregates import store_time
from fn_notifications.adapters.postgres.boards import read_board, write_stops
from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.adapters.postgres.rows import Row
from fn_notifications.application.ports.routes import Change, Judge, Seen
from fn_notifications.domain.events import Evidence
from fn_notifications.domain.identity import first_id_at
from fn_notifications.domain.rates import Bucket
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.domain.routes import HoldKind, Standing
from fn_notifications.domain.slowness import LATE, WINDOW, Speed
from fn_notifications.domain.stops import Turn, Word, after, channel_of

_SAMPLE: Final = 2000
"""Attempts, the latest of those old enough."""
_BACK: Final = timedelta(hours=1)
"""How long before its attempt an event may have happened for it to be in the sample."""
_WOKEN: Final = 1000
"""Rows a release wakes in one transaction."""

# Reports are one after another: what is shut for the first time has no row to lock. Begins that take a probe lock its
# row only, and never wait for a report.
_ONE_AFTER_ANOTHER: Final = "SELECT pg_advisory_xact_lock(hashtextextended('fn-notifications routes', 0))"
_LOCK_STOPS: Final = "SELECT FROM route_stops ORDER BY what FOR NO KEY UPDATE"
_DELETE_STOPS: Final = """
DELETE FROM route_stops s USING json_to_recordset(%(gone)s) AS i (what text) WHERE s.what = i.what
"""

_MAKE: Final = """
INSERT INTO routes (name) SELECT name FROM json_to_recordset(%(routes)s) AS i (name text) ORDER BY name
ON CONFLICT (name) DO NOTHING
"""
_LOCK: Final = """
SELECT r.* FROM routes r JOIN json_to_recordset(%(routes)s) AS i (name text) USING (name)
ORDER BY r.name FOR NO KEY UPDATE OF r
"""
_FILL: Final = """
UPDATE routes r SET rate = i.rate, level = i.level, filled_at = i.filled_at
FROM json_to_recordset(%(routes)s) AS i (
    name text, rate double precision, level double precision, filled_at timestamptz)
WHERE r.name = i.name
"""

_HOLD: Final = """
INSERT INTO holds (kind, name, since, reason, by)
VALUES (%(kind)s, %(name)s, (SELECT fn_now()), %(reason)s, %(by)s)
ON CONFLICT (kind, name) DO NOTHING RETURNING 1 AS held
"""
_RELEASE: Final = "DELETE FROM holds WHERE kind = %(kind)s AND name = %(name)s RETURNING 1 AS released"
_WAKE: Final = """
WITH woken AS (
    UPDATE due SET due_at = (SELECT fn_now()), ready = true, held = false
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM due
        WHERE held AND status = 'pending' AND NOT ready AND lease_until IS NULL
        LIMIT %(limit)s FOR UPDATE SKIP LOCKED))
    RETURNING 1
)
SELECT count(*) AS woken FROM woken
"""

_PIN: Final = """
INSERT INTO routes (name, pinned_until, pin_reason, pinned_by)
VALUES (%(route)s, (SELECT fn_now()) + make_interval(secs => %(span)s), %(reason)s, %(by)s)
ON CONFLICT (name) DO UPDATE SET
    pinned_until = excluded.pinned_until, pin_reason = excluded.pin_reason, pinned_by = excluded.pinned_by
RETURNING pinned_until
"""
_UNPIN: Final = """
UPDATE routes r SET pinned_until = NULL, pin_reason = NULL, pinned_by = NULL
FROM json_to_recordset(%(routes)s) AS i (name text)
WHERE r.name = i.name AND r.pinned_until IS NOT NULL RETURNING 1 AS unpinned
"""

_DEMOTE: Final = """
UPDATE routes SET demoted_since = %(since)s::timestamptz, demoted_until = %(until)s::timestamptz, demotions = %(times)s
WHERE name = %(route)s
"""
_SPEEDS: Final = """
SELECT a.route, count(*) AS known, count(r.at) AS arrived,
       count(*) FILTER (WHERE r.at IS NULL OR r.at - a.started_at > make_interval(secs => %(late)s)) AS late
FROM (
    SELECT a.* FROM attempts a
    WHERE a.tenant = %(tenant)s AND a.notification_id >= %(first)s::uuid AND a.notification_id < %(last)s::uuid
    ORDER BY a.tenant DESC, a.notification_id DESC LIMIT %(sample)s
) AS a
LEFT JOIN LATERAL (
    SELECT min(r.at) AS at FROM receipts r
    WHERE r.tenant = a.tenant AND r.notification_id = a.notification_id AND r.delivery_no = a.delivery_no
      AND (r.attempt_no = a.no OR r.attempt_no IS NULL) AND r.kind = %(arrived)s
) AS r ON true
WHERE a.evidence IN (%(accepted)s, %(delivered)s)
  AND a.started_at BETWEEN %(from)s::timestamptz AND %(to)s::timestamptz
GROUP BY a.route
"""


@frozen
class PostgresRoutes:
    """The Routes port. Speeds are measured on this tenant's attempts."""

    database: Database
    tenant: str = "default"

    async def board(self) -> Seen:
        """See the port."""

        async def work(connection: Connection) -> Seen:
            now, board = await read_board(connection)
            return Seen(now=now, board=board)

        return await self.database.run(work)

    async def report(self, words: Sequence[Word]) -> Sequence[Turn]:
        """See the port. Repeated after an unknown commit it turns nothing, and nobody hears of the turn."""

        async def work(connection: Connection) -> Sequence[Turn]:
            await execute(connection, _ONE_AFTER_ANOTHER)
            await execute(connection, _LOCK_STOPS)
            now, board = await read_board(connection)
            stops, turns = after(board.stops, words, now)
            await write_stops(connection, [stop for what, stop in stops.items() if stop != board.stops.get(what)])
            if gone := [{"what": what} for what in board.stops.keys() - stops.keys()]:
                await execute(connection, _DELETE_STOPS, gone=gone)
            return turns

        return await self.database.run(work) if words else []

    async def permits(self, wanted: Mapping[str, int], rates: Mapping[str, float]) -> Mapping[str, int]:
        """See the port. Permits whose commit stays unknown are lost."""

        async def work(connection: Connection) -> Mapping[str, int]:
            rows = await self._locked(connection, rates)
            now, given, filled = await store_time(connection), {}, []
            for row in rows:
                rate = rates[row.name]
                full = row.level is None or row.filled_at is None
                bucket = Bucket.full(rate, now) if full else Bucket(level=row.level, at=row.filled_at)
                left, given[row.name] = bucket.take(wanted.get(row.name, 0), rate, now)
                filled.append({"name": row.name, "rate": rate, "level": left.level, "filled_at": left.at})
            await execute(connection, _FILL, routes=filled)
            return given

        return await self.database.run(work) if rates else {}

    async def hold(self, kind: HoldKind, name: str, *, reason: str, by: str) -> bool:
        """See the port."""

        async def work(connection: Connection) -> bool:
            return bool(await fetch(connection, _HOLD, kind=kind, name=name, reason=reason, by=by))

        return await self.database.run(work)

    async def release(self, kind: HoldKind, name: str) -> bool:
        """See the port."""

        async def work(connection: Connection) -> bool:
            if kind is HoldKind.ROUTE:
                await self._mend(connection, name)
            return bool(await fetch(connection, _RELEASE, kind=kind, name=name))

        async def wake(connection: Connection) -> int:
            (row,) = await fetch(connection, _WAKE, limit=_WOKEN)
            return int(row.woken)

        released = await self.database.run(work)
        while await self.database.run(wake):
            pass
        return released

    async def pin(self, route: str, span: timedelta, *, reason: str, by: str) -> datetime:
        """See the port."""

        async def work(connection: Connection) -> datetime:
            await execute(connection, _ONE_AFTER_ANOTHER)
            _, board = await read_board(connection)
            others = [other for other in board.standings if channel_of(other) == channel_of(route)]
            await fetch(connection, _UNPIN, routes=[{"name": other} for other in sorted(others)])
            (row,) = await fetch(connection, _PIN, route=route, span=span.total_seconds(), reason=reason, by=by)
            until: datetime = row.pinned_until
            return until

        return await self.database.run(work)

    async def unpin(self, route: str) -> bool:
        """See the port."""

        async def work(connection: Connection) -> bool:
            return bool(await fetch(connection, _UNPIN, routes=[{"name": route}]))

        return await self.database.run(work)

    async def weigh(self, routes: Collection[str], judge: Judge) -> Change | None:
        """See the port."""

        async def work(connection: Connection) -> Change | None:
            await self._locked(connection, routes)
            now, board = await read_board(connection)
            standings = {route: board.standings.get(route, Standing()).demotion for route in routes}
            change = judge(standings, await self._speeds(connection, now), now)
            if change:
                route, demotion = change
                await execute(
                    connection,
                    _DEMOTE,
                    route=route,
                    since=demotion.since.isoformat(),
                    until=demotion.until.isoformat(),
                    times=demotion.times,
                )
            return change

        return await self.database.run(work)

    async def _mend(self, connection: Connection, route: str) -> None:
        await execute(connection, _ONE_AFTER_ANOTHER)
        await execute(connection, _LOCK_STOPS)
        now, board = await read_board(connection)
        mended = board.mended(route, now).stops
        await write_stops(connection, [stop for what, stop in mended.items() if stop != board.stops[what]])

    async def _locked(self, connection: Connection, routes: Collection[str]) -> Sequence[Row]:
        """The rows of these routes, made where they are missing, locked in order of their names."""
        names = [{"name": route} for route in sorted(routes)]
        rows = await fetch(connection, _LOCK, routes=names)
        if len(rows) < len(names):
            await execute(connection, _MAKE, routes=names)
            rows = await fetch(connection, _LOCK, routes=names)
        return rows

    async def _speeds(self, connection: Connection, now: datetime) -> Mapping[str, Speed]:
        rows = await fetch(
            connection,
            _SPEEDS,
            tenant=self.tenant,
            first=str(first_id_at(now - WINDOW - _BACK)),
            last=str(first_id_at(now - LATE)),
            sample=_SAMPLE,
            late=LATE.total_seconds(),
            arrived=ReceiptKind.DELIVERED,
            accepted=int(Evidence.ACCEPTED),
            delivered=int(Evidence.DELIVERED),
            **{"from": (now - WINDOW).isoformat(), "to": (now - LATE).isoformat()},
        )
        return {row.route: Speed(known=row.known, late=row.late) for row in rows if row.arrived}
