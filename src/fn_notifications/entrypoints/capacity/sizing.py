"""From a demand to a plan.

Two laws, and measured figures for all else:

- the utilisation law: what is busy is arrivals a second x seconds each; divided by the part that may be busy it is what
  to buy,
- Little's law: calls on the wire are calls a second x seconds each.
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from fn_notifications.domain.address import EMAIL, Channel
from fn_notifications.entrypoints.capacity.demand import Demand
from fn_notifications.entrypoints.capacity.figures import Figures
from fn_notifications.entrypoints.capacity.plan import Bound, Lane, Plan, Work
from fn_notifications.entrypoints.settings.variable import Variable
from fn_notifications.entrypoints.settings.variables.channels import CHANNELS, EMAIL_BATCH
from fn_notifications.entrypoints.settings.variables.stores import OBAN_QUEUES, POOL_SIZE, RETENTION_DAYS

_IN_FLIGHT: Final = "notifications"
"""The queue of OBAN_QUEUES that bounds the calls on the wire."""
_RELAY: Final = "relay"
_MOST_CALLS: Final = 9_000
"""Of one process, over all channels. OBAN_QUEUES takes four digits."""


def plan_for(demand: Demand, figures: Figures) -> Plan:
    """The least that meets a demand with nothing busier than it may be."""
    work = tuple(_work(demand, figures))
    service = _cores(work, lambda one: one.cost.service)
    postgres = _cores(work, lambda one: one.cost.postgres)
    wanted = max(_least(service / demand.utilisation), _least(sum(_slots(demand).values()) / _MOST_CALLS))
    machines = _least(wanted / demand.cores)
    each = _least(wanted / machines)
    processes, cpus = each * machines, _least(postgres / demand.utilisation)
    lanes = tuple(_lane(demand, channel, processes) for channel in demand.channels)
    used = {"service CPU": (processes, service), "PostgreSQL CPU": (cpus, postgres), "relay": (1, _relay(work))}
    bounds = tuple(sorted(_bounds(demand, lanes, used, processes), key=lambda bound: bound.rate))
    kept, logged = _room(demand, figures)
    return Plan(
        work=work,
        service_cores=service,
        postgres_cores=postgres,
        processes=processes,
        machines=machines,
        memory_mb=processes * figures.resident_mb,
        postgres_cpus=cpus,
        connections=processes * default(POOL_SIZE),
        partitions=processes,
        lanes=lanes,
        settings=_settings(demand, lanes, each),
        disk_per_day=kept * demand.busy_seconds,
        disk_kept=kept * demand.busy_seconds * demand.retention,
        wal_per_second=logged,
        bounds=bounds,
        relay_share=_relay(work),
        drain_seconds=_drain(demand, bounds),
    )


def default(variable: Variable[int]) -> int:
    """What holds where nobody says anything."""
    return variable.kind.read(variable.default or "")


def batch() -> int:
    """The setting's."""
    return default(EMAIL_BATCH)


def retention() -> int:
    """Days. The setting's."""
    return default(RETENTION_DAYS)


def _work(demand: Demand, figures: Figures) -> Iterator[Work]:
    """What there is to do in a second.

    Intake was measured with one delivery an event: it counts events, or deliveries where there are more. A delivery is
    published when it is sent, and again when a report says that it arrived.
    """
    deliveries = demand.all_deliveries
    yield Work(name="intake", per_second=max(demand.rate, deliveries), cost=figures.intake)
    for channel in demand.channels:
        together = demand.messages_per_call(channel)
        cost = figures.email(together) if channel == EMAIL else figures.dispatch
        yield Work(name=channel, per_second=demand.deliveries(channel), cost=cost)
    yield Work(name=_RELAY, per_second=deliveries * (1 + min(1.0, demand.reports)), cost=figures.relay)
    yield Work(name="reports", per_second=deliveries * demand.reports, cost=figures.report)


