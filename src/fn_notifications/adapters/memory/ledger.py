"""The accounts of what is in memory, read off the same things that PostgreSQL reads them off."""

from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

from attrs import define

from fn_notifications.adapters.memory.state import Intake, State
from fn_notifications.application.changes import TURNED_DOWN, turned_down_since
from fn_notifications.application.outward import Transition
from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.application.ports.ledger import Account, Backlog, Equation, Ledger
from fn_notifications.domain.address import Channel
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.events import Evidence
from fn_notifications.domain.identity import day_of
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.reasons import Reason

_ACCEPTED: Final = frozenset({Evidence.ACCEPTED, Evidence.UNDELIVERED, Evidence.DELIVERED})
_DAY: Final = timedelta(days=1)


@define
class Accounts:
    """One tenant's, from one day on."""

    state: State
    tenant: str
    since: int

    def ledger(self) -> Ledger:
        """All of them."""
        counts: Counter[EventOutcome] = Counter()
        for one in self._intakes():
            counts.update(one.taken.counts)
        archived: Counter[str] = Counter()
        for (tenant, what, day), amount in self.state.archived.items():
            if tenant == self.tenant and day >= self.since:
                archived[what] += amount
        return Ledger(
            events=dict(counts),
            deliveries=dict(Counter(one.status for one in self._deliveries() if one.status)),
            archived=dict(archived),
            accounts=tuple(self._accounts(archived)),
        )

    def _accounts(self, archived: Counter[str]) -> Iterator[Account]:
        yield self._events()
        intakes = [one.taken for one in self._intakes()]
        identities = sum(
            key[0] == self.tenant and day_at(at) >= self.since
            for key, at in self.state.identified.items()
            if key in self.state.identities
        )
        letters = sum(
            tenant == self.tenant and day_at(letter.at) >= self.since for tenant, letter in self.state.dead_letters
        )
        yield _account(Equation.IDENTITIES, sum(one.identities for one in intakes), identities + archived["identities"])
        yield _account(
            Equation.DEAD_LETTERS, sum(one.dead_letters for one in intakes), letters + archived["dead_letters"]
        )
        held = sum(
            one.tenant == self.tenant and day_at(one.held.held_at) >= self.since
            for one in self.state.quarantine.values()
        )
        yield _account(Equation.HELD, sum(one.held for one in intakes), held + archived["held"])
        notifications = sum(self._is_ours(*key) for key in self.state.notifications)
        repeats = sum(many for key, many in self.state.repeats.items() if self._is_ours(*key))
        made = self._made()
        yield _account(Equation.NOTIFICATIONS, made[0], notifications + archived["notifications"])
        yield _account(Equation.DELIVERIES, made[1], len(self._deliveries()) + archived["deliveries"])
        yield _account(Equation.REPEATS, made[2], repeats + archived["repeats"])
        yield _account(Equation.REQUESTS, notifications, notifications)
        forgotten = sum(amount for (_, what, _), amount in self.state.archived.items() if what == "receipts")
        yield _account(Equation.REPORTS, self.state.reported, len(self.state.receipt_keys) + forgotten)
        yield from self._log()
        proved = [one for one in self._deliveries() if one.status in (Status.SENT, Status.DELIVERED)]
        sound = sum(any(attempt.evidence in _ACCEPTED for attempt in one.attempts) for one in proved)
        yield _account(Equation.PROOFS, len(proved), sound)
        yield self._wake_ups()

    def _events(self) -> Account:
        intakes = [one.taken for one in self._intakes()]
        return _sum(Equation.EVENTS, ((one.events, sum(one.counts.values())) for one in intakes))

    def _log(self) -> Iterator[Account]:
        rows: dict[DeliveryKey, list[Transition]] = {}
        for logged in self.state.log:
            if logged.transition and self._is_ours(logged.transition.key.tenant, logged.transition.key.notification_id):
                rows.setdefault(logged.transition.key, []).append(logged.transition)
        since = max(self.state.log_since + 1, self.state.history_since)
        whole = {one.key: one for one in self._deliveries() if day_of(one.key.notification_id) >= since}
        young = {key for key in rows if day_of(key.notification_id) >= since} | whole.keys()
        yield _sum(
            Equation.TRANSITIONS,
            ((one.version if (one := whole.get(key)) else 0, len(rows.get(key, ()))) for key in young),
        )
        yield _sum(
            Equation.ATTEMPTS,
            (
                (max((row.attempts for row in rows.get(key, ())), default=0), len(one.attempts))
                for key, one in whole.items()
            ),
        )

    def _wake_ups(self) -> Account:
        awake = {one.key for one in self._deliveries() if one.queued}
        queued = {key for key in self.state.due if self._is_ours(key.tenant, key.notification_id)}
        return _account(Equation.WAKE_UPS, len(awake | queued), len(awake & queued))

    def _made(self) -> tuple[int, int, int]:
        days = [
            made
            for one in self.state.intakes
            if one.tenant == self.tenant
            for day, made in (one.taken.made or {}).items()
            if day >= self.since
        ]
        notifications, deliveries, repeats = (sum(column) for column in zip((0, 0, 0), *days, strict=True))
        return notifications, deliveries, repeats

    def _intakes(self) -> list[Intake]:
        return [one for one in self.state.intakes if one.tenant == self.tenant and day_at(one.at) >= self.since]

    def _deliveries(self) -> list[Delivery]:
        return [one for key, one in self.state.deliveries.items() if self._is_ours(key.tenant, key.notification_id)]

    def _is_ours(self, tenant: str, id_: UUID) -> bool:
        return tenant == self.tenant and day_of(id_) >= self.since


def backlog(state: State, tenant: str) -> list[Backlog]:
    """What waits for its way out."""
    waiting: dict[tuple[Channel, str, Reason | None], list[datetime]] = {}
    for key, place in state.due.items():
        one, whole = state.deliveries[key], (key.tenant, key.notification_id)
        if key.tenant != tenant or one.status is not Status.PENDING or place.at is None:
            continue
        down = one.reason if one.reason in TURNED_DOWN else None
        if down or place.at <= state.clock():
            changes = [each for each in state.changes.get(whole, ()) if each.delivery_no == key.no]
            since = (down and turned_down_since(changes)) or place.at
            waiting.setdefault((one.channel, state.notifications[whole].type, down), []).append(since)
    return [
        Backlog(type=type_, channel=channel, reason=reason, deliveries=len(times), since=min(times))
        for (channel, type_, reason), times in waiting.items()
    ]


def day_at(moment: datetime) -> int:
    """The day of a moment, counted as `day_of` does."""
    return int(moment.timestamp()) // int(_DAY.total_seconds())


def _account(equation: Equation, expected: int, found: int) -> Account:
    return Account(equation=equation, expected=expected, found=found)


def _sum(equation: Equation, pairs: Iterable[tuple[int, int]]) -> Account:
    """Of many accounts: too much here does not make up for too little there."""
    both = [(max(pair), min(pair)) for pair in pairs]
    return _account(equation, sum(most for most, _ in both), sum(least for _, least in both))
