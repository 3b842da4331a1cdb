"""Everything that can be measured, by name."""

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Final

from attrs import frozen

from benchmarks import dispatch, pipeline
from benchmarks.domain import domain
from benchmarks.figures import Figures
from benchmarks.footprint import dev, memory
from benchmarks.growth import cold, growth
from benchmarks.latency import latency, urgent
from benchmarks.peer import celery, peer
from benchmarks.receipts import receipts
from benchmarks.stock import Stock

Found = Mapping[str, Figures]


@frozen(kw_only=True)
class Measure:
    """One that is run as often as there are rounds."""

    run: Callable[[Stock, int], Awaitable[Figures | Found]]
    count: int
    """Units of work, unless somebody says otherwise; seconds of what is `timed`."""
    timed: bool = False
    rounds: int | None = None
    """At most."""
    apart: bool = False
    """Only when it is named: it needs what `make bench-peers` installs."""


async def _domain(_: Stock, count: int) -> Figures:
    return domain(count)


MEASURES: Final[Mapping[str, Measure]] = {
    "dispatch": Measure(run=dispatch.dispatch, count=3_000),
    "bare_dispatch": Measure(run=dispatch.bare, count=6_000),
    "dispatch_two": Measure(run=partial(dispatch.dispatch, processes=2), count=6_000),
    "dispatch_50ms": Measure(run=partial(dispatch.dispatch, delay_ms=50), count=3_000),
    "bare_dispatch_50ms": Measure(run=partial(dispatch.bare, delay_ms=50), count=6_000),
    "email_batch": Measure(run=dispatch.email_batch, count=20_000),
    "pipeline": Measure(run=pipeline.pipeline, count=3_000),
    "bare_pipeline": Measure(run=pipeline.bare, count=6_000),
    "intake": Measure(run=pipeline.intake, count=5_000),
    "relay": Measure(run=pipeline.relay, count=3_000),
    "receipts": Measure(run=receipts, count=3_000),
    "domain": Measure(run=_domain, count=3_000),
    "latency": Measure(run=latency, count=4, timed=True),
    "urgent": Measure(run=urgent, count=4, timed=True),
    "growth": Measure(run=growth, count=2_000),
    "cold": Measure(run=cold, count=2_000),
    "memory": Measure(run=memory, count=10_000, rounds=1),
    "celery": Measure(run=celery, count=600, apart=True),
    "procrastinate": Measure(run=partial(peer, name="procrastinate"), count=1_500, apart=True),
    "pgqueuer": Measure(run=partial(peer, name="pgqueuer"), count=3_000, apart=True),
    "dev": Measure(run=dev, count=5_000, rounds=1),
}
