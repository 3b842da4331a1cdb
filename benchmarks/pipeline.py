"""From events in Kafka to published results: the whole way, and its parts alone."""

from contextlib import closing

import psycopg
from attrs import evolve

from benchmarks import bare_dispatch, traffic
from benchmarks.dispatch import CALLS, bare_people
from benchmarks.figures import Figures, Meter
from benchmarks.ground import Broker, Ground, Provider
from benchmarks.message import write_message
from benchmarks.processes import Program
from benchmarks.product import NOBODY, environment, serving
from benchmarks.stock import Stock, size_of
from benchmarks.stream import Published, publish
from fn_notifications.application.outward import SENT

_WARM = 10
_ROLES = "intake,dispatch,receipts,relay,upkeep,http"
_TAKEN_IN = "SELECT coalesce(sum(events), 0) FROM intake"


def streaming(
    ground: Ground, database: str, provider: str, broker: Broker, topic: str, roles: str = _ROLES
) -> dict[str, str]:
    """The settings of a service that reads a topic from its beginning."""
    return environment(
        ground.directory,
        database=database,
        provider=provider,
        roles=roles,
        PORT="0",
        KAFKA_HOSTS=broker.bootstrap,
        KAFKA_TOPICS=topic,
        KAFKA_GROUP_ID=f"group-{topic}",
        INTAKE_START="earliest",
    )


def meter_of(ground: Ground, worker: Program, provider: Provider, broker: Broker) -> Meter:
    """Counts messages at the provider, and everybody's CPU."""
    return Meter(
        units=lambda: provider.arrivals.messages,
        cpu={
            "worker": worker.cpu,
            "postgres": ground.postgres_cpu,
            "kafka": broker.cpu,
            "provider": provider.program.cpu,
        },
        alive=worker.alive,
    )


async def through(meter: Meter, published: Published, count: int, *, before: int = 0) -> Figures:
    """From when a tenth of so many messages has gone to when the result of each is published."""
    start = await meter.reach(before + count // _WARM)
    await meter.reach(before + count)
    await published.reach(before + count)
    return meter.read().since(start)


async def pipeline(stock: Stock, count: int) -> Figures:
    """Events to stored notifications, provider calls, outcomes and published results: `serve` with every role."""
    ground, broker = stock.ground, await stock.ground.broker()
    topic = await ground.topic()
    publish(broker.bootstrap, topic, traffic.created(0, count, stock.users))
    with closing(Published(broker.bootstrap, SENT)) as published:
        async with stock.people() as url, ground.provider() as provider:
            told = streaming(ground, url, provider.url, broker, topic)
            before = size_of(url)
            async with serving(ground, "pipeline", told) as service:
                found = await through(meter_of(ground, service, provider, broker), published, count)
            stock.compare(provider)
            stored, logged = (after - then for after, then in zip(size_of(url), before, strict=True))
    return evolve(found, more={"bytes_kept": stored / count, "wal_bytes": logged / count})


async def bare(stock: Stock, count: int) -> Figures:
    """The same events, by hand."""
    ground, broker = stock.ground, await stock.ground.broker()
    topic, message = await ground.topic(), ground.directory / "message.json"
    await write_message(message)
    publish(broker.bootstrap, topic, traffic.created(0, count, stock.users))
    with closing(Published(broker.bootstrap, SENT)) as published, ground.database() as url:
        bare_dispatch.prepare(url, bare_people(stock.users), [])
        async with ground.provider() as provider:
            told = ("--database", url, "--provider", provider.url, "--message", str(message), "--calls", str(CALLS[0]))
            more = ("--kafka", broker.bootstrap, "--topic", topic)
            async with ground.running("bare_pipeline", "benchmarks.bare_pipeline", *told, *more) as program:
                found = await through(meter_of(ground, program, provider, broker), published, count)
            stock.compare(provider)
    return found


async def intake(stock: Stock, count: int) -> Figures:
    """Events to planned notifications: the role `intake` alone."""
    ground, broker = stock.ground, await stock.ground.broker()
    topic = await ground.topic()
    publish(broker.bootstrap, topic, traffic.created(0, count, stock.users))
    async with stock.people() as url:
        told = streaming(ground, url, NOBODY, broker, topic, roles="intake")
        with psycopg.connect(url, autocommit=True) as connection:

            def taken_in() -> int:
                row = connection.execute(_TAKEN_IN).fetchone()
                return int(row[0]) if row else 0

            async with serving(ground, "intake", told) as service:
                meter = Meter(
                    units=taken_in,
                    cpu={"worker": service.cpu, "postgres": ground.postgres_cpu, "kafka": broker.cpu},
                    alive=service.alive,
                )
                first = await meter.reach(1)
                return (await meter.reach(count)).since(first)


async def relay(stock: Stock, count: int) -> Figures:
    """Results in the event log to Kafka: the role `relay` alone."""
    ground, broker = stock.ground, await stock.ground.broker()
    with closing(Published(broker.bootstrap, SENT)) as published:
        async with stock.settled(count) as url:
            told = streaming(ground, url, NOBODY, broker, await ground.topic(), roles="relay")
            async with serving(ground, "relay", told) as service:
                meter = Meter(
                    units=published.count,
                    cpu={"worker": service.cpu, "postgres": ground.postgres_cpu, "kafka": broker.cpu},
                    alive=service.alive,
                )
                first = await meter.reach(1)
                return (await meter.reach(count)).since(first)
