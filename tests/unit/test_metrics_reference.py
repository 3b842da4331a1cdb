"""The reference page, the table it is made from, and what the engine really says."""

import ast
import runpy
from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from fn_notifications.adapters.telemetry.names import METRICS, Kind

ROOT = Path(__file__).parents[2]
KINDS = {"count": Kind.COUNTER, "observe": Kind.HISTOGRAM, "gauge": Kind.GAUGE}


@frozen
class Said:
    """A measurement in the source."""

    name: str
    kind: Kind
    labels: frozenset[str]
    where: str


def said() -> Iterator[Said]:
    """Every `telemetry.count("name", ...)` in the package, and likewise `observe` and `gauge`."""
    source = ROOT / "src" / "fn_notifications"
    for path in sorted(source.rglob("*.py")):
        if "testing" in path.parts:
            continue
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Call(
                    func=ast.Attribute(value=speaker, attr="count" | "observe" | "gauge" as verb),
                    args=[ast.Constant(value=str(name)), *_],
                    keywords=keywords,
                ) if ast.unparse(speaker).endswith("telemetry"):
                    labels = frozenset(word.arg for word in keywords if word.arg and word.arg != "amount")
                    yield Said(name, KINDS[verb], labels, f"{path.relative_to(source)}:{node.lineno}")


def test_the_reference_page_is_what_the_table_says():
    render = runpy.run_path(str(ROOT / "scripts" / "render_metrics.py"))["render"]

    assert (ROOT / "docs" / "reference" / "metrics.md").read_text("utf-8") == render(), (
        "run: python scripts/render_metrics.py > docs/reference/metrics.md"
    )


def test_everything_the_engine_says_is_in_the_table():
    rows = {(metric.said, metric.kind) for metric in METRICS}

    assert [one for one in said() if (one.name, one.kind) not in rows] == [], (
        "add a row to adapters/telemetry/names.py and run scripts/render_metrics.py"
    )


def test_everything_in_the_table_is_said():
    spoken = {(one.name, one.kind) for one in said()}

    assert [metric.name for metric in METRICS if (metric.said, metric.kind) not in spoken] == []


def test_the_table_has_the_labels_that_are_said():
    for metric in METRICS:
        spoken = {label for one in said() if one.name == metric.said for label in one.labels}
        assert spoken == {*metric.labels, *(metric.when[:1] if metric.when else ())}, metric.name
