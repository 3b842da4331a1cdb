"""Run a module and write down where its CPU time went: `python -m benchmarks.profiled REPORT MODULE ARGUMENT...`

By samples of the stack, one every millisecond of the process's CPU time: what others did on the machine and waiting are
left out, and small functions look no dearer than they are, as they do where every call is counted. Threads of
librdkafka and the pool are not looked into.
"""

import runpy
import signal
import sys
from collections import Counter
from pathlib import Path
from types import CodeType, FrameType

from attrs import define, field

_EVERY = 0.001
_LINES = 70


@define
class Samples:
    """Stacks seen: how often each function was in one, and at the top of one."""

    within: Counter[CodeType] = field(factory=Counter)
    own: Counter[CodeType] = field(factory=Counter)
    taken: int = 0

    def take(self, _: int, frame: FrameType | None) -> None:
        """One sample; a signal handler."""
        if frame is None:
            return
        self.taken += 1
        self.own[frame.f_code] += 1
        seen = set[CodeType]()
        while frame is not None:
            seen.add(frame.f_code)
            frame = frame.f_back
        self.within.update(seen)

    def report(self) -> str:
        """Shares of all samples, the largest first."""
        parts = [f"{self.taken} samples, one per {_EVERY * 1000:g} ms of CPU time"]
        for title, counts in (("with what it calls", self.within), ("by itself", self.own)):
            lines = [f"{amount / self.taken:7.1%}  {_name(code)}" for code, amount in counts.most_common(_LINES)]
            parts.append("\n".join([f"\n{title}", *lines]))
        return "\n".join(parts) + "\n"


def main() -> None:
    """Sample from the first import to the last line."""
    report, module, *arguments = sys.argv[1:]
    sys.argv = [module, *arguments]
    samples = Samples()
    signal.signal(signal.SIGPROF, samples.take)
    signal.setitimer(signal.ITIMER_PROF, _EVERY, _EVERY)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        Path(report).write_text(samples.report(), encoding="utf-8")


def _name(code: CodeType) -> str:
    place = "/".join(Path(code.co_filename).parts[-3:])
    return f"{place}:{code.co_firstlineno} {code.co_qualname}"


if __name__ == "__main__":
    main()
