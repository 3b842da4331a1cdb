"""Many seeds added up: one line of JSON, and whether it is good enough."""

from collections import Counter
from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import Any, Final

from attrs import define, field

from fn_notifications.domain.lifecycle import TRANSITIONS
from fn_notifications.testing.simulation.faults import Fault
from fn_notifications.testing.simulation.world import Outcome, named

CAMPAIGN: Final = 2_000
"""Seeds from which on everything has to have happened."""
OFTEN_ENOUGH: Final = 10

_SILENT: Final = (
    "a delivery ends so only when all its attempts are proved unsent, and each of those was told of by its own worker: "
    "whatever is reported about one after that proves more, and makes it sent, delivered or failed"
)
IMPOSSIBLE: Final[Mapping[str, str]] = MappingProxyType(
    {"skipped+Noted": _SILENT, "cancelled+Noted": _SILENT, "expired+Noted": _SILENT}
)
"""Rows of the table that the whole application never gets to, and why. The table has them so that no finding is ever
refused. One that happens all the same makes a campaign fail: the argument was wrong."""


@define
class Report:
    """The sums."""

    first: int
    outcomes: int = 0
    steps: int = 0
    deliveries: int = 0
    lost: int = 0
    unexpected: int = 0
    sent_after_opt_out: int = 0
    duplicates: int = 0
    in_doubt_opened: int = 0
    ambiguous_calls: int = 0
    in_doubt_resends: int = 0
    faults: Counter[str] = field(factory=Counter)
    transitions: Counter[str] = field(factory=Counter)
    broken: dict[int, tuple[str, ...]] = field(factory=dict)
    """By seed, what the oracle found."""

    def add(self, one: Outcome) -> None:
        """One more seed."""
        self.outcomes += 1
        self.steps += one.steps
        self.faults.update(one.faults)
        self.transitions.update(one.transitions)
        self.in_doubt_opened += one.in_doubt_opened
        self.ambiguous_calls += one.ambiguous_calls
        self.in_doubt_resends += one.in_doubt_resends
        self.deliveries += one.verdict.deliveries
        self.lost += one.verdict.lost
        self.unexpected += one.verdict.unexpected
        self.sent_after_opt_out += one.verdict.sent_after_opt_out
        self.duplicates += one.verdict.duplicates
        if one.verdict.violations:
            self.broken[one.seed] = one.verdict.violations

    def flaws(self) -> Iterator[str]:
        """What makes it fail, as sentences."""
        for seed, violations in sorted(self.broken.items()):
            yield f"seed {seed}: {violations[0]}" + (f" (and {len(violations) - 1} more)" if violations[1:] else "")
        if self.in_doubt_opened > self.ambiguous_calls:
            yield "in doubt was opened more often than calls were ambiguous"
        yield from (f"{row} happened: it was thought impossible" for row in IMPOSSIBLE if self.transitions[row])
        if self.outcomes >= CAMPAIGN:
            for name, amount in {**self._faults(), **self._transitions()}.items():
                if amount < OFTEN_ENOUGH and name not in IMPOSSIBLE:
                    yield f"{name} happened {amount} times, wanted are {OFTEN_ENOUGH}"

    def line(self, seconds: float) -> dict[str, Any]:
        """What is printed."""
        return {
            "seeds": self.outcomes,
            "first_seed": self.first,
            "steps": self.steps,
            "deliveries": self.deliveries,
            "faults": self._faults(),
            "transitions": self._transitions(),
            "lost": self.lost,
            "unexpected": self.unexpected,
            "sent_after_opt_out": self.sent_after_opt_out,
            "duplicates": self.duplicates,
            "in_doubt_opened": self.in_doubt_opened,
            "ambiguous_calls": self.ambiguous_calls,
            "in_doubt_resends": self.in_doubt_resends,
            "seconds": round(seconds, 1),
        }

    def _faults(self) -> dict[str, int]:
        return {str(fault): self.faults[fault] for fault in Fault}

    def _transitions(self) -> dict[str, int]:
        return {named(*row): self.transitions[named(*row)] for row in TRANSITIONS}
