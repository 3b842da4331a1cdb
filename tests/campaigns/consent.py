"""Opt-outs against the start of calls, in every order that chance finds, on a real PostgreSQL.

`python -m tests.campaigns.consent --count 10000 --seed 1` prints one JSON line, and fails when `sent_after_opt_out` is
not 0: when an attempt was about to be committed while what is committed of its contact point forbids it, or is not the
very version (the epoch) that the attempt says it was allowed under. `--without-lock` shows that this can be seen.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import timedelta
from typing import Any, Final

import psycopg
from attrs import define, field, frozen
from psycopg.rows import namedtuple_row
from tests.services.interposed import Interposed, Run
from tests.services.postgres import postgres_server
from tests.services.stores import VAULT, migrated, postgres_stores, stores_over
from tests.services.turns import Actor, Turns

from fn_notifications.adapters.postgres.pool import Connection, Database
from fn_notifications.application.errors import Conflict
from fn_notifications.application.ports.deliveries import Begun, Lease
from fn_notifications.application.ports.intake import Batch
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import EMAIL, EmailAddress
from fn_notifications.domain.preferences import Fact, Profile, Source, UserRef, merge
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.testing.contracts.stores import (
    NEWS,
    TENANT,
    Stores,
    allowing,
    event,
    now,
    proposal,
    start,
    stop,
    user,
)

_AT_ONCE: Final = 4
"""How many groups play at the same time; each has people and addresses of its own."""
_GROUPS: Final = 40
"""How many groups are set up together."""
_LEASE: Final = timedelta(hours=1)
_SECOND: Final = timedelta(seconds=1)

_ATTEMPTS: Final = """
SELECT n.user_id, a.epoch FROM attempts a JOIN notifications n ON (n.tenant, n.id) = (a.tenant, a.notification_id)
WHERE a.notification_id = ANY (%s)
"""
_COMMITTED: Final = f"""
SELECT p.user_id, p.consent_epoch AS epoch, p.lookup,
       p.address IS NOT NULL AND p.suppression_cause IS NULL AND p.global_enabled AND coalesce(p.enabled, true)
       AND coalesce(u.fields -> 'channels.{NEWS.name}' -> 0, '["{EMAIL}"]') @> '"{EMAIL}"' AS permits
