"""Held events, and dead letters to be tried again, in memory."""

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import datetime

from attrs import evolve, frozen

from fn_notifications.adapters.memory.state import Detained, State
from fn_notifications.application.ports.intake import Event, Hold, Original
from fn_notifications.application.ports.quarantine import Held, Tally, Wanted

_DISCARDED = "discarded"


def hold(state: State, tenant: str, event: Event, one: Hold) -> bool:
    """Put this into quarantine. Whether it was not there already. The lock is the caller's."""
    if any(
        (each.tenant, each.identity, each.held.user_id, each.held.type)
        == (tenant, event.identity, one.user.user_id, one.type)
        for each in state.quarantine.values()
    ):
        return False
    id_ = max(state.quarantine, default=0) + 1
    held = Held(
        id=id_,
        type=one.type,
        user_id=one.user.user_id,
        reason=one.reason,
        event_at=one.event_at,
        held_at=state.clock(),
        position=event.original.position,
    )
    state.quarantine[id_] = Detained(tenant=tenant, identity=event.identity, held=held, original=event.original)
    return True


def settle(state: State, id_: int, outcome: str) -> None:
    """Say what became of one, if it is held still; its bytes go. The lock is the caller's."""
    one = state.quarantine.get(id_)
    if one is not None and one.outcome is None:
        state.quarantine[id_] = evolve(one, outcome=outcome, original=None)


@frozen
class MemoryQuarantine:
    """The Quarantine port over a `State`."""

    state: State

    async def held(self, tenant: str, wanted: Wanted, limit: int, *, after: Held | None = None) -> Sequence[Held]:
        """See the port."""
        await asyncio.sleep(0)
        found = sorted(self._fitting(tenant, wanted), key=_place)
        return [one for one in found if after is None or _place(one) > _place(after)][:limit]

    async def opened(self, tenant: str, ids: Collection[int]) -> Mapping[int, Original]:
        """See the port."""
        await asyncio.sleep(0)
        found = {id_: self.state.quarantine[id_] for id_ in ids if id_ in self.state.quarantine}
        return {id_: one.original for id_, one in found.items() if one.tenant == tenant and one.original}

    async def discard(self, tenant: str, wanted: Wanted, *, keep: int = 0) -> int:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            newest = sorted(self._fitting(tenant, wanted), key=_place, reverse=True)
            seen: Counter[tuple[str, str]] = Counter()
            discarded = 0
            for one in newest:
                seen[one.user_id, one.type] += 1
                if seen[one.user_id, one.type] > keep:
                    settle(self.state, one.id, _DISCARDED)
                    discarded += 1
            return discarded

    async def tally(self, tenant: str, wanted: Wanted) -> Sequence[Tally]:
        """See the port."""
        await asyncio.sleep(0)
        counts: Counter[tuple[str, str, str]] = Counter()
        reasons = {}
        for one in self.state.quarantine.values():
            if one.tenant == tenant and wanted.fits(one.held):
                what = {None: "held", _DISCARDED: _DISCARDED}.get(one.outcome, "released")
                counts[one.held.type, one.held.reason, what] += 1
                reasons[one.held.type, one.held.reason] = one.held.reason
        return [
            Tally(
                type=type_,
                reason=reason,
                held=counts[type_, reason, "held"],
                released=counts[type_, reason, "released"],
                discarded=counts[type_, reason, _DISCARDED],
            )
            for (type_, _), reason in sorted(reasons.items())
        ]

    def _fitting(self, tenant: str, wanted: Wanted) -> Iterator[Held]:
        for one in self.state.quarantine.values():
            if one.tenant == tenant and one.outcome is None and wanted.fits(one.held):
                yield one.held


@frozen
class MemoryDeadLetters:
    """The DeadLetters port over a `State`."""

    state: State

    async def opened(self, tenant: str, letter: int) -> Original | None:
        """See the port."""
        await asyncio.sleep(0)
        mine = any(owner == tenant and one.id == letter for owner, one in self.state.dead_letters)
        return self.state.originals.get(letter) if mine else None

    async def replayed(self, tenant: str, letter: int) -> None:
        """See the port."""
        async with self.state.lock:
            await asyncio.sleep(0)
            now = self.state.clock()
            self.state.dead_letters[:] = [
                (owner, evolve(one, replayed_at=one.replayed_at or now) if (owner, one.id) == (tenant, letter) else one)
                for owner, one in self.state.dead_letters
            ]


def _place(held: Held) -> tuple[datetime, int]:
    return held.event_at, held.id
