"""What will be broken, when and how: decided by one seed before anything runs."""

import random
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from itertools import count, takewhile

from attrs import frozen


class Kind(StrEnum):
    """Something that is done to a process, or to what it depends on."""

    KILL = "kill"
    """kill -9, and started again a moment later."""
    FREEZE = "freeze"
    """SIGSTOP until its leases are over, then SIGCONT."""
    TERMINATE = "terminate"
    """SIGTERM, and started again."""
    DATABASE_CUT = "database_cut"
    """Connections reset, new ones refused."""
    DATABASE_HOLE = "database_hole"
    """Connections stand and nothing comes through."""
    DATABASE_SLOW = "database_slow"
    DATABASE_KILL = "database_kill"
    """kill -9 of the server, and started again."""
    PROVIDER_CUT = "provider_cut"
    PROVIDER_HOLE = "provider_hole"
    PROVIDER_SLOW = "provider_slow"
    BROKER_CUT = "broker_cut"
    BROKER_HOLE = "broker_hole"
    BROKER_SLOW = "broker_slow"


OF_A_WORKER: Mapping[Kind, int] = {
    Kind.KILL: 2,
    Kind.FREEZE: 3,
    Kind.TERMINATE: 2,
    Kind.DATABASE_CUT: 2,
    Kind.DATABASE_HOLE: 2,
    Kind.DATABASE_SLOW: 1,
    Kind.PROVIDER_CUT: 2,
    Kind.PROVIDER_HOLE: 2,
    Kind.PROVIDER_SLOW: 1,
}
"""What may happen to one process, and how often beside the others; every second time it is killed anyway."""
OF_ALL: Mapping[Kind, int] = {Kind.DATABASE_KILL: 2, Kind.BROKER_CUT: 2, Kind.BROKER_HOLE: 2, Kind.BROKER_SLOW: 1}
"""What happens to all of them at once."""


@frozen(kw_only=True)
class Fault:
    """One thing going wrong; times in seconds."""

    after: float
    """Since the one before it was over."""
    kind: Kind
    lasts: float
    """For a process that was ended: how long it stays down."""


@frozen
class Plan:
    """A lane of faults per process, and one for all. In a lane one fault is over before the next begins."""

    workers: Sequence[Sequence[Fault]]
    shared: Sequence[Fault]


def plan(seed: int, seconds: float, *, workers: int, lease: float) -> Plan:
    """The faults of a campaign. The same arguments make the same plan.

    In every lane every kind comes once before chance decides, so that a short campaign has seen most of them.
    """
    return Plan(
        [tuple(_lane(f"{seed}/{number}", seconds, OF_A_WORKER, lease, often=Kind.KILL)) for number in range(workers)],
        tuple(_lane(f"{seed}/all", seconds, OF_ALL, lease)),
    )


def _lane(
    seed: str, seconds: float, weights: Mapping[Kind, int], lease: float, *, often: Kind | None = None
) -> Iterator[Fault]:
    chance = random.Random(seed)
    spent = 0.0

    def in_time(fault: Fault) -> bool:
        nonlocal spent
        spent += fault.after + fault.lasts
        return spent < seconds

    return takewhile(in_time, _faults(chance, weights, lease, often))


def _faults(chance: random.Random, weights: Mapping[Kind, int], lease: float, often: Kind | None) -> Iterator[Fault]:
    """Endless. `often` comes every second time."""
    first = list(weights)
    chance.shuffle(first)
    for number in count():
        if often and number % 2 == 0:
            kind = often
        else:
            kind = first.pop() if first else chance.choices(list(weights), list(weights.values()))[0]
        yield Fault(after=chance.uniform(2.0, 7.0), kind=kind, lasts=_length(chance, kind, lease))


def _length(chance: random.Random, kind: Kind, lease: float) -> float:
    match kind:
        case Kind.KILL | Kind.TERMINATE:
            return chance.uniform(0.0, 2.0)
        case Kind.FREEZE:
            return lease + chance.uniform(0.5, 2.0)
        case Kind.DATABASE_KILL:
            return chance.uniform(0.0, 1.0)
        case _:
            return chance.choice((chance.uniform(0.2, 1.0), chance.uniform(1.0, lease), lease + chance.uniform(0.5, 3)))
