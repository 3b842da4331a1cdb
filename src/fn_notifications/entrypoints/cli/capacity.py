"""`capacity`: what to buy and to set for so many events a second. Reads no settings and reaches nothing."""

import argparse
import json
from collections.abc import Iterator
from typing import Any, Final

from attrs import asdict

from fn_notifications.entrypoints.capacity.demand import Demand
from fn_notifications.entrypoints.capacity.figures import Figures, figures_in, shipped
from fn_notifications.entrypoints.capacity.plan import Plan
from fn_notifications.entrypoints.capacity.sizing import batch, plan_for, retention

_WIDTH: Final = 12
_ORDINARY: Final = 100
"""PostgreSQL's max_connections, unless somebody says otherwise."""


def run(arguments: argparse.Namespace) -> int:
    """Print the plan."""
    demand = _demand(arguments)
    figures = figures_in(arguments.figures) if arguments.figures else shipped()
    plan = plan_for(demand, figures)
    if arguments.json:
        print(json.dumps(_document(demand, figures, plan), indent=2))
    else:
        print("\n".join(_text(demand, figures, plan)))
    return 0


def _demand(arguments: argparse.Namespace) -> Demand:
    return Demand(
        rate=arguments.rate,
        channels=arguments.channels,
        batch=arguments.batch or batch(),
        call_ms=arguments.call_ms,
        limits=arguments.limits,
        reports=arguments.reports,
        daily=arguments.daily,
        retention=arguments.retention or retention(),
        cores=arguments.cores,
        utilisation=arguments.utilisation,
        backlog=arguments.backlog,
    )


def _document(demand: Demand, figures: Figures, plan: Plan) -> dict[str, Any]:
    return {"measured": figures.measured, "demand": asdict(demand), **asdict(plan)}


def _text(demand: Demand, figures: Figures, plan: Plan) -> Iterator[str]:
    yield f"{demand.rate:,.10g} events/s at the peak, no core and no slot busier than {demand.utilisation:.0%}"
    yield f"CPU and bytes as measured: {figures.measured}"
    yield ""
    yield f"{'work':<{_WIDTH}}{'each second':>12}{'service ms':>12}{'PostgreSQL ms':>15}"
    for one in plan.work:
        cost = f"{one.cost.service:>12.3f}{one.cost.postgres:>15.3f}"
        yield f"{one.name:<{_WIDTH}}{one.per_second:>12,.1f}{cost}"
    yield f"{'busy cores':<{_WIDTH}}{'':>12}{plan.service_cores:>12.2f}{plan.postgres_cores:>15.2f}"
    yield ""
    yield f"{'channel':<{_WIDTH}}{'calls/s':>12}{'on the wire':>12}{'slots':>15}"
    for lane in plan.lanes:
        slots = lane.slots * plan.processes
        yield f"{lane.channel:<{_WIDTH}}{lane.calls:>12,.1f}{lane.on_the_wire:>12,.1f}{slots:>15,}"
    yield ""
    yield from (f"{name:<{_WIDTH}}{text}" for name, text in _needs(demand, plan))
    yield from (f"{'too much':<{_WIDTH}}{text}" for text in _excesses(demand, plan))
    yield ""
    yield "settings of each machine"
    yield from (f"  {name}={value}" for name, value in plan.settings.items())


def _needs(demand: Demand, plan: Plan) -> Iterator[tuple[str, str]]:
    where = f"{_many(plan.machines, 'machine')} of {_many(demand.cores, 'core')}"
    memory = f"{_bytes(plan.memory_mb * 1e6)} of memory"
    yield "service", f"{_many(plan.processes, 'process', 'es')} on {where}; {memory}"
    many = "; raise max_connections or put a pooler before it" if plan.connections > _ORDINARY else ""
    yield "PostgreSQL", f"{_many(plan.postgres_cpus, 'core')}; up to {plan.connections:,} connections{many}"
    days = _many(demand.retention, "day")
    yield "disk", f"{_bytes(plan.disk_per_day)} a day, {_bytes(plan.disk_kept)} for {days}"
    yield "WAL", f"{_bytes(plan.wal_per_second)}/s at the peak"
    yield "Kafka", f"{_many(plan.partitions, 'partition')} or more in each busy topic"
    yield "bends first", ", then ".join(f"{one.resource} at {one.rate:,.0f} events/s" for one in plan.bounds[:2])
    yield "backlog", f"{_many(demand.backlog, 'event')}: {_drained(plan)}"


def _excesses(demand: Demand, plan: Plan) -> Iterator[str]:
    """What no number of machines mends."""
    if plan.relay_share > demand.utilisation:
        yield f"relay: one core publishes the results of all, and {plan.relay_share:,.0%} of it would be busy"
    for lane in plan.lanes:
        if lane.excess:
            taken = f"the account takes {lane.limit:,.10g} a second"
            yield f"{lane.channel}: {taken}, {lane.excess:,.10g} a second more wait"


def _drained(plan: Plan) -> str:
    if plan.drain_seconds is None:
        return "not gone before the peak is over"
    return f"gone after {_time(plan.drain_seconds)} of the peak"


def _many(count: int, one: str, plural: str = "s") -> str:
    return f"{count:,} {one}{'' if count == 1 else plural}"


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if count < 999.5:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:,.0f} PB"


def _time(seconds: float) -> str:
    for unit, size in (("s", 1), ("min", 60), ("h", 3600)):
        if seconds < 120 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:,.0f} days"
