"""How long from an event to its call: at parts of the peak, and for the urgent while others wait."""

import asyncio
import time
from collections.abc import Mapping

from attrs import define, field
from confluent_kafka import Producer

from benchmarks import traffic
from benchmarks.figures import Figures, percentiles
from benchmarks.ground import Provider
from benchmarks.pipeline import meter_of, streaming
from benchmarks.product import serving
from benchmarks.stock import Stock

LOADS = (10, 50, 80)
"""Percent of the peak."""
WAITING = 100_000
_FULL = 2_000
"""Events the peak is taken with; a tenth of them before anything counts."""
_URGENT_FROM = 2_000_000
"""Numbers of urgent events begin here."""
_URGENT_A_SECOND = 20
_BUSY = 500
"""Messages that have gone before the first urgent event."""
_SETTLING = 1.0
"""Seconds at the beginning of each load that do not count."""
_TICK = 0.01
_PATIENCE = 60.0


async def latency(stock: Stock, seconds: int) -> Mapping[str, Figures]:
    """From publishing to the provider, for so many seconds at each load. The peak is taken right before."""
    ground, broker = stock.ground, await stock.ground.broker()
    topic, found = await ground.topic(), dict[str, Figures]()
    async with stock.people() as url, ground.provider() as provider:
        told = streaming(ground, url, provider.url, broker, topic)
        async with serving(ground, "latency", told) as service:
            source = _Source(topic=topic, make=traffic.created, users=stock.users, bootstrap=broker.bootstrap)
            meter = meter_of(ground, service, provider, broker)
            source.publish(_FULL)
            first = await meter.reach(_FULL // 10)
            peak = (await meter.reach(_FULL)).since(first).rate or 0
            for load in LOADS:
                rate = peak * load / 100
                sent = await source.pace(rate, seconds)
                found[f"latency_{load}"] = Figures(
                    latency_ms=await _waited(sent, provider), more={"offered_per_s": rate}
                )
    return found


async def urgent(stock: Stock, seconds: int) -> Mapping[str, Figures]:
    """The same for urgent events, a few a second, while 100,000 others are being worked off."""
    ground, broker = stock.ground, await stock.ground.broker()
    topic = await ground.topic()
    async with stock.stored(WAITING, analyzed=False) as url, ground.provider() as provider:
        told = streaming(ground, url, provider.url, broker, topic)
        async with serving(ground, "urgent", told) as service:
            source = _Source(
                topic=topic, make=traffic.claimed, users=stock.users, bootstrap=broker.bootstrap, number=_URGENT_FROM
            )
            await meter_of(ground, service, provider, broker).reach(_BUSY)
            sent = await source.pace(_URGENT_A_SECOND, seconds)
            return {"urgent_while_100k_wait": Figures(latency_ms=await _waited(sent, provider))}


@define(kw_only=True)
class _Source:
    """Publishes numbered events."""

    topic: str
    make: traffic.Events
    users: int
    bootstrap: str
    number: int = 0
    _producer: Producer = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._producer = Producer({"bootstrap.servers": self.bootstrap, "acks": "all", "linger.ms": 0})

    def publish(self, count: int) -> range:
        """So many more, at once. Returns their numbers."""
        numbers = range(self.number, self.number + count)
        for event in self.make(self.number, count, self.users):
            self._producer.produce(self.topic, event)
        self._producer.poll(0)
        self.number += count
        return numbers

    async def pace(self, rate: float, seconds: float) -> Mapping[int, float]:
        """So many a second. Returns when each was published, but for those of the first moment."""
        started = time.monotonic()
        times: dict[int, float] = {}
        done = 0
        while (now := time.monotonic()) < started + _SETTLING + seconds:
            due = int((now - started) * rate) - done
            numbers = self.publish(due)
            done += due
            if now >= started + _SETTLING:
                times.update(dict.fromkeys(numbers, now))
            await asyncio.sleep(_TICK)
        assert self._producer.flush(_PATIENCE) == 0
        return times


async def _waited(sent: Mapping[int, float], provider: Provider) -> Mapping[str, float]:
    """How long each took; every one of them must arrive."""
    async with asyncio.timeout(_PATIENCE):
        while not all(map(provider.arrivals.at, sent)):  # noqa: ASYNC110 - another process sends them
            await asyncio.sleep(_TICK)
    return percentiles([(provider.arrivals.at(number) or 0) - at for number, at in sent.items()])
