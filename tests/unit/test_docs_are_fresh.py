"""Pages that are made from the code say what the code says."""

import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_lifecycle() -> None:
    render = runpy.run_path(str(ROOT / "scripts" / "render_lifecycle.py"))["render"]

    assert (ROOT / "docs" / "explanation" / "lifecycle.md").read_text("utf-8") == render(), (
        "run: python scripts/render_lifecycle.py > docs/explanation/lifecycle.md"
    )
