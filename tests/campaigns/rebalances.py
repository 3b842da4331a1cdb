"""Rebalances under load: as many events stored as were published.

    python -m tests.campaigns.rebalances --count 200 --protocol all --seed 1

One JSON line per protocol: `rebalances` (changes of the group after which every partition was read again, by somebody
else than before), `produced`, `stored` (distinct events), `lost`, `repeated` (came again, and were recognised),
`mid_batch` (batches held in hand across a rebalance) and `seconds`. Ends with 1 when an event was lost.
"""

import argparse
import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from typing import Final

from attrs import asdict, define, field, frozen
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.services.kafka import apache_kafka
from tests.services.postgres import postgres_server
from tests.services.stores import memory_stores, migrated, postgres_stores
from tests.services.streams import KafkaSubject

from fn_notifications.adapters.kafka.source import KafkaSource
from fn_notifications.adapters.zones.tz import zone
from fn_notifications.application.errors import PortError
from fn_notifications.application.intake import Intake
from fn_notifications.application.ports.events import Outgoing
from fn_notifications.application.ports.intake import Batch, EventOutcome, IntakeStore, Report
from fn_notifications.application.ports.telemetry import Silent
from fn_notifications.domain.catalogue import Policy
from fn_notifications.entrypoints.parts import load_catalogue
from fn_notifications.entrypoints.service import IntakeStep
from fn_notifications.testing.contracts.stores import Stores
from fn_notifications.testing.waiting import eventually

PROTOCOLS: Final = ("classic", "cooperative", "consumer")
PARTITIONS: Final = 6
_MOST_MEMBERS: Final = 4
_BATCH: Final = 100
_HELD: Final = 0.1
"""The share of batches that are kept in hand until the group has changed."""
_AHEAD: Final = 2000
"""Events published and not stored yet, at most: a load that lasts as long as the campaign does."""
_PATIENCE: Final = 60.0
"""Seconds after which a group that does not come to rest, or an event that does not come, is a failure."""


@frozen(kw_only=True)
class Figures:
    """What a campaign came to."""

    protocol: str
    rebalances: int
    produced: int
    stored: int
    lost: int
    repeated: int
    mid_batch: int
    seconds: float


@define
class Slow:
    """A store that now and then keeps a batch until the group has changed, and counts what it stored."""

    inner: IntakeStore
    chance: random.Random
    longest: float = 5.0
    """Seconds a batch is kept at most."""
    held: int = 0
    """Batches in hand while the group changed."""
    stored: int = 0
    repeated: int = 0
    _changed: asyncio.Event = field(factory=asyncio.Event, init=False)

    async def store(self, batch: Batch) -> Report:
        """See `IntakeStore`."""
        if self.chance.random() < _HELD:
            with suppress(TimeoutError):
                async with asyncio.timeout(self.longest):
                    await self._changed.wait()
                    self.held += 1
        report = await self.inner.store(batch)
        repeated = report.outcomes.count(EventOutcome.DUPLICATE)
        self.stored += len(report.outcomes) - repeated
        self.repeated += repeated
        return report

    def change(self) -> None:
        """The group has changed: let go."""
        self._changed.set()
        self._changed = asyncio.Event()


@define
class Load:
    """Events, each told from every other."""

    topic: str
    produced: int = 0

    def more(self) -> list[Outgoing]:
        """The next ones."""
        numbers = range(self.produced, self.produced + _BATCH)
        self.produced += _BATCH
        return [self._event(str(number), f"user-{number % 997}") for number in numbers]

    def _event(self, name: str, user: str) -> Outgoing:
        data = {"user_id": user, "post_id": name}
        event = {"type": "post.created", "id": name, "source": "posts", "data": data}
        return Outgoing(topic=self.topic, key=user.encode(), value=json.dumps(event).encode())


@define(eq=False)
class Member:
    """One process of the service's, as far as intake goes."""

    source: KafkaSource
    working: asyncio.Task[None]
    leave: asyncio.Event


