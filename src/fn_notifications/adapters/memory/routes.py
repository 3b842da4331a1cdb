"""What all processes hold in common about the ways out, in memory."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from attrs import evolve, frozen

from fn_notifications.adapters.memory.state import State
from fn_notifications.application.ports.routes import Change, Judge, Seen
from fn_notifications.domain.delivery import DeliveryKey
from fn_notifications.domain.events import Attempt, Evidence
from fn_notifications.domain.identity import parse_attempt_id
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.rates import Bucket
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.domain.routes import Hold, HoldKind, Pin, Standing
from fn_notifications.domain.slowness import LATE, WINDOW, Speed
from fn_notifications.domain.stops import Turn, Word, after, channel_of

_UNTOUCHED: Final = Standing()


@frozen
class MemoryRoutes:
    """The Routes port over a `State`."""

    state: State

    async def board(self) -> Seen:
        """See the port."""
        await asyncio.sleep(0)
        return Seen(now=self.state.clock(), board=self.state.board)

    async def report(self, words: Sequence[Word]) -> Sequence[Turn]:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            stops, turns = after(self.state.board.stops, words, self.state.clock())
            self.state.board = evolve(self.state.board, stops=stops)
            return turns

    async def permits(self, wanted: Mapping[str, int], rates: Mapping[str, float]) -> Mapping[str, int]:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            now, given = self.state.clock(), {}
            for route, rate in rates.items():
                bucket = self.state.buckets.get(route) or Bucket.full(rate, now)
                self.state.buckets[route], given[route] = bucket.take(wanted.get(route, 0), rate, now)
                self._stand(route, evolve(self._standing(route), rate=rate))
            return given

    async def hold(self, kind: HoldKind, name: str, *, reason: str, by: str) -> bool:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            holds = self.state.board.holds
            if any((hold.kind, hold.name) == (kind, name) for hold in holds):
                return False
            one = Hold(kind=kind, name=name, since=self.state.clock(), reason=reason, by=by)
            self.state.board = evolve(self.state.board, holds=(*holds, one))
            return True

    async def release(self, kind: HoldKind, name: str) -> bool:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            board, now = self.state.board, self.state.clock()
            kept = tuple(hold for hold in board.holds if (hold.kind, hold.name) != (kind, name))
            board = board.mended(name, now) if kind is HoldKind.ROUTE else board
            self.state.board, was = evolve(board, holds=kept), len(kept) < len(self.state.board.holds)
            for key, place in self.state.due.items():
                one = self.state.deliveries[key]
                if one.reason is Reason.HELD and one.status is Status.PENDING and place.lease_until is None:
                    self.state.due[key] = evolve(place, at=now)
            return was

    async def pin(self, route: str, span: timedelta, *, reason: str, by: str) -> datetime:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            for other, standing in self.state.board.standings.items():
                if channel_of(other) == channel_of(route):
                    self._stand(other, evolve(standing, pin=None))
            until = self.state.clock() + span
            self._stand(route, evolve(self._standing(route), pin=Pin(until=until, reason=reason, by=by)))
            return until

    async def unpin(self, route: str) -> bool:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            standing = self._standing(route)
            self._stand(route, evolve(standing, pin=None))
            return standing.pin is not None

    async def weigh(self, routes: Collection[str], judge: Judge) -> Change | None:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            now = self.state.clock()
            change = judge({route: self._standing(route).demotion for route in routes}, self._speeds(now), now)
            if change:
                route, demotion = change
                self._stand(route, evolve(self._standing(route), demotion=demotion))
            return change

    def _standing(self, route: str) -> Standing:
        return self.state.board.standings.get(route, _UNTOUCHED)

    def _stand(self, route: str, standing: Standing) -> None:
        standings = {**self.state.board.standings, route: standing}
        self.state.board = evolve(self.state.board, standings=standings)

    def _speeds(self, now: datetime) -> Mapping[str, Speed]:
        took: dict[str, list[timedelta | None]] = {}
        for key, delivery in self.state.deliveries.items():
            for attempt in delivery.attempts:
                old_enough = now - WINDOW <= attempt.started_at <= now - LATE
                if old_enough and attempt.evidence in (Evidence.ACCEPTED, Evidence.DELIVERED):
                    took.setdefault(attempt.route, []).append(self._took(key, attempt))
        return {
            route: Speed(known=len(times), late=sum(time is None or time > LATE for time in times))
            for route, times in took.items()
            if any(time is not None for time in times)
        }

    def _took(self, key: DeliveryKey, attempt: Attempt) -> timedelta | None:
        arrived = [
            receipt.at
            for no, receipt in self.state.receipts.get((key.tenant, key.notification_id), ())
            if no == key.no and receipt.kind is ReceiptKind.DELIVERED and _about(receipt.attempt_id, attempt)
        ]
        return min(arrived) - attempt.started_at if arrived else None


def _about(attempt_id: str | None, attempt: Attempt) -> bool:
    named = parse_attempt_id(attempt_id or "")
    return named is None or named[2] == attempt.no
