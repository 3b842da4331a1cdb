"""Everybody at the same few rows at once, on a real PostgreSQL: nobody waits for each other in a circle.

`python -m tests.campaigns.locks --count 20000 --seed 1` prints one JSON line, and fails when a deadlock was seen
(40P01), or anything else that is not to be expected. All locks are taken in one order, so none is.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final

import psycopg
from attrs import define, field
from tests.services.interposed import Interposed, Run
from tests.services.postgres import postgres_server
from tests.services.stores import migrated, postgres_stores, stores_over

from fn_notifications.adapters.postgres.pool import Connection
from fn_notifications.application.errors import Conflict, Unavailable
from fn_notifications.application.ports.deliveries import Begun, Lease
from fn_notifications.application.ports.intake import Batch, Event, Proposal
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import EMAIL, SMS, EmailAddress, PhoneNumber
from fn_notifications.domain.commands import Cancel
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.preferences import Fact, Profile, Source, UserRef, merge
from fn_notifications.domain.receipts import ReceiptKind
from fn_notifications.testing.contracts.stores import (
    BOTH,
    TENANT,
    Stores,
    allowing,
    answer,
    event,
    now,
    proposal,
    receipt,
    start,
    stop,
    user,
)

_AT_ONCE: Final = 8
_PEOPLE: Final = 6
_LINGER: Final = 0.004
"""Seconds, at most, between the statements of a transaction."""
_EMAILS: Final = tuple(EmailAddress(f"shared{n}@example.com") for n in range(3))
_PHONES: Final = tuple(PhoneNumber(f"+1500555000{n}") for n in range(3))


@define(kw_only=True)
class Locks:
    """The campaign. What one does not finish another may: everything lies in common heaps."""

    stores: Stores
    random: random.Random
    done: Counter[str] = field(factory=Counter)
    errors: Counter[str] = field(factory=Counter)
    leases: list[Lease] = field(factory=list)
    calling: list[Begun] = field(factory=list)
    called: list[Begun] = field(factory=list)
    known: list[Notification] = field(factory=list)
    _numbers: int = 0

    async def run(self, count: int) -> None:
        """Do so many things, several at once."""
        await asyncio.gather(*(self._work(count // _AT_ONCE) for _ in range(_AT_ONCE)))

    async def watch(self, _: Connection, statement: str, run: Run) -> Any:
        """Let locks be held for a while, so that transactions meet; count what PostgreSQL complains of, also when it
        is run again and nobody else hears of it.
        """
        await asyncio.sleep(self.random.random() * _LINGER)
        try:
            return await run(statement)
        except psycopg.Error as error:
            self.errors[str(error.sqlstate)] += 1
            raise

    async def _work(self, count: int) -> None:
        steps = list(self._steps())
        for _ in range(count):
            step = self.random.choice(steps)
            try:
                await step()
                self.done[step.__name__.strip("_")] += 1
            except Conflict:
                self.done["conflict"] += 1
            except Unavailable:
                self.done["unavailable"] += 1

    def _steps(self) -> Sequence[Callable[[], Awaitable[Any]]]:
        return (
            self._store,
            self._store,
            self._save,
            self._suppress,
            self._claim,
            self._begin,
            self._begin,
            self._finish,
            self._finish,
            self._report,
            self._apply,
            self._release,
            self._cancel,
            self._read_log,
        )

    async def _store(self) -> None:
        """A batch for several people, some of whom it teaches something of, in no order."""
        batch: list[Event] = []
        for _ in range(self.random.randint(1, 4)):
            self._numbers += 1
            name = f"n{self._numbers}"
            batch.append(event(name, *[await self._proposal(name, who) for who in self._people(2)], offset=len(batch)))
        learnt = await self._profiles(self._people(2)) if self.random.random() < 0.3 else []
        report = await self.stores.intake.store(Batch(tenant=TENANT, events=tuple(batch), profiles=tuple(learnt)))
        new = set(report.notifications)
        self.known += [each.notification for one in batch for each in one.proposals if each.notification.id in new]

    async def _proposal(self, name: str, who: UserRef) -> Proposal:
        return await proposal(
            self.stores, who, f"{name}-{who.user_id}", BOTH, key=self.random.choice((None, None, None, "a", "b"))
        )

    async def _save(self) -> None:
        await self.stores.people.save(await self._profiles(self._people(3)))

    async def _profiles(self, users: Sequence[UserRef]) -> list[Profile]:
        loaded = await self.stores.people.load(users)
        said = {
            "email": self.random.choice(_EMAILS).value,
            "phone": self.random.choice(_PHONES).value,
            "enabled.sms": self.random.random() < 0.8,
            "cap.email": self.random.choice((None, {"count": 50, "window_s": 60})),
        }
        return [
            merge(loaded.dossiers[one].profile, [Fact(user=one, source=Source.USER, at=loaded.now, fields=said)])
            for one in users
        ]

    async def _suppress(self) -> None:
        at, word = await now(self.stores), self.random.choice((stop, start, start))
        emails = [word(each, at) for each in self.random.sample(_EMAILS, 2)]
        phones = [word(each, at, channel=SMS) for each in self.random.sample(_PHONES, 2)]
        await self.stores.people.suppress([*emails, *phones])

    async def _claim(self) -> None:
        wanted = {EMAIL: self.random.randint(1, 8), SMS: self.random.randint(1, 8)}
        lease = timedelta(seconds=self.random.choice((0.05, 30)))
        self.leases += await self.stores.deliveries.claim(wanted, worker="w", lease=lease)

    async def _begin(self) -> None:
        begun = await self.stores.deliveries.begin(self._some(self.leases), allowing(BOTH))
        self.done["begun"] += len(begun)
        self.calling += begun

    async def _finish(self) -> None:
        wave, at = self._some(self.calling), await now(self.stores)
        answers = []
        for one in wave:
            kind = self.random.choice((OutcomeKind.ACCEPTED, OutcomeKind.UNSENT, OutcomeKind.OPTED_OUT))
            address = one.person.contacts[one.delivery.channel].address
            assert address is not None
            word = stop(address, at, channel=one.delivery.channel) if kind is OutcomeKind.OPTED_OUT else None
            answers.append(answer(one, kind, opt_out=word))
        await self.stores.deliveries.finish(answers)
        self.called += wave

    async def _report(self) -> None:
        at = await now(self.stores)
        kinds = (ReceiptKind.DELIVERED, ReceiptKind.FAILED, ReceiptKind.OPTED_OUT, ReceiptKind.OPTED_IN)
        reports = []
        for one in self._some(self.called):
            kind = self.random.choice(kinds)
            address = one.person.contacts[one.delivery.channel].address
            reports.append(receipt(one, kind, f"{kind}", at=at, channel=one.delivery.channel, address=address))
        self.random.shuffle(reports)
        await self.stores.receipts.receive(reports)

    async def _apply(self) -> None:
        await self.stores.receipts.apply(20, judge)

    async def _release(self) -> None:
        await self.stores.deliveries.release(self._some(self.leases))

    async def _cancel(self) -> None:
        keys = [each.key for one in self._some(self.known) for each in one.deliveries]
        self.random.shuffle(keys)
        await self.stores.deliveries.change(keys, _cancel)

    async def _read_log(self) -> None:
        entries = await self.stores.eventlog.take("relay", 50)
        with suppress(Conflict):
            await self.stores.eventlog.published("relay", entries)

    def _people(self, most: int) -> list[UserRef]:
        names = self.random.sample(range(_PEOPLE), self.random.randint(1, most))
        return [user(f"u{number}") for number in names]

    def _some(self, heap: list[Any]) -> list[Any]:
        """Take some out of a heap, in no order."""
        self.random.shuffle(heap)
        taken, heap[:] = heap[:8], heap[8:]
        return taken


def _cancel(_: Notification, delivery: Delivery, __: Any) -> Cancel | None:
    return Cancel() if delivery.key.notification_id.int % 2 else None


async def campaign(url: str, count: int, seed: int) -> Locks:
    """Do `count` things on a migrated database. The seed decides what is done, not how it meets."""
    async with postgres_stores(url, size=_AT_ONCE) as (plain, database):
        locks = Locks(stores=plain, random=random.Random(seed))
        locks.stores = stores_over(Interposed(database, locks.watch))
        await locks.run(count)
        return locks


def main() -> int:
    """Run the campaign on a server of its own. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    began = time.monotonic()
    with postgres_server() as server:
        server.use_template(migrated)
        locks = asyncio.run(campaign(server.fresh_database(), given.count, given.seed))
    told = {"done": locks.done, "errors": locks.errors, "deadlocks": locks.errors["40P01"], "seed": given.seed}
    print(json.dumps({**told, "seconds": round(time.monotonic() - began, 1)}))  # noqa: T201 - a command prints
    return bool(locks.errors)


if __name__ == "__main__":
    sys.exit(main())
