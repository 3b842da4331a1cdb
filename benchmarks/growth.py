"""What becomes of rates as history grows, and on tables of which nothing is known yet."""

from collections.abc import Mapping
from contextlib import closing

from benchmarks import traffic
from benchmarks.dispatch import dispatched
from benchmarks.figures import Figures
from benchmarks.latency import WAITING
from benchmarks.pipeline import meter_of, streaming, through
from benchmarks.product import serving
from benchmarks.stock import Stock, vacuum
from benchmarks.stream import Published, publish
from fn_notifications.application.outward import SENT

SIZES = {"10k": 10_000, "100k": 100_000, "1m": 1_000_000}


async def growth(stock: Stock, count: int) -> Mapping[str, Figures]:
    """The rate of `dispatch` beside so many settled deliveries; every round leaves its own with them."""
    found = {}
    for name, size in SIZES.items():
        url = await stock.grown(size)
        await stock.add(url, count)
        async with stock.ground.provider() as provider:
            found[f"growth_{name}"] = await dispatched(stock, url, provider, count)
    return found


async def cold(stock: Stock, count: int) -> Mapping[str, Figures]:
    """The first events a database ever gets and those after a vacuum; a flood just stored and one that was seen to."""
    found = dict(await _from_nothing(stock, count))
    for name, analyzed in (("cold_bulk", False), ("warm_dispatch", True)):
        async with stock.stored(WAITING, analyzed=analyzed) as url, stock.ground.provider() as provider:
            found[name] = await dispatched(stock, url, provider, count, all_=False)
    return found


async def _from_nothing(stock: Stock, count: int) -> Mapping[str, Figures]:
    ground, broker = stock.ground, await stock.ground.broker()
    topic, found = await ground.topic(), {}
    with closing(Published(broker.bootstrap, SENT)) as published:
        async with stock.people() as url, ground.provider() as provider:
            told = streaming(ground, url, provider.url, broker, topic)
            async with serving(ground, "cold", told) as service:
                meter = meter_of(ground, service, provider, broker)
                for before, name in ((0, "cold_empty"), (count, "warm_pipeline")):
                    publish(broker.bootstrap, topic, traffic.created(before, count, stock.users))
                    found[name] = await through(meter, published, count, before=before)
                    vacuum(url)
    return found