@define
class Group:
    """Members that come and go, and take in what they get."""

    stream: KafkaSubject
    intake: Intake
    chance: random.Random
    rebalances: int = 0
    _members: list[Member] = field(factory=list, init=False)

    async def change(self) -> None:
        """Let one come or go, politely or in the midst of its work, and wait until all partitions are read again."""
        before = self._shares()
        if len(self._members) < 2 or (len(self._members) < _MOST_MEMBERS and self.chance.random() < 0.5):
            await self._come()
        else:
            await self._go(self.chance.choice(self._members))
        await eventually(self._at_rest, within=_PATIENCE)
        self.rebalances += self._shares() != before

    async def end(self) -> None:
        """Let all go in order: what is done is committed."""
        for member in tuple(self._members):
            member.leave.set()
            self._members.remove(member)
            await member.working

    async def _come(self) -> None:
        joined: asyncio.Future[KafkaSource] = asyncio.get_running_loop().create_future()
        leave = asyncio.Event()
        working = asyncio.create_task(self._work(joined, leave))
        self._members.append(Member(source=await joined, working=working, leave=leave))

    async def _go(self, member: Member) -> None:
        self._members.remove(member)
        if self.chance.random() < 0.5:
            member.leave.set()
        else:
            member.working.cancel()
        with suppress(asyncio.CancelledError):
            await member.working

    async def _work(self, joined: "asyncio.Future[KafkaSource]", leave: asyncio.Event) -> None:
        async with self.stream.source("g") as source:
            joined.set_result(source)
            step = IntakeStep(source, self.intake, lambda: None, batch=_BATCH)
            while not leave.is_set():
                with suppress(PortError):
                    await step()

    def _shares(self) -> Mapping[int, frozenset[tuple[str, int]]]:
        return {id(member.source): member.source.assigned for member in self._members}

    def _at_rest(self) -> bool:
        """Whether every partition is read by exactly one, and nobody is idle."""
        for member in self._members:
            if member.working.done():
                member.working.result()
        shares = list(self._shares().values())
        return all(shares) and sum(map(len, shares)) == PARTITIONS == len(frozenset().union(*shares))


async def campaign(stream: KafkaSubject, stores: Stores, *, count: int, seed: int) -> Figures:
    """Publish without pause while the group changes until it was rebalanced `count` times; then drain and count."""
    chance = random.Random(seed)
    slow = Slow(stores.intake, chance)
    catalogue = load_catalogue()
    intake = Intake(
        catalogue=catalogue,
        people=stores.people,
        store=slow,
        policy=Policy(zones=zone),
        telemetry=Silent(),
        chance=chance.random,
    )
    group = Group(stream, intake, chance)
    load = Load(stream.topic)
    started = time.monotonic()
    changing = asyncio.create_task(_change(group, slow, count))
    async with stream.publisher() as publisher:
        while not changing.done():
            await publisher.publish(load.more())
            await eventually(lambda: changing.done() or load.produced - slow.stored < _AHEAD, within=_PATIENCE)
    await changing
    slow.longest = 0
    with suppress(TimeoutError):
        await eventually(lambda: slow.stored >= load.produced, within=_PATIENCE)
    await group.end()
    events = (await stores.history.ledger("default")).events
    stored = sum(events.values()) - events.get(EventOutcome.DUPLICATE, 0)
    return Figures(
        protocol=stream.options["group_protocol"],
        rebalances=group.rebalances,
        produced=load.produced,
        stored=stored,
        lost=load.produced - stored,
        repeated=slow.repeated,
        mid_batch=slow.held,
        seconds=round(time.monotonic() - started, 1),
    )


async def _change(group: Group, slow: Slow, count: int) -> None:
    while group.rebalances < count:
        await group.change()
        slow.change()


def topic_of(bootstrap: str, subject: KafkaSubject) -> KafkaSubject:
    """The subject with its topic created and its members impatient."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    admin.create_topics([NewTopic(subject.topic, num_partitions=subject.partitions)])[subject.topic].result()
    return subject.with_options(session_timeout=3.0, publish_timeout=30.0)


@asynccontextmanager
async def _stores(kind: str) -> AsyncIterator[Stores]:
    if kind == "memory":
        yield memory_stores()
        return
    with postgres_server() as server:
        await asyncio.to_thread(server.use_template, migrated)
        async with postgres_stores(server.fresh_database(), size=2 * _MOST_MEMBERS) as (stores, _):
            yield stores


async def _run(arguments: argparse.Namespace) -> int:
    lost = 0
    with apache_kafka() as broker:
        for protocol in PROTOCOLS if arguments.protocol == "all" else (arguments.protocol,):
            plain = KafkaSubject(
                bootstrap=broker.bootstrap, go_down=broker.kill, come_up=broker.start, partitions=PARTITIONS
            )
            stream = topic_of(broker.bootstrap, plain).with_options(group_protocol=protocol)
            async with _stores(arguments.store) as stores:
                figures = await campaign(stream, stores, count=arguments.count, seed=arguments.seed)
            sys.stdout.write(f"{json.dumps(asdict(figures))}\n")
            lost += figures.lost
    return 1 if lost else 0


def main() -> int:
    """See above."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=200, help="rebalances per protocol")
    parser.add_argument("--protocol", choices=("all", *PROTOCOLS), default="all")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--store", choices=("postgres", "memory"), default="postgres")
    return asyncio.run(_run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
