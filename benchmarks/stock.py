"""Databases with something in them, each filled once a run through the product itself, and copied from then on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from itertools import islice
from typing import Any

import psycopg
from attrs import define, field
from psycopg.sql import SQL, Composable, Identifier

from benchmarks import traffic
from benchmarks.figures import Meter
from benchmarks.ground import Ground, Provider
from benchmarks.message import said
from benchmarks.product import composed, environment, serving
from fn_notifications.adapters.postgres.migrate import migrate
from fn_notifications.adapters.postgres.pool import open_pool
from fn_notifications.application.ports.events import Record
from fn_notifications.domain.preferences import Fact, Profile, Source, UserRef, merge

_BATCH = 500
_LOOK = 0.01
_BASE = 2_500
"""Deliveries of which longer histories are copies."""
OPEN = "SELECT count(*) FROM due WHERE status IN ('pending', 'sending')"

# A copy of a row keeps the time and shard in its id, so it lies where the original lies; the rest of the id is new.
# In order of their ids, as they would have come: an index takes them several times faster.
_COPY = SQL(
    "INSERT INTO {table} ({columns}) SELECT {values} FROM {table} AS t, generate_series(1, {times}) AS k "
    "ORDER BY {order}"
)
_ID = SQL(
    "(left(replace(t.{id}::text, '-', ''), 16) || left(md5(t.{id}::text || ':' || {seed} || ':' || k), 16))::uuid"
)
_COLUMNS = "SELECT attname FROM pg_attribute WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped"
_EVENTS = "SELECT count(*) FROM event_identities"
_SIZE = "SELECT pg_database_size(current_database()), pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
_HISTORY = {"notifications": "id", "deliveries": "notification_id", "attempts": "notification_id"}


@define
class Stock:
    """What a run has in store."""

    ground: Ground
    users: int = traffic.USERS
    _made: dict[str, str] = field(factory=dict, init=False)
    _said: Any = field(default=None, init=False)

    @asynccontextmanager
    async def people(self) -> AsyncIterator[str]:
        """A database in which everybody is known and nothing has happened."""
        with self.ground.database(await self._people()) as url:
            yield url

    @asynccontextmanager
    async def stored(
        self, count: int, *, analyzed: bool = True, events: traffic.Events = traffic.created
    ) -> AsyncIterator[str]:
        """One in which so many deliveries wait. `analyzed`: as if they had for a while, statistics and all."""
        with self.ground.database(await self._stored(count, analyzed=analyzed, events=events)) as url:
            yield url

    @asynccontextmanager
    async def settled(self, count: int) -> AsyncIterator[str]:
        """One in which so many deliveries were sent; neither published nor reported on yet."""
        with self.ground.database(await self._settled(count)) as url:
            yield url

    def compare(self, provider: Provider) -> None:
        """See that all sides of a comparison are sent the same. Raises AssertionError when this one was not."""
        mail = said(provider.file)
        if self._said is None:
            self._said = mail
        assert mail == self._said, "the two sides send different messages"

    async def grown(self, size: int) -> str:
        """The one in which so many deliveries were sent; it stays for the whole run."""
        name = f"grown-{size}"
        if name not in self._made:
            url = self.ground.postgres.fresh_database(like=await self._settled(_BASE))
            lengthen(url, size // _BASE - 1)
            vacuum(url)
            self._made[name] = url
        return self._made[name]

    async def add(self, url: str, count: int, events: traffic.Events = traffic.created) -> None:
        """Store so many more deliveries, as intake does: in batches, through the rules."""
        with psycopg.connect(url) as connection:
            (first,) = connection.execute(_EVENTS).fetchone() or (0,)
        now, coming = datetime.now(UTC), enumerate(events(first, count, self.users), start=first)
        async with composed(self.ground.directory, url) as service:
            while batch := list(islice(coming, _BATCH)):
                records = [
                    Record(topic="stock", partition=0, offset=offset, timestamp=now, value=value)
                    for offset, value in batch
                ]
                await service.custody.intake.handle(records)

    async def _people(self) -> str:
        if "people" not in self._made:
            url = self.ground.postgres.fresh_database()
            async with open_pool(url) as database:
                await migrate(database)
            async with composed(self.ground.directory, url) as service:
                facts = (
                    Fact(
                        user=UserRef(tenant=service.settings.tenant, user_id=user_id),
                        source=Source.USER,
                        at=datetime.now(UTC),
                        fields=service.notifications.preferences.read(document),
                    )
                    for user_id, document in traffic.people(self.users)
                )
                while batch := [merge(Profile(user=fact.user), [fact]) for fact in islice(facts, _BATCH)]:
                    await service.stores.people.save(batch)
            vacuum(url)
            self._made["people"] = url
        return self._made["people"]

    async def _stored(self, count: int, *, analyzed: bool, events: traffic.Events = traffic.created) -> str:
        name = f"{events.__name__}-{count}-{analyzed}"
        if name not in self._made:
            if analyzed:
                like = await self._stored(count, analyzed=False, events=events)
                url = self.ground.postgres.fresh_database(like=like)
                vacuum(url)
            else:
                url = self.ground.postgres.fresh_database(like=await self._people())
                await self.add(url, count, events)
            self._made[name] = url
        return self._made[name]

    async def _settled(self, count: int) -> str:
        name = f"settled-{count}"
        if name not in self._made:
            url = self.ground.postgres.fresh_database(like=await self._stored(count, analyzed=True))
            async with self.ground.provider() as provider:
                told = environment(self.ground.directory, database=url, provider=provider.url)
                async with serving(self.ground, "settling", told) as service:
                    meter = Meter(units=lambda: provider.arrivals.messages, cpu={}, alive=service.alive)
                    await meter.reach(count)
                    await gone(url, OPEN)
            vacuum(url)
            self._made[name] = url
        return self._made[name]


def vacuum(url: str) -> None:
    """Clear up and look at everything, as autovacuum does sooner or later."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("VACUUM ANALYZE")


def size_of(url: str) -> tuple[int, int]:
    """Bytes of a database, and of all the server ever wrote to its log."""
    with psycopg.connect(url, autocommit=True) as connection:
        kept, logged = connection.execute(_SIZE).fetchone() or (0, 0)
    return kept, logged


def lengthen(url: str, times: int) -> None:
    """Give a database of settled deliveries so many times its history beside what it has."""
    with psycopg.connect(url, autocommit=True) as connection:
        for table, id_ in _HISTORY.items():
            columns = [row[0] for row in connection.execute(_COLUMNS, (table,))]
            values: list[Composable] = [
                _ID.format(id=Identifier(id_), seed=str(times)) if name == id_ else SQL("t.{}").format(Identifier(name))
                for name in columns
            ]
            connection.execute(
                _COPY.format(
                    table=Identifier(table),
                    columns=SQL(", ").join(map(Identifier, columns)),
                    values=SQL(", ").join(values),
                    times=times,
                    order=columns.index(id_) + 1,
                )
            )


async def gone(url: str, statement: str, *, within: float = 120.0) -> None:
    """Return once a statement counts nothing."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection, asyncio.timeout(within):
        while True:
            row = await (await connection.execute(statement.encode())).fetchone()
            if row is not None and row[0] == 0:
                return
            await asyncio.sleep(_LOOK)
