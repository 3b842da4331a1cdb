"""What everything stands on, in processes of its own: PostgreSQL with its writes flushed, Apache Kafka, a provider."""

import asyncio
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path

import psycopg
from attrs import define, field, frozen
from tests.services.kafka import MissingKafkaError, apache_kafka
from tests.services.postgres import PostgresServer, postgres_server

from benchmarks.arrivals import Arrivals
from benchmarks.processes import Program, cpu_of, running
from fn_notifications.adapters.kafka.embedded import EmbeddedBroker
from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.adapters.kafka.topics import TOPICS_OUT, TopicSpec, create_topics

OUT = Path("build")
_POSTGRES = {"fsync": "on", "shared_buffers": "512MB", "max_wal_size": "4GB"}
_PID = "SELECT split_part(pg_read_file('postmaster.pid'), E'\\n', 1)::integer"
_PARTITIONS = 4


@frozen(kw_only=True)
class Broker:
    """Where Kafka is. Without a `pid` it is embedded, in this process."""

    bootstrap: str
    pid: int | None

    def cpu(self) -> float:
        """CPU seconds so far; nothing where it cannot be told apart."""
        return cpu_of(self.pid) if self.pid else 0.0


@frozen(kw_only=True)
class Provider:
    """One that answers after a fixed time."""

    url: str
    file: Path
    arrivals: Arrivals
    program: Program


@define(kw_only=True)
class Ground:
    """Open for the whole run."""

    postgres: PostgresServer
    postmaster: int
    directory: Path
    profiled: bool
    _stack: AsyncExitStack
    _broker: Broker | None = None
    _numbers: Iterator[int] = field(factory=count, init=False)

    def postgres_cpu(self) -> float:
        """CPU seconds of the server and all its processes so far."""
        return cpu_of(self.postmaster)

    def name(self, what: str) -> str:
        """A name nobody has had yet."""
        return f"{what}-{next(self._numbers)}"

    @contextmanager
    def database(self, like: str | None = None) -> Iterator[str]:
        """A database of the block's own: empty, or a copy."""
        url = self.postgres.fresh_database(like=like)
        try:
            yield url
        finally:
            self.postgres.drop(url)

    async def broker(self) -> Broker:
        """Kafka, from the first time somebody asks."""
        if self._broker is None:
            try:
                apache = self._stack.enter_context(apache_kafka())
                server = apache._process  # noqa: SLF001 - whose CPU is to be told
                self._broker = Broker(bootstrap=apache.bootstrap, pid=server.pid if server else None)
            except MissingKafkaError as error:
                print(f"{error}; measuring on the embedded broker", file=sys.stderr)
                embedded = self._stack.enter_context(EmbeddedBroker())
                self._broker = Broker(bootstrap=embedded.bootstrap, pid=None)
            await create_topics(KafkaSettings(bootstrap=self._broker.bootstrap), TOPICS_OUT)
        return self._broker

    async def topic(self) -> str:
        """A new topic for events."""
        name = self.name("events")
        broker = await self.broker()
        await create_topics(
            KafkaSettings(bootstrap=broker.bootstrap), [TopicSpec(name, _PARTITIONS, timedelta(days=1))]
        )
        return name

    @asynccontextmanager
    async def provider(self, delay_ms: float = 0) -> AsyncIterator[Provider]:
        """A provider of the block's own."""
        file = self.directory / self.name("arrivals")
        arrivals = Arrivals.made(file)
        log = file.with_suffix(".log")
        async with running(
            "benchmarks.provider", str(file), str(delay_ms), log=log, environment=surroundings()
        ) as program:
            async with asyncio.timeout(30):
                while program.alive() and not log.read_text().endswith("\n"):  # noqa: ASYNC110 - another process's word
                    await asyncio.sleep(0.01)
            yield Provider(
                url=f"http://127.0.0.1:{int(log.read_text())}", file=file, arrivals=arrivals, program=program
            )

    @asynccontextmanager
    async def running(
        self,
        name: str,
        module: str,
        *arguments: str,
        environment: Mapping[str, str] | None = None,
        python: Path | None = None,
    ) -> AsyncIterator[Program]:
        """A module in a process of its own, profiled when this run profiles."""
        profile = OUT / f"profile-{name}.txt" if self.profiled else None
        log = self.directory / f"{self.name(name)}.log"
        async with running(
            module,
            *arguments,
            log=log,
            environment=environment or surroundings(),
            profile=profile,
            python=python or Path(sys.executable),
        ) as program:
            yield program


def surroundings(more: Mapping[str, str] | Iterable[tuple[str, str]] = ()) -> dict[str, str]:
    """The little of our environment that a measured process sees."""
    return {"PATH": os.environ["PATH"], "PYTHONUNBUFFERED": "1", **dict(more)}


@asynccontextmanager
async def ground(*, profiled: bool) -> AsyncIterator[Ground]:
    """PostgreSQL on the disk, and room for files; Kafka when it is asked for."""
    async with AsyncExitStack() as stack:
        space = Path(tempfile.gettempdir())
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="fn-bench-")))
        postgres = stack.enter_context(postgres_server(space=space, settings=_POSTGRES))
        with psycopg.connect(postgres.url) as connection:
            row = connection.execute(_PID).fetchone()
        assert row is not None
        yield Ground(postgres=postgres, postmaster=row[0], directory=directory, profiled=profiled, stack=stack)
