"""Pages that are made from the code say what the code says."""

import json
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def test_lifecycle() -> None:
    render = runpy.run_path(str(ROOT / "scripts" / "render_lifecycle.py"))["render"]

    assert (ROOT / "docs" / "explanation" / "lifecycle.md").read_text("utf-8") == render(), (
        "run: python scripts/render_lifecycle.py > docs/explanation/lifecycle.md"
    )


@pytest.mark.parametrize("page", ["reference/figures.md", "explanation/capacity.md"])
def test_figures(page: str) -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "render_figures.py"))
    shipped = json.loads(script["SHIPPED"].read_text("utf-8"))
    text = (ROOT / "docs" / page).read_text("utf-8")

    assert text.count("<!-- figures: ") == text.count("<!-- end -->") > 2
    assert text == script["filled"](text, shipped), "run: python scripts/render_figures.py"


def test_the_shipped_figures_are_what_is_left_of_a_run() -> None:
    script = runpy.run_path(str(ROOT / "scripts" / "render_figures.py"))
    shipped = json.loads(script["SHIPPED"].read_text("utf-8"))

    assert {**script["trimmed"](shipped, {}), "measured": shipped["measured"]} == shipped
