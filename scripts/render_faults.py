"""Fill in the tests of docs/reference/faults.md: every function under tests/ whose name carries a row's number."""

import ast
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

ROOT: Final = Path(__file__).resolve().parent.parent
PAGE: Final = ROOT / "docs" / "reference" / "faults.md"
LAST: Final = 50

_NAME: Final = re.compile(r"test_fault((?:_\d+)+)_[a-z]\w*")
_CELLS: Final = 5


@frozen(kw_only=True)
class Row:
    """One line of the page's table."""

    number: int
    fault: str
    rule: str
    waits: str
    """What a part of the row needs that is not built yet; empty when nothing."""
    tests: tuple[str, ...]


def tests() -> Mapping[int, tuple[str, ...]]:
    """The names of the tests by row, sorted; one that names two rows is of both."""
    found: dict[int, set[str]] = {}
    for path in sorted((ROOT / "tests").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (match := _NAME.fullmatch(node.name)):
                for number in match[1].split("_")[1:]:
                    found.setdefault(int(number), set()).add(node.name)
    return {number: tuple(sorted(names)) for number, names in found.items()}


def rows(page: str) -> Iterator[Row]:
    """The table as it stands."""
    for line in page.splitlines():
        if not re.match(r"\| \d", line):
            continue
        number, fault, rule, waits, names = _cells(line)
        yield Row(number=int(number), fault=fault, rule=rule, waits=waits, tests=tuple(re.findall(r"`(\w+)`", names)))


def render(page: str) -> str:
    """The page with the tests there are now; everything else stays."""
    found = tests()
    lines = {row.number: _line(evolve(row, tests=found.get(row.number, ()))) for row in rows(page)}
    return re.sub(r"^\| (\d+) \|.*$", lambda match: lines[int(match[1])], page, flags=re.MULTILINE)


def _cells(line: str) -> list[str]:
    cells = [cell.strip() for cell in line.strip().removeprefix("|").removesuffix("|").split("|")]
    if len(cells) != _CELLS:
        raise ValueError(f"a row of {len(cells)} cells: {line[:60]}")
    return cells


def _line(row: Row) -> str:
    names = ", ".join(f"`{name}`" for name in row.tests)
    return re.sub(" +", " ", f"| {row.number} | {row.fault} | {row.rule} | {row.waits} | {names} |")


if __name__ == "__main__":
    PAGE.write_text(render(PAGE.read_text("utf-8")), "utf-8")
