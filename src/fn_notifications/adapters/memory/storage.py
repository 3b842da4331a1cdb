"""The store's own upkeep, in memory: the same rules on what there is."""

import asyncio
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Final
from uuid import UUID

from attrs import frozen

from fn_notifications.adapters.memory.ledger import day_at
from fn_notifications.adapters.memory.state import Intake, NotificationKey, State
from fn_notifications.application.ports.storage import Keeping, Pruned, Vitals
from fn_notifications.application.taken import folded
from fn_notifications.domain.identity import day_of, first_id_at, parse_attempt_id

_BELOW_TIME: Final = 80
"""Bits of an id."""


@frozen
class MemoryStorage:
    """The Storage port over a `State`."""

    state: State

    async def prune(self, keeping: Keeping, limit: int) -> Pruned:  # noqa: ARG002 - memory is pruned whole
        """See the port. All at once: there is no lock that a large round would hold too long."""
        async with self.state.lock:
            await asyncio.sleep(0)
            now = self.state.clock()
            amounts, held = Counter[str](), Counter[str]()
            amounts["event_log"], held["event_log"] = self._log(_midnight(now - keeping.log))
            amounts.update(self._events(now - keeping.events))
            amounts["intakes"] = self._fold(_midnight(now - keeping.queue))
            amounts["notifications"], held["notifications"] = self._history(_month(now - keeping.history))
            return Pruned(amounts=+amounts, held=+held)

    async def vitals(self) -> Vitals:
        """See the port. There is nothing that could be in the way."""
        await asyncio.sleep(0)
        return Vitals()

    def _log(self, until: datetime) -> tuple[int, int]:
        waiting = [entry.at for shard in self.state.shards for entry in shard.waiting if entry.at < until]
        until = min(until, *map(_midnight, waiting)) if waiting else until
        kept = [one for one in self.state.log if one.at >= until]
        days = {_midnight(one.at) for one in self.state.log} - {_midnight(one.at) for one in kept}
        self.state.log[:] = kept
        self.state.log_since = max(self.state.log_since, day_at(until) if days else 0)
        return len(days), len({_midnight(at) for at in waiting})

    def _events(self, until: datetime) -> Counter[str]:
        gone = Counter[str]()
        for key in [key for key, at in self.state.identified.items() if at < until and key in self.state.identities]:
            del self.state.identities[key]
            self._archive(key[0], "identities", day_at(self.state.identified.pop(key)))
            gone["identities"] += 1
        for tenant, letter in [(tenant, one) for tenant, one in self.state.dead_letters if one.at < until]:
            self.state.dead_letters.remove((tenant, letter))
            del self.state.originals[letter.id]
            self._archive(tenant, "dead_letters", day_at(letter.at))
            gone["dead_letters"] += 1
        for id_, detained in list(self.state.quarantine.items()):
            if detained.outcome is not None and detained.held.held_at < until:
                del self.state.quarantine[id_]
                self._archive(detained.tenant, "held", day_at(detained.held.held_at))
                gone["held"] += 1
        for report in [report for report, at in self.state.nameless.items() if at < until]:
            del self.state.nameless[report]
            self.state.receipt_keys.discard(report)
            self._archive("", "receipts", 0)
            gone["receipts"] += 1
        for held, kept in list(self.state.kept.items()):
            if all(one.at < until for one in kept):
                del self.state.kept[held]
                gone["dedup_keys"] += 1
        return gone

    def _fold(self, until: datetime) -> int:
        days: dict[tuple[str, datetime], list[Intake]] = {}
        for one in self.state.intakes:
            if one.at < until:
                days.setdefault((one.tenant, _midnight(one.at)), []).append(one)
        before = len(self.state.intakes)
        self.state.intakes[:] = [one for one in self.state.intakes if one.at >= until] + [
            Intake(tenant=tenant, at=day, taken=one)
            for (tenant, day), intakes in days.items()
            for one in folded(intake.taken for intake in intakes)
        ]
        return before - len(self.state.intakes)

    def _history(self, until: datetime) -> tuple[int, int]:
        bound = first_id_at(until)
        self.state.history_since = max(self.state.history_since, day_at(until))
        old = [key for key in self.state.notifications if key[1] < bound]
        waiting = {named[0] for one in self.state.inbox if (named := parse_attempt_id(one.receipt.attempt_id or ""))}
        open_ = {_month_of(key.notification_id) for key in self.state.due if key.notification_id < bound}
        open_ |= {_month_of(id_) for id_ in waiting if id_ < bound}
        gone = [key for key in old if _month_of(key[1]) not in open_]
        self._forget(gone)
        return len(gone), len(open_)

    def _forget(self, keys: Iterable[NotificationKey]) -> None:
        for key in keys:
            notification, day = self.state.notifications.pop(key), day_of(key[1])
            for delivery in notification.deliveries:
                del self.state.deliveries[delivery.key]
                self._archive(key[0], "deliveries", day)
            self._archive(key[0], "notifications", day)
            if repeats := self.state.repeats.pop(key, 0):
                self._archive(key[0], "repeats", day, repeats)
            self.state.changes.pop(key, None)
            self.state.overruled.pop(key, None)
            for _, receipt in self.state.receipts.pop(key, ()):
                self.state.receipt_keys.discard((receipt.provider, receipt.key))
                self._archive(key[0], "receipts", day)

    def _archive(self, tenant: str, what: str, day: int, amount: int = 1) -> None:
        at = (tenant, what, day)
        self.state.archived[at] = self.state.archived.get(at, 0) + amount


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0, second=0, microsecond=0)


def _month(moment: datetime) -> datetime:
    return _midnight(moment).replace(day=1)


def _month_of(id_: UUID) -> tuple[int, int]:
    at = datetime.fromtimestamp((id_.int >> _BELOW_TIME) / 1000, tz=UTC)
    return at.year, at.month
