"""`python -m fn_notifications.testing.simulation --seeds N --first K`: run seeds, print one line of JSON.

Exit code 1 when the oracle is broken by any of them, or when many seeds left something out.
"""

import argparse
import json
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence

from fn_notifications.testing.simulation.report import Report
from fn_notifications.testing.simulation.world import simulate, without_trace


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    given = _parser().parse_args(arguments)
    if given.trace:
        one = simulate(given.first)
        sys.stdout.write(one.trace)
        for violation in one.verdict.violations:
            print(violation, file=sys.stderr)  # noqa: T201 - a command line prints
        return 1 if one.verdict.violations else 0
    began, report = time.perf_counter(), Report(given.first)
    seeds = range(given.first, given.first + given.seeds)
    with multiprocessing.get_context("spawn").Pool(given.processes) as pool:
        for outcome in pool.imap_unordered(without_trace, seeds, chunksize=4):
            report.add(outcome)
    flaws = list(report.flaws())
    for flaw in flaws:
        print(flaw, file=sys.stderr)  # noqa: T201 - as above
    for seed in sorted(report.broken)[:3]:
        again = f"python -m fn_notifications.testing.simulation --first {seed} --trace"
        print(f"to see it happen: {again}", file=sys.stderr)  # noqa: T201 - as above
    print(json.dumps(report.line(time.perf_counter() - began)))  # noqa: T201 - as above
    return 1 if flaws else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="simulation", description=__doc__)
    parser.add_argument("--seeds", type=int, default=200, help="how many (default: 200)")
    parser.add_argument("--first", type=int, default=0, help="the first of them (default: 0)")
    parser.add_argument("--processes", type=int, default=os.cpu_count(), help="default: as many as there are cores")
    parser.add_argument("--trace", action="store_true", help="run the first seed alone and print all that happens")
    return parser


if __name__ == "__main__":
    sys.exit(main())
