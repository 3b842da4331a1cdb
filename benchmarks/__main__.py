"""Run every measurement, print a table, write build/bench.json."""

import asyncio
import json
import statistics
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path

from benchmarks import domain, footprint, pipeline

ROUNDS = 3
OUT = Path("build/bench.json")

Measure = Callable[[], Coroutine[None, None, dict[str, float]]]
MEASURES: dict[str, tuple[Measure, int]] = {
    "domain": (domain.measure, ROUNDS),
    "intake": (pipeline.measure_intake, ROUNDS),
    "pipeline": (pipeline.measure_pipeline, ROUNDS),
    "footprint": (footprint.measure, 1),
}


def main() -> int:
    """Medians of the rounds, interleaved, so that a busy minute of the machine hurts no measure alone."""
    figures: dict[str, list[dict[str, float]]] = {name: [] for name in MEASURES}
    for number in range(ROUNDS):
        for name, (measure, rounds) in MEASURES.items():
            if number < rounds:
                print(f"{name}, round {number + 1} of {rounds} …", file=sys.stderr, flush=True)
                figures[name].append(asyncio.run(measure()))
    medians = {
        name: {what: round(statistics.median(one[what] for one in rounds), 3) for what in rounds[0]}
        for name, rounds in figures.items()
    }
    OUT.parent.mkdir(exist_ok=True)
    OUT.write_text(json.dumps({"rates": medians, "rounds": figures}, indent=2), encoding="utf-8")
    for name, values in medians.items():
        print(name)
        for what, value in values.items():
            spread = sorted(one[what] for one in figures[name])
            print(f"  {what:<34}{value:>12,.1f}   ({spread[0]:,.1f} to {spread[-1]:,.1f})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
