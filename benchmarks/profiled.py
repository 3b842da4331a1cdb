"""Run a module and write down where its CPU time went: `python -m benchmarks.profiled REPORT MODULE ARGUMENT...`

CPU time of the process, not time on the wall: what others did on the machine, and waiting, are left out. Threads of
librdkafka and the pool are not looked into.
"""

import cProfile
import pstats
import runpy
import sys
import time
from pathlib import Path

_LINES = 60


def main() -> None:
    """Profile from the first import to the last line."""
    report, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    profile = cProfile.Profile(time.process_time)
    try:
        profile.runcall(runpy.run_module, module, run_name="__main__", alter_sys=True)
    finally:
        with Path(report).open("w", encoding="utf-8") as out:
            stats = pstats.Stats(profile, stream=out)
            for order in ("cumulative", "tottime"):
                stats.sort_stats(order).print_stats(_LINES)


if __name__ == "__main__":
    main()
