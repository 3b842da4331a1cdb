"""`python -m benchmarks`: measure, print a table, write build/bench.json."""

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence

from benchmarks import report
from benchmarks.figures import Figures
from benchmarks.ground import OUT, ground
from benchmarks.measures import MEASURES
from benchmarks.stock import Stock
from benchmarks.traffic import USERS

_ROUNDS = 3
_FILE = OUT / "bench.json"


def main() -> int:
    """Measure what is asked for."""
    told = _arguments()
    OUT.mkdir(exist_ok=True)
    names = told.only or [name for name, measure in MEASURES.items() if not measure.apart]
    rounds = asyncio.run(_measured(names, told))
    print(report.table(rounds))
    return 0


async def _measured(names: Sequence[str], told: argparse.Namespace) -> dict[str, list[Figures]]:
    """Rounds interleaved, so that a busy minute of the machine hurts no measure alone."""
    rounds: dict[str, list[Figures]] = {}
    async with ground(profiled=told.profile) as standing:
        stock = Stock(standing, users=told.users)
        for number in range(told.repeat):
            for name in names:
                measure = MEASURES[name]
                if measure.rounds is not None and number >= measure.rounds:
                    continue
                started = time.monotonic()
                count = measure.count if measure.timed else told.count or measure.count
                found = await measure.run(stock, count)
                for key, figures in ({name: found} if isinstance(found, Figures) else found).items():
                    rounds.setdefault(key, []).append(figures)
                print(f"round {number + 1}: {name}, {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
            report.write(rounds, told.out)
    return rounds


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument(
        "--only", type=lambda text: text.split(","), metavar="NAME,NAME", help=f"of {', '.join(MEASURES)}"
    )
    parser.add_argument("--repeat", type=int, default=_ROUNDS, help="rounds")
    parser.add_argument("--count", type=int, help="units of work in each, instead of each measure's own number")
    parser.add_argument("--users", type=int, default=USERS, help="people; each gets at most 20 messages an hour")
    parser.add_argument("--profile", action="store_true", help=f"write {OUT}/profile-<name>.txt; rates suffer")
    parser.add_argument("--out", type=type(_FILE), default=_FILE, help="where the figures go")
    told = parser.parse_args()
    if unknown := set(told.only or ()) - set(MEASURES):
        parser.error(f"nothing is called {', '.join(sorted(unknown))}")
    return told


if __name__ == "__main__":
    sys.exit(main())
