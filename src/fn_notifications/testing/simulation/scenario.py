"""What a seed decides before anything begins: how long, how many, and which kinds of trouble.

Every seed has some kinds of trouble and not others ("swarm testing"): all at once would mostly show each other.
"""

from collections.abc import Mapping
from random import Random
from types import MappingProxyType
from typing import Final

from attrs import frozen

from fn_notifications.testing.simulation.faults import PER_CALL, PER_SEED, Fault, Rates

_HOUR: Final = 3600.0


@frozen(kw_only=True)
class Scenario:
    """The plan of one seed."""

    hosts: int
    people: int
    bursts: tuple[float, ...]
    """When something happens, in seconds: several things at once."""
    span: float
    """Until all faults end, in seconds."""
    rates: Rates
    limited: bool
    """Whether texts may go only so fast."""


_F = Fault
THEMES: Final[Mapping[str, Rates]] = MappingProxyType(
    {
        # What a provider says it did not take, it reports on, long after: when the delivery has ended otherwise.
        "contradictions": {
            _F.THROTTLED: 0.5,
            _F.UNAVAILABLE: 0.4,
            _F.UNSENT: 0.2,
            _F.ERROR: 0.1,
            _F.CONTRADICTION: 0.95,
            _F.REPORT_LATE: 0.8,
            _F.CANCEL: 6,
            _F.OPT_OUT: 3,
            _F.STOP: 3,
            _F.ROUTE_THROTTLED: 3,
            _F.HOLD: 1,
        },
        # Nobody learns what became of a call, the second one is refused, and then the first is reported on.
        "doubts": {
            _F.ANSWER_LOST: 0.4,
            _F.ERROR: 0.3,
            _F.UNSENT: 0.5,
            _F.THROTTLED: 0.2,
            _F.CONTRADICTION: 0.8,
            _F.REPORT_LATE: 0.6,
            _F.BOUNCE: 0.5,
            _F.RESOLVE: 8,
            _F.HOLD: 1.5,
        },
        # Processes stand still with calls on the wire, and wake up when everybody else has gone on without them.
        "sleepers": {
            _F.FREEZE: 0.12,
            _F.HANG: 0.1,
            _F.ERROR: 0.2,
            _F.UNSENT: 0.3,
            _F.THROTTLED: 0.3,
            _F.REPORT_LOST: 0.9,
            _F.HOLD: 3,
            _F.ROUTE_THROTTLED: 2,
            _F.ROUTE_HANGS: 2,
        },
        # Nobody takes anything until it has expired, and what was refused is reported on even later.
        "starved": {
            _F.THROTTLED: 0.9,
            _F.UNAVAILABLE: 0.5,
            _F.CONTRADICTION: 0.25,
            _F.REPORT_LATE: 0.95,
            _F.HOLD: 2,
            _F.KILL: 0.01,
            _F.CANCEL_TYPE: 1,
            _F.OPT_OUT: 1,
        },
        # Reports come when the delivery has expired.
        "late": {
            _F.ANSWER_LOST: 0.5,
            _F.HANG: 0.2,
            _F.REPORT_LATE: 0.95,
            _F.REPORT_TWICE: 0.3,
            _F.BOUNCE: 0.4,
            _F.LOOKUP_UNANSWERED: 0.5,
            _F.FREEZE: 0.02,
            _F.KILL: 0.03,
        },
    }
)
"""Kinds of trouble that together lead where each alone rarely does."""


def plan(random: Random, given: Rates | None = None) -> Scenario:
    """Draw one; with the faults that are `given`, if any are."""
    span = random.uniform(3, 30) * _HOUR
    if given is not None:
        rates = given
    elif random.random() < 0.4:
        rates = THEMES[random.choice(list(THEMES))]
    else:
        share = random.choice((0.2, 0.4, 0.6))
        rates = {fault: rate for fault, rate in {**PER_CALL, **PER_SEED}.items() if random.random() < share}
    return Scenario(
        hosts=random.choice((2, 2, 2, 3)),
        people=random.randint(2, 5),
        bursts=tuple(sorted(random.uniform(0, span) for _ in range(random.randint(3, 6)))),
        span=span,
        rates={fault: rate * random.uniform(0.4, 1.6) for fault, rate in rates.items()},
        limited=random.random() < 0.3,
    )
