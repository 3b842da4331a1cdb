"""From rounds to one table and one file: ratios first, for they alone compare between machines."""

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import asdict

from benchmarks.figures import Figures

Rounds = Mapping[str, Sequence[Figures]]

RATIOS: Mapping[str, tuple[str, str]] = {
    "dispatch_vs_bare": ("dispatch", "bare_dispatch"),
    "two_processes_vs_one": ("dispatch_two", "dispatch"),
    "dispatch_vs_bare_50ms": ("dispatch_50ms", "bare_dispatch_50ms"),
    "pipeline_vs_bare": ("pipeline", "bare_pipeline"),
    "email_batch_vs_dispatch": ("email_batch", "email_alone"),
    "growth_1m_vs_10k": ("growth_1m", "growth_10k"),
    "growth_100k_vs_10k": ("growth_100k", "growth_10k"),
    "cold_empty_vs_warm": ("cold_empty", "warm_pipeline"),
    "cold_bulk_vs_warm": ("cold_bulk", "warm_dispatch"),
    "dispatch_vs_celery": ("dispatch", "celery"),
    "dispatch_vs_procrastinate": ("dispatch", "procrastinate"),
    "dispatch_vs_pgqueuer": ("dispatch", "pgqueuer"),
}
_WIDTH = 28
_COLDEST = ("cold_empty_vs_warm", "cold_bulk_vs_warm")


def ratios(rounds: Rounds) -> dict[str, list[float]]:
    """Of rates, round by round: the two sides of each were measured within the same minute."""
    found = {name: _ratio(rounds.get(one, ()), rounds.get(other, ())) for name, (one, other) in RATIOS.items()}
    found = {name: values for name, values in found.items() if values}
    if all(name in found for name in _COLDEST):
        found["cold_vs_warm"] = [min(pair) for pair in zip(*(found[name] for name in _COLDEST), strict=False)]
    return found


def write(rounds: Rounds, file: Path) -> None:
    """Medians, and every round."""
    compared = ratios(rounds)
    document: dict[str, Any] = {
        "ratios": {name: _median(values) for name, values in compared.items()},
        "rates": {name: _median([one.rate for one in each if one.rate]) for name, each in rounds.items()},
        **{kind: _medians(rounds, kind) for kind in ("cpu_ms", "latency_ms", "more")},
        "why": {name: each[0].why for name, each in rounds.items() if each[0].why},
        "rounds": {name: [asdict(one) for one in each] for name, each in rounds.items()},
        "ratios_by_round": compared,
    }
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(document, indent=2), encoding="utf-8")


def table(rounds: Rounds) -> str:
    """For people: medians, with the lowest and highest."""
    lines = [f"{name:<{_WIDTH}}{_spread(values, 3)}" for name, values in ratios(rounds).items()]
    lines += ["", f"{'':<{_WIDTH}}{'units/s':>12}{'':<25}   CPU ms per unit"]
    for name, each in rounds.items():
        if rates := [one.rate for one in each if one.rate]:
            used = _of(each, "cpu_ms")
            total = f"{sum(value or 0 for value in used.values()):.3f} = " if used else ""
            lines.append(f"{name:<{_WIDTH}}{_spread(rates, 1)}   {total}{_named(used, ' + ')}")
    for name, each in rounds.items():
        for kind in ("latency_ms", "more"):
            if found := _of(each, kind):
                lines.append(f"{name:<{_WIDTH}}{kind.partition('_')[0]}: {_named(found, ', ')}")
        if each[0].why:
            lines.append(f"{name:<{_WIDTH}}not measured: {each[0].why}")
    return "\n".join(lines)


def _ratio(one: Sequence[Figures], other: Sequence[Figures]) -> list[float]:
    return [a.rate / b.rate for a, b in zip(one, other, strict=False) if a.rate and b.rate]


def _medians(rounds: Rounds, kind: str) -> dict[str, dict[str, float | None]]:
    return {name: found for name, each in rounds.items() if (found := _of(each, kind))}


def _of(each: Sequence[Figures], kind: str) -> dict[str, float | None]:
    return {what: _median([getattr(one, kind)[what] for one in each]) for what in getattr(each[0], kind)}


def _median(values: Sequence[float]) -> float | None:
    return round(statistics.median(values), 4) if values else None


def _spread(values: Sequence[float], places: int) -> str:
    spread = f"({min(values):,.{places}f} to {max(values):,.{places}f})"
    return f"{statistics.median(values):>12,.{places}f}   {spread:<22}"


def _named(values: Mapping[str, float | None], between: str) -> str:
    return between.join(f"{name} {value:,.3f}" for name, value in values.items() if value is not None)
