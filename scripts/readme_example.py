"""Run README's library example as a newcomer with only the base install would, and compare what it prints."""

import contextlib
import importlib.metadata
import io
import re
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType

README = Path(__file__).resolve().parent.parent / "README.md"
BASE = frozenset({"attr", "attrs", "cattr", "cattrs", "tzdata", "typing_extensions", "fn_notifications"})


class OnlyTheBaseInstall:
    """An import hook that refuses what the base install does not bring."""

    def __init__(self) -> None:
        installed = importlib.metadata.packages_distributions().keys()
        self.refused = installed - BASE - sys.stdlib_module_names

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for what may be imported."""
        del path, target
        if (top := name.partition(".")[0]) in self.refused:
            raise ModuleNotFoundError(f"{top} is not in the base install", name=top)
        return None


def main() -> int:
    """Returns 0 when the example prints what README says."""
    text = README.read_text(encoding="utf-8")
    section = text.partition("## As a library")[2]
    blocks = re.findall(r"```(python|text)\n(.*?)```", section, re.DOTALL)
    example, expected = blocks[0][1], blocks[1][1]
    sys.meta_path.insert(0, OnlyTheBaseInstall())
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(example, str(README), "exec"), {"__name__": "readme"})  # noqa: S102 - our own README
    if printed.getvalue() != expected:
        print("README's example printed:", printed.getvalue(), "but README says:", expected, sep="\n")
        return 1
    print("README's example prints what README says, on the base install alone.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
