"""The service in several processes on real parts, each of which can be taken away from it and given back."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from itertools import count
from pathlib import Path
from uuid import uuid4

from attrs import frozen
from tests.services.deployment import Deployment
from tests.services.kafka import apache_kafka
from tests.services.postgres import PostgresServer
from tests.services.proxy import Proxy, proxy, steady_port, to_first, to_port
from tests.services.worker import Worker, worker

from fn_notifications.adapters.kafka.embedded import EmbeddedBroker
from fn_notifications.adapters.kafka.topics import TOPICS_OUT
from fn_notifications.entrypoints.providers.sendgrid import PATH
from fn_notifications.simulator.server import Simulator

LEASE = 4
"""Seconds."""
IMPATIENT: Mapping[str, str] = {
    "DELIVERY_LEASE": str(LEASE),
    "IN_DOUBT_GRACE": "5",
    "EMAIL_POOL_TIMEOUT_MS": "1500",
    "SMS_POOL_TIMEOUT_MS": "1500",
    "WHATSAPP_POOL_TIMEOUT_MS": "1500",
    "CIRCUIT_BREAKER_RESET_TIMEOUT_MS": "1000",
    "CIRCUIT_BREAKER_TIMEOUT_MS": "2000",
    "KAFKA_PROPERTIES": "session.timeout.ms=1500,heartbeat.interval.ms=300",
    "LOG_LEVEL": "info",
}
"""The settings that make hours pass in seconds."""


@frozen(kw_only=True)
class Broker:
    """A broker, and the way to it that can be broken: who comes through a proxy is told to come through it again."""

    bootstrap: str
    """Without a proxy."""
    port: int = 0
    """Where the proxy is to lead."""
    advertised: int | None = None
    """Where the proxy is to be; None for a broker that knows of none."""
    create: Callable[[str, int], None] | None = None
    """Makes a topic where no admin client can."""


@contextmanager
def proxied_kafka() -> Iterator[Broker]:
    """Apache Kafka, whose proxy is still to be set up. Raises `MissingKafkaError` as `apache_kafka` does."""
    advertised = steady_port()
    with apache_kafka(advertised=advertised) as kafka:
        yield Broker(bootstrap=kafka.bootstrap, port=kafka.proxied_port, advertised=advertised)


@contextmanager
def embedded_kafka() -> Iterator[Broker]:
    """The embedded broker, which cannot be cut off."""
    with EmbeddedBroker() as broker:
        yield Broker(bootstrap=broker.bootstrap, create=broker.create_topic)


@frozen(kw_only=True)
class Stage:
    """Workers, what stands between them and the world, and the world seen directly."""

    deployment: Deployment
    """The world without proxies, for commands and questions."""
    postgres: PostgresServer
    workers: Sequence[Worker]
    broker: Proxy | None
    """None where the broker cannot be cut off."""
    front: Proxy
    """Where providers post their reports: a balancer before the workers."""

    @property
    def simulator(self) -> Simulator:
        return self.deployment.simulator

    async def start(self) -> None:
        """Start every worker and wait for all."""
        await asyncio.gather(*(one.start() for one in self.workers))

    def heal(self) -> None:
        """Let everything through again."""
        ways = [self.broker, self.front, *(way for one in self.workers for way in (one.database, one.provider))]
        for way in ways:
            if way is not None:
                way.heal()


@asynccontextmanager
async def stage(
    postgres: PostgresServer, kafka: Broker, directory: Path, simulator: Simulator, *, workers: int = 2, **more: str
) -> AsyncIterator[Stage]:
    """A fresh, migrated database, topics of its own, and workers that are not started yet. `simulator` is running."""
    database = await asyncio.to_thread(postgres.fresh_database)
    async with AsyncExitStack() as stack:
        made: list[Worker] = []
        turn = count()

        def ports() -> list[int]:
            alive = [one.port for one in made if one.running]
            first = next(turn) % max(len(alive), 1)
            return alive[first:] + alive[:first]

        broker, hosts = None, kafka.bootstrap
        if kafka.advertised is not None:
            broker = await stack.enter_async_context(proxy(to_port(lambda: kafka.port), kafka.advertised))
            hosts = f"127.0.0.1:{broker.port}"
        front = await stack.enter_async_context(proxy(to_first(ports)))
        topic = f"events-{uuid4().hex}"
        deployment = Deployment(
            database=database,
            kafka=kafka.bootstrap,
            simulator=simulator,
            directory=directory,
            topics=(topic,),
            more={"PUBLIC_HOST": f"127.0.0.1:{front.port}", **more},
        )
        simulator.sendgrid_webhook_url = f"http://127.0.0.1:{front.port}{PATH}"
        if kafka.create is None:
            await deployment.prepare()
        else:
            await deployment.command("migrate")
            for name in (topic, *(spec.name for spec in TOPICS_OUT)):
                kafka.create(name, 3)
        try:
            for number in range(1, workers + 1):
                opening = worker(
                    f"worker-{number}",
                    {**deployment.environment, "KAFKA_HOSTS": hosts},
                    directory,
                    database=database,
                    provider=simulator.port,
                )
                made.append(await stack.enter_async_context(opening))
            yield Stage(deployment=deployment, postgres=postgres, workers=made, broker=broker, front=front)
        finally:
            await stack.aclose()
            await asyncio.to_thread(postgres.drop, database)
