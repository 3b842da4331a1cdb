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
    """A counter only grows; a histogram counts values by size; a gauge says how high something stands."""

    COUNTER = "counter"
    HISTOGRAM = "histogram"
    GAUGE = "gauge"


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
        said="doubts.open",
        name="fn_notifications.in_doubt.open",
        kind=Kind.GAUGE,
        labels=("channel",),
        meaning="Deliveries of which nobody knows whether they were sent.",
    ),
    Metric(
        said="doubts.asked",
        name="fn_notifications.in_doubt.asked.total",
        kind=Kind.COUNTER,
        labels=("route", "answer"),
        meaning="Questions to providers about attempts without a report, by the answer: found, nothing, unanswered.",
    ),
    Metric(
        said="doubts.resolved",
        name="fn_notifications.in_doubt.resolved.total",
        kind=Kind.COUNTER,
        labels=("by",),
        meaning="Doubts that ended, by what ended them: report, look_up, policy (one more attempt), operator, expiry.",
    ),
    Metric(
        said="duplicates.possible",
        name="fn_notifications.duplicates_possible.total",
        kind=Kind.COUNTER,
        labels=("channel",),
        meaning="Attempts made while another was in doubt. There are never more duplicates than these.",
    ),
    Metric(
        said="provider.call",
        name="fn_notifications.provider.call.seconds",
        kind=Kind.HISTOGRAM,
        labels=("route", "outcome"),
        meaning="How long calls to a provider took, by how they ended; one of several messages, by each way they did.",
    ),
    Metric(
        said="calls.lease_over",
        name="fn_notifications.calls.lease_over.total",
        kind=Kind.COUNTER,
        labels=("route",),
        meaning="Calls not made: a process was frozen or much too slow, and the lease nearly over, or it had to stop.",
    ),
    Metric(
        said="routes.turned",
        name="fn_notifications.routes.turned.total",
        kind=Kind.COUNTER,
        labels=("scope", "to"),
        meaning="How often an account, a route, or a destination on one was found shut, and open again: one each, "
        "whichever process finds out.",
    ),
    Metric(
        said="routes.weighed",
        name="fn_notifications.routes.weighed.total",
        kind=Kind.COUNTER,
        labels=("channel", "to"),
        meaning="How often a route went behind the others of its channel for being slow, and was found fast again.",
    ),
    Metric(
        said="routes.state",
        name="fn_notifications.routes.state",
        kind=Kind.GAUGE,
        labels=("route",),
        meaning="How a route stands: 0 open, 1 to be tried by one call, 2 shut or held back.",
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
        said="intake.resets",
        name="fn_notifications.intake.resets.total",
        kind=Kind.COUNTER,
        labels=("topic",),
        meaning="Partitions whose next offset was gone, so that reading went on at the oldest record there is.",
    ),
    Metric(
        said="intake.aged_out",
        name="fn_notifications.intake.aged_out.total",
        kind=Kind.COUNTER,
        labels=("topic",),
        meaning="Records that the broker had dropped before they were read: they never come.",
    ),
    Metric(
        said="intake.held",
        name="fn_notifications.intake.held.total",
        kind=Kind.COUNTER,
        labels=("type", "cause"),
        meaning="Notifications put into quarantine instead of being planned, by why.",
    ),
    Metric(
        said="intake.jumps",
        name="fn_notifications.intake.jumps.total",
        kind=Kind.COUNTER,
        labels=("type",),
        meaning="Hours in which a type was asked for out of all proportion to its hours before. Worth an alert.",
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
        said="relay.refused",
        name="fn_notifications.relay.refused.total",
        kind=Kind.COUNTER,
        labels=("topic",),
        meaning="Events the broker would not take for their size, published without their data.",
    ),
    Metric(
        said="eventlog.unpublished",
        name="fn_notifications.eventlog.unpublished",
        kind=Kind.GAUGE,
        meaning="Entries of the event log that are still to be published.",
    ),
    Metric(
        said="eventlog.lag",
        name="fn_notifications.eventlog.lag.seconds",
        kind=Kind.GAUGE,
        meaning="How long the oldest of them has waited. Beyond 48 hours the log line `eventlog.behind` says so, and "
        "the log is pruned no further.",
    ),
    Metric(
        said="ledger.off",
        name="fn_notifications.ledger.off",
        kind=Kind.GAUGE,
        labels=("equation",),
        meaning="By how much an account of the last two days does not add up. Anything but 0 is a fault.",
    ),
    Metric(
        said="storage.pruned",
        name="fn_notifications.storage.pruned.total",
        kind=Kind.COUNTER,
        labels=("what",),
        meaning="What was thrown away because its time was over.",
    ),
    Metric(
        said="storage.held",
        name="fn_notifications.storage.held",
        kind=Kind.GAUGE,
        labels=("what",),
        meaning="Months of history and days of the event log that stay although their time is over: something in them "
        "is open, or not published.",
    ),
    Metric(
        said="storage.oldest_transaction",
        name="fn_notifications.storage.oldest_transaction.seconds",
        kind=Kind.GAUGE,
        meaning="Age of the oldest transaction: dead rows pile up behind it. After 5 minutes the log line "
        "`storage.old_transaction` says so.",
    ),
    Metric(
        said="storage.queue_dead",
        name="fn_notifications.storage.queue.dead_rows",
        kind=Kind.GAUGE,
        meaning="Dead rows of the queue that claims walk over until they are cleared away.",
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

_ENDINGS: Final = MappingProxyType({Kind.COUNTER: "total", Kind.HISTOGRAM: "seconds", Kind.GAUGE: "level"})


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
