"""What the engine's measurements are called outside: one table, which the reference page is made from.

Where the deployment guide has a name, that is the name. Dots are underscores in Prometheus' form.
"""

import re
from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from attrs import frozen


class Kind(StrEnum):
    """A counter only grows; a histogram counts values by size."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"


@frozen(kw_only=True)
class Metric:
    """One measurement: what the engine says, and what comes of it."""

    said: str
    when: tuple[str, str] | None = None
    """Only where this label has this value; the name says it then, so the label is left out."""
    name: str
    kind: Kind
    labels: tuple[str, ...] = ()
    """As the engine says them."""
    meaning: str


OUTSIDE: Final[Mapping[str, str]] = MappingProxyType({"type": "notification_type", "reason": "failure_reason"})
"""Labels that the guide calls otherwise."""

METRICS: Final = (
    Metric(
        said="deliveries.answered",
        when=("status", "sent"),
        name="fn_notifications.notification.sent.total",
        kind=Kind.COUNTER,
        labels=("channel", "type"),
        meaning="Messages that a provider took.",
    ),
    Metric(
        said="deliveries.failed",
        name="fn_notifications.notification.failed.total",
        kind=Kind.COUNTER,
        labels=("channel", "type", "reason"),
        meaning="Deliveries given up after a call: refused, or every try spent.",
    ),
    Metric(
        said="deliveries.answered",
        name="fn_notifications.notification.answered.total",
        kind=Kind.COUNTER,
        labels=("channel", "status", "type"),
        meaning="Calls after which a delivery was not sent, by what became of it: pending waits for "
        "another try, in_doubt for a proof.",
    ),
    Metric(
        said="deliveries.upkept",
        name="fn_notifications.notification.upkept.total",
        kind=Kind.COUNTER,
        labels=("channel", "status"),
        meaning="Deliveries that needed a decision without a call, by what became of them: the lease of a dead worker, "
        "a doubt past its grace, an expiry.",
    ),
    Metric(
        said="provider.call",
        name="fn_notifications.provider.call.seconds",
        kind=Kind.HISTOGRAM,
        labels=("route", "outcome"),
        meaning="How long calls to a provider took, by how they ended.",
    ),
    Metric(
        said="intake.events",
        name="fn_notifications.intake.events.total",
        kind=Kind.COUNTER,
        labels=("outcome",),
        meaning="Events stored, by what they turned out to be.",
    ),
    Metric(
        said="intake.conflicts",
        name="fn_notifications.intake.conflicts.total",
        kind=Kind.COUNTER,
        meaning="Batches decided anew because somebody changed a profile under them.",
    ),
    Metric(
        said="receipts.applied",
        name="fn_notifications.receipts.applied.total",
        kind=Kind.COUNTER,
        meaning="Reports from providers applied to their deliveries.",
    ),
    Metric(
        said="receipts.parked",
        name="fn_notifications.receipts.parked.total",
        kind=Kind.COUNTER,
        meaning="Reports whose attempt did not become known in time.",
    ),
    Metric(
        said="relay.published",
        name="fn_notifications.relay.published.total",
        kind=Kind.COUNTER,
        meaning="Event-log entries acknowledged by the broker.",
    ),
    Metric(
        said="relay.lease_lost",
        name="fn_notifications.relay.lease_lost.total",
        kind=Kind.COUNTER,
        meaning="Rounds given up because another relay had taken the shards over: their entries are published twice.",
    ),
    Metric(
        said="webhooks.receipts",
        name="fn_notifications.webhooks.receipts.total",
        kind=Kind.COUNTER,
        labels=("provider",),
        meaning="Reports that came in through a webhook, repeated ones too.",
    ),
    Metric(
        said="webhooks.refused",
        name="fn_notifications.webhooks.refused.total",
        kind=Kind.COUNTER,
        labels=("provider",),
        meaning="Requests to a webhook that the provider did not sign.",
    ),
    Metric(
        said="loop.failures",
        name="fn_notifications.loop.failures.total",
        kind=Kind.COUNTER,
        labels=("loop",),
        meaning="Rounds of a background loop that ended in an error and are tried again.",
    ),
)

_ENDINGS: Final = MappingProxyType({Kind.COUNTER: "total", Kind.HISTOGRAM: "seconds"})


def outside(said: str, kind: Kind, labels: Mapping[str, str]) -> tuple[str, dict[str, str]]:
    """The name and the labels of a measurement as they leave; one that is not in the table keeps what it is called."""
    for metric in METRICS:
        if metric.said != said or metric.kind is not kind:
            continue
        if metric.when is None:
            return metric.name, _renamed(labels)
        label, value = metric.when
        if labels.get(label) == value:
            return metric.name, _renamed({key: labels[key] for key in labels if key != label})
    plain = re.sub(r"[^a-z0-9_.]", "_", said.lower())[:100]
    return f"fn_notifications.{plain}.{_ENDINGS[kind]}", _renamed(labels)


def _renamed(labels: Mapping[str, str]) -> dict[str, str]:
    return {OUTSIDE.get(label, label): value for label, value in labels.items()}
