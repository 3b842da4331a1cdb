"""Deliveries that are stored go out: the product's dispatcher against the bare loop."""

from collections.abc import Mapping
from uuid import NAMESPACE_OID, uuid5

from attrs import evolve

from benchmarks import bare_dispatch, traffic
from benchmarks.figures import Figures, Meter
from benchmarks.ground import Ground, Provider
from benchmarks.message import write_message
from benchmarks.processes import Program
from benchmarks.product import environment, serving
from benchmarks.stock import OPEN, Stock, gone

CALLS = {0: 128, 50: 200}
"""On the wire at once, by the provider's time in milliseconds."""
_BARE_OPEN = "SELECT count(*) FROM delivery WHERE status <> 'sent'"
_TOGETHER = 100
_WARM = 10
"""The part, one in so many, that goes by before anything is measured: connections, caches, templates."""


async def dispatch(stock: Stock, count: int, *, delay_ms: int = 0, processes: int = 1) -> Figures:
    """`begin`, call, outcome and event log, by `serve` with the role `dispatch`."""
    async with stock.stored(count) as url, stock.ground.provider(delay_ms) as provider:
        found = await dispatched(stock, url, provider, count, calls=CALLS[delay_ms] // processes, processes=processes)
        stock.compare(provider)
        return found


async def email_batch(stock: Stock, count: int) -> Mapping[str, Figures]:
    """Messages that may share a call: a hundred in each, and each alone."""
    found = {}
    for name, batch in (("email_batch", _TOGETHER), ("email_alone", 1)):
        async with stock.stored(count, events=traffic.matched) as url, stock.ground.provider() as provider:
            figures = await dispatched(stock, url, provider, count, batch=batch)
            together = provider.arrivals.messages / provider.arrivals.calls
            found[name] = evolve(figures, more={"messages_per_call": together})
    return found


async def dispatched(
    stock: Stock,
    url: str,
    provider: Provider,
    count: int,
    *,
    calls: int = CALLS[0],
    batch: int = 1,
    processes: int = 1,
    all_: bool = True,
) -> Figures:
    """The same on any database, for the first so many of its deliveries. `all_`: there are no others."""
    ground = stock.ground
    told = environment(
        ground.directory, database=url, provider=provider.url, calls=calls, batch=batch, PROCESSES=str(processes)
    )
    async with serving(ground, "dispatch", told) as service:
        return await watch(ground, service, provider, count, url, OPEN if all_ else None)


async def bare(stock: Stock, count: int, *, delay_ms: int = 0) -> Figures:
    """The same number of the same messages, by hand."""
    ground, calls = stock.ground, CALLS[delay_ms]
    message = ground.directory / "message.json"
    await write_message(message)
    with ground.database() as url:
        bare_dispatch.prepare(url, bare_people(stock.users), bare_deliveries(count, stock.users))
        async with ground.provider(delay_ms) as provider:
            told = ("--database", url, "--provider", provider.url, "--message", str(message), "--calls", str(calls))
            async with ground.running("bare_dispatch", "benchmarks.bare_dispatch", *told) as program:
                found = await watch(ground, program, provider, count, url, _BARE_OPEN)
            stock.compare(provider)
            return found


async def watch(
    ground: Ground, worker: Program, provider: Provider, count: int, url: str, open_: str | None
) -> Figures:
    """From when a tenth of the messages has gone to when the last has, and nothing is `open_` any more."""
    meter = Meter(
        units=lambda: provider.arrivals.messages,
        cpu={"worker": worker.cpu, "postgres": ground.postgres_cpu, "provider": provider.program.cpu},
        alive=worker.alive,
    )
    start = await meter.reach(count // _WARM)
    await meter.reach(count)
    if open_:
        await gone(url, open_)
    return meter.read().since(start)


def bare_people(users: int) -> list[tuple[str, str]]:
    """The same people, for the yardstick's own schema."""
    return [(user_id, document["email"]) for user_id, document in traffic.people(users)]


def bare_deliveries(count: int, users: int) -> list[tuple[str, str, dict[str, str]]]:
    """The same deliveries, likewise."""
    return [
        (
            str(uuid5(NAMESPACE_OID, str(number))),
            traffic.user(number, users),
            {"item": traffic.title(number), "place": traffic.ADDRESS},
        )
        for number in range(count)
    ]