FROM contact_points p JOIN user_preferences u USING (tenant, user_id)
WHERE p.channel = '{EMAIL}' AND p.user_id = ANY (%s)
"""


@frozen(kw_only=True)
class Group:
    """People who share an address, each with a message that is about to go out, and the words that are on their way."""

    name: str
    users: tuple[UserRef, ...]
    words: tuple[str, ...]

    @property
    def address(self) -> EmailAddress:
        return EmailAddress(f"{self.name}@example.com")


@define
class Tally:
    """What happened so far."""

    interleavings: int = 0
    opt_out_first: int = 0
    begin_first: int = 0
    waited_for_a_lock: int = 0
    begun: int = 0
    words: Counter[str] = field(factory=Counter)
    sent_after_opt_out: int = 0
    caught_at: int | None = None
    """How many interleavings it took to see the first of these."""


@define(kw_only=True)
class Consent:
    """The campaign on one database."""

    database: Database
    observer: psycopg.AsyncConnection[Any]
    seed: int
    locked: bool = True
    tally: Tally = field(factory=Tally)
    looking: asyncio.Lock = field(factory=asyncio.Lock)
    """Held while the observer is asked."""
    reporting: asyncio.Lock = field(factory=asyncio.Lock)
    """Held by groups of which something lies in the inbox, which is everybody's."""

    async def run(self, count: int) -> None:
        """Play so many groups."""
        stores = stores_over(self.database)
        for first in range(0, count, _GROUPS):
            groups = [self._group(number) for number in range(first, min(first + _GROUPS, count))]
            leases = await self._set_up(stores, groups)
            free = asyncio.Semaphore(_AT_ONCE)

            async def play(group: Group, mine: Sequence[Lease], free: asyncio.Semaphore = free) -> None:
                async with AsyncExitStack() as held:
                    if "report" in group.words:
                        await held.enter_async_context(self.reporting)
                    await held.enter_async_context(free)
                    await self._play(group, mine)

            async with asyncio.TaskGroup() as all_of_them:
                for group in groups:
                    all_of_them.create_task(play(group, [leases[one] for one in group.users]))

    def _group(self, number: int) -> Group:
        chance = random.Random(f"{self.seed}-{number}")
        users = tuple(user(f"{self.seed}-{number}-{n}") for n in range(chance.choice((1, 1, 2, 3))))
        words = tuple(chance.choice(tuple(WORDS)) for _ in range(chance.choice((1, 1, 1, 2))))
        return Group(name=f"g{self.seed}-{number}", users=users, words=words)

    async def _set_up(self, stores: Stores, groups: Sequence[Group]) -> Mapping[UserRef, Lease]:
        """Everybody has a message that is leased; what a word is to undo, or to bring, is there."""
        at = await now(stores)
        everybody = [(one, group) for group in groups for one in group.users]
        await stores.people.save([_said(one, at, email=group.address.value) for one, group in everybody])
        events = [event(one.user_id, await proposal(stores, one, one.user_id)) for one, _ in everybody]
        await stores.intake.store(Batch(tenant=TENANT, events=tuple(events)))
        owner = {each.proposals[0].notification.id: each.proposals[0].notification.user for each in events}
        leases = await stores.deliveries.claim({EMAIL: 2 * len(events)}, worker="w1", lease=_LEASE)
        await stores.people.suppress([stop(group.address, at) for group in groups if "lift" in group.words])
        return {owner[lease.key.notification_id]: lease for lease in leases}

    async def _play(self, group: Group, leases: Sequence[Lease]) -> None:
        turns = Turns(random.Random(f"turns-{group.name}"), self.observer, self.looking)
        check = _Check(self, group, [lease.key.notification_id for lease in leases])
        beginning = turns.actor(check)
        speaking = [turns.actor() for _ in group.words]
        stores = [stores_over(Interposed(self.database, actor)) for actor in (beginning, *speaking)]
        plain = stores_over(self.database)
        works: list[Callable[[], Awaitable[Any]]] = [lambda: stores[0].deliveries.begin(leases, allowing())]
        for word, its in zip(group.words, stores[1:], strict=True):
            works.append(await WORDS[word](plain, its, group))
        begun, *_ = await turns.play(works)
        self._count(group, turns, beginning, speaking)
        check.sent_to(begun)

    def _count(self, group: Group, turns: Turns, beginning: Actor, speaking: Sequence[Actor]) -> None:
        tally = self.tally
        tally.interleavings += 1
        spoken_first = any(0 < actor.committed < beginning.committed for actor in speaking)
        tally.opt_out_first += spoken_first
        tally.begin_first += not spoken_first
        tally.waited_for_a_lock += turns.waits
        tally.words.update(group.words)

    def violated(self) -> None:
        """An attempt that must not be."""
        self.tally.sent_after_opt_out += 1
        if self.tally.caught_at is None:
            self.tally.caught_at = self.tally.interleavings + 1


@define
class _Check:
    """Comes between `begin` and PostgreSQL: before its COMMIT, compares its attempts with what is committed then.

    Nobody else moves at that moment, so nothing can be committed between the look and the COMMIT.
    """

    campaign: Consent
    group: Group
    notifications: Sequence[Any]
    lookups: Mapping[str, bytes] = field(factory=dict)

    async def __call__(self, connection: Connection, statement: str, run: Run) -> Any:
        if not self.campaign.locked and "contact_points" in statement:
            return await run(statement.replace("FOR NO KEY UPDATE", "").replace("FOR SHARE", ""))
        if statement == "COMMIT":
            await self._look(connection)
        return await run(statement)

    async def _look(self, connection: Connection) -> None:
        attempts = await (await connection.execute(_ATTEMPTS, (self.notifications,))).fetchall()
        async with self.campaign.looking:
            names = [one.user_id for one in self.group.users]
            found = await (await self.campaign.observer.execute(_COMMITTED, (names,))).fetchall()
        committed = {row.user_id: row for row in found}
        self.lookups = {row.user_id: row.lookup for row in found}
        for attempt in attempts:
            self.campaign.tally.begun += 1
            point = committed[attempt.user_id]
            if attempt.epoch != point.epoch or not point.permits:
                self.campaign.violated()

    def sent_to(self, begun: Sequence[Begun]) -> None:
        """The call goes to the address that was committed when it was allowed."""
        for one in begun:
            address = one.person.contacts[EMAIL].address
            assert address is not None
            if VAULT.lookup("email", address.lookup) != self.lookups[one.notification.user.user_id]:
                self.campaign.violated()


