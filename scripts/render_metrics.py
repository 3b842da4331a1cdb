"""Print docs/reference/metrics.md, made from the table the service itself measures by."""

from typing import Final

from fn_notifications.adapters.telemetry.metrics import SECONDS
from fn_notifications.adapters.telemetry.names import METRICS, OUTSIDE, Kind, Metric
from fn_notifications.application.measuring import LONGEST_LABEL, MOST_LABEL_SETS, OTHER

_HEAD: Final = f"""\
# Metrics

<!-- Made by scripts/render_metrics.py; a test compares the two. -->

What the service measures, by the deployment guide's names where it has one. In Prometheus' form dots are underscores:
`fn_notifications_notification_sent_total`. Durations are in seconds, in buckets up to
{", ".join(f"{bound:g}" for bound in SECONDS)} seconds.

Labels are few-valued and hold no address and no text. A value longer than {LONGEST_LABEL} characters is cut; after
{MOST_LABEL_SETS} different sets of labels under one name, whatever else comes is counted with every label as `{OTHER}`.
"""


def _line(metric: Metric) -> str:
    labels = [f"`{OUTSIDE.get(label, label)}`" for label in metric.labels]
    kept = ", ".join(labels) or "none"
    return f"| `{metric.name}` | {metric.kind} | {kept} | {metric.meaning} |"


def render() -> str:
    """The whole page."""
    rows = sorted(METRICS, key=lambda metric: (list(Kind).index(metric.kind), metric.name))
    return "\n".join([_HEAD, "| name | kind | labels | what it counts |", "|---|---|---|---|", *map(_line, rows), ""])


if __name__ == "__main__":
    print(render(), end="")
