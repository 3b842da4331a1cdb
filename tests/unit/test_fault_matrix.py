"""The fault matrix and the test suite say the same: no row without a test or a reason, no test without a row."""

import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = runpy.run_path(str(ROOT / "scripts" / "render_faults.py"))
PAGE = (ROOT / "docs" / "reference" / "faults.md").read_text("utf-8")
ROWS = tuple(SCRIPT["rows"](PAGE))
TESTS = SCRIPT["tests"]()


def test_every_row_is_there_once() -> None:
    assert [row.number for row in ROWS] == list(range(1, SCRIPT["LAST"] + 1))


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_a_row_has_a_test_or_waits_as_a_whole(row) -> None:
    assert bool(row.tests) != row.waits.startswith("all of it: ")


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.number)
def test_a_row_names_the_tests_there_are(row) -> None:
    assert row.tests == TESTS.get(row.number, ()), "run: python scripts/render_faults.py"


def test_no_test_belongs_to_a_row_that_is_not_there() -> None:
    assert set(TESTS) <= {row.number for row in ROWS}