Speak = Callable[[Stores, Stores, Group], Awaitable[Callable[[], Awaitable[Any]]]]
"""Makes ready what somebody says, through the first stores, and returns how it is said, through the second."""


def _said(who: UserRef, at: Any, **fields: Any) -> Profile:
    return merge(Profile(user=who), [Fact(user=who, source=Source.USER, at=at, fields=fields)])


def _saving(field_: str, value: Any) -> Speak:
    async def speak(plain: Stores, stores: Stores, group: Group) -> Callable[[], Awaitable[Any]]:
        loaded = await plain.people.load(group.users)
        at = loaded.now + _SECOND
        profiles = [
            merge(loaded.dossiers[one].profile, [Fact(user=one, source=Source.USER, at=at, fields={field_: value})])
            for one in group.users
        ]
        return lambda: _unless_overtaken(stores.people.save(profiles))

    return speak


async def _taught(plain: Stores, stores: Stores, group: Group) -> Callable[[], Awaitable[Any]]:
    """An event says that an address is gone: stored with the batch it came in."""
    loaded = await plain.people.load(group.users)
    fact = {"email": None}
    at = loaded.now + _SECOND
    profiles = tuple(
        merge(loaded.dossiers[one].profile, [Fact(user=one, source=Source.EVENT, at=at, fields=fact)])
        for one in group.users
    )
    batch = Batch(tenant=TENANT, events=(event(f"teaches {group.name}"),), profiles=profiles)
    return lambda: _unless_overtaken(stores.intake.store(batch))


async def _suppressing(plain: Stores, stores: Stores, group: Group) -> Callable[[], Awaitable[Any]]:
    word = stop(group.address, await now(plain))
    return lambda: stores.people.suppress([word])


async def _lifting(plain: Stores, stores: Stores, group: Group) -> Callable[[], Awaitable[Any]]:
    word = start(group.address, await now(plain) + _SECOND)
    return lambda: stores.people.suppress([word])


async def _reporting(plain: Stores, stores: Stores, group: Group) -> Callable[[], Awaitable[Any]]:
    """A STOP comes by webhook: it is in the inbox, and is applied now."""
    said = Receipt(
        provider="acme",
        key=f"stop {group.name}",
        kind=ReceiptKind.OPTED_OUT,
        at=await now(plain),
        channel=EMAIL,
        address=group.address,
    )
    await plain.receipts.receive([said])
    return lambda: stores.receipts.apply(100, judge)


WORDS: Final[Mapping[str, Speak]] = {
    "stop": _suppressing,
    "report": _reporting,
    "lift": _lifting,
    "channel off": _saving(f"enabled.{EMAIL}", False),
    "all off": _saving("global_enabled", False),
    "type off": _saving(f"channels.{NEWS.name}", []),
    "address gone": _saving("email", None),
    "another address": _saving("email", "another@example.com"),
    "event": _taught,
}


async def _unless_overtaken(saving: Awaitable[Any]) -> None:
    """Of two who save one profile the second is told to read it again; it has said nothing then."""
    with suppress(Conflict):
        await saving


async def campaign(url: str, count: int, seed: int, *, locked: bool = True) -> Tally:
    """Play `count` groups on a migrated database, seed by seed the same."""
    async with (
        postgres_stores(url, size=4 * _AT_ONCE) as (_, database),
        await psycopg.AsyncConnection.connect(url, autocommit=True, row_factory=namedtuple_row) as observer,
    ):
        consent = Consent(database=database, observer=observer, seed=seed, locked=locked)
        await consent.run(count)
        return consent.tally


def main() -> int:
    """Run the campaign on a server of its own. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--without-lock", action="store_true", help="let begin read contact points without locking")
    given = parser.parse_args()
    began = time.monotonic()
    with postgres_server() as server:
        server.use_template(migrated)
        url = server.fresh_database()
        tally = asyncio.run(campaign(url, given.count, given.seed, locked=not given.without_lock))
    told = {name: getattr(tally, name) for name in Tally.__slots__ if not name.startswith("__")}
    print(json.dumps({**told, "seed": given.seed, "seconds": round(time.monotonic() - began, 1)}))  # noqa: T201
    return tally.sent_after_opt_out > 0


if __name__ == "__main__":
    sys.exit(main())