def _cores(work: Sequence[Work], milliseconds: Callable[[Work], float]) -> float:
    """Busy at once, on average: the utilisation law, U = X x S."""
    return sum(one.per_second * milliseconds(one) for one in work) / 1000


def _slots(demand: Demand) -> Mapping[Channel, float]:
    """Calls to have room for, over all processes: Little's law, and no more of it in use than may be."""
    return {channel: _on_the_wire(demand, channel) / demand.utilisation for channel in demand.channels}


def _on_the_wire(demand: Demand, channel: Channel) -> float:
    """Little's law, L = lambda x W."""
    return demand.deliveries(channel) / demand.messages_per_call(channel) * demand.call_seconds(channel)


def _lane(demand: Demand, channel: Channel, processes: int) -> Lane:
    deliveries, limit = demand.deliveries(channel), demand.limits.get(channel)
    return Lane(
        channel=channel,
        deliveries=deliveries,
        calls=deliveries / demand.messages_per_call(channel),
        on_the_wire=_on_the_wire(demand, channel),
        slots=max(default(CHANNELS[channel].concurrency), _least(_slots(demand)[channel] / processes)),
        limit=limit,
        excess=0.0 if limit is None else max(0.0, deliveries - limit),
    )


def _relay(work: Sequence[Work]) -> float:
    """Busy cores. One process holds every shard of the event log that it finds free, which is all: it is serial."""
    return _cores([one for one in work if one.name == _RELAY], lambda one: one.cost.service)


def _bounds(
    demand: Demand, lanes: Sequence[Lane], cores: Mapping[str, tuple[int, float]], processes: int
) -> Iterator[Bound]:
    """`cores`: how many there are of each kind, and how many of them are busy at the demanded rate."""
    for name, (there, busy) in cores.items():
        if busy:
            yield Bound(resource=name, rate=demand.rate * there / busy)
    for lane in lanes:
        slots = lane.slots * processes / lane.on_the_wire
        yield Bound(resource=f"slots for {lane.channel}", rate=demand.rate * slots)
        if lane.limit is not None:
            limit = lane.limit / lane.deliveries
            yield Bound(resource=f"the provider's limit for {lane.channel}", rate=demand.rate * limit)


def _settings(demand: Demand, lanes: Sequence[Lane], processes: int) -> Mapping[str, str]:
    queues = OBAN_QUEUES.kind.read(OBAN_QUEUES.default or "")
    calls = max(queues[_IN_FLIGHT], sum(lane.slots for lane in lanes))
    settings = {
        "PROCESSES": str(processes),
        OBAN_QUEUES.name: ",".join(f"{name}:{size}" for name, size in {**queues, _IN_FLIGHT: calls}.items()),
    }
    for lane in lanes:
        variables = CHANNELS[lane.channel]
        settings[variables.concurrency.name] = str(lane.slots)
        if lane.limit is not None:
            settings[variables.rate.name] = f"{lane.limit:f}".rstrip("0").rstrip(".")
        if lane.channel == EMAIL:
            settings[EMAIL_BATCH.name] = str(demand.batch)
    settings[POOL_SIZE.name] = str(default(POOL_SIZE))
    settings[RETENTION_DAYS.name] = str(demand.retention)
    return settings


def _room(demand: Demand, figures: Figures) -> tuple[float, float]:
    """Bytes kept and bytes logged in a second. An event that makes no delivery is taken for one that makes one."""
    notified, reports = max(demand.rate, demand.all_deliveries), demand.all_deliveries * demand.reports
    return (
        notified * figures.delivery_room.kept + reports * figures.report_room.kept,
        notified * figures.delivery_room.logged + reports * figures.report_room.logged,
    )


def _drain(demand: Demand, bounds: Sequence[Bound]) -> float | None:
    """The backlog goes by what the lowest bound leaves beside what comes in."""
    spare = bounds[0].rate - demand.rate
    return demand.backlog / spare if spare > 0 else None


def _least(needed: float) -> int:
    """Whole, at least one. What rounding alone puts above a whole number is not above it."""
    return max(1, math.ceil(round(needed, 9)))
