"""The reference page and the table it is made from."""

import runpy
from itertools import chain
from pathlib import Path

from fn_notifications.entrypoints.settings import describe

ROOT = Path(__file__).parents[3]


def test_the_reference_page_is_what_the_table_says():
    render = runpy.run_path(str(ROOT / "scripts" / "render_settings.py"))["render"]
    page = ROOT / "docs" / "reference" / "configuration.md"

    assert page.read_text("utf-8") == render(), (
        "run: python scripts/render_settings.py > docs/reference/configuration.md"
    )


def test_no_name_is_declared_twice():
    names = list(chain.from_iterable((row.name, *row.aliases) for row in describe()))

    assert len(names) == len(set(names))


def test_every_row_says_what_it_means_what_it_expects_and_what_holds_without_it():
    for row in describe():
        assert row.meaning.endswith(".")
        assert row.expected
        assert row.default is not None or row.otherwise
