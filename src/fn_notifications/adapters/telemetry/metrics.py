"""Telemetry through OpenTelemetry's SDK and structlog. Nothing leaves the process unless a reader is added."""

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Final

from attrs import field, frozen
from opentelemetry.metrics import Counter, Histogram, Meter, _Gauge
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    HistogramDataPoint,
    InMemoryMetricReader,
    MetricReader,
    NumberDataPoint,
)
from structlog.stdlib import BoundLogger

from fn_notifications.adapters.telemetry.logs import LEVELS
from fn_notifications.adapters.telemetry.names import Kind, outside
from fn_notifications.application.measuring import Labels, Sample, measurable
from fn_notifications.application.ports.telemetry import Label
from fn_notifications.application.redaction import Redaction

SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Bounds of the histograms' buckets: a call's deadline is 15 or 30 seconds."""


@frozen(kw_only=True)
class OtelTelemetry:
    """See `Telemetry`. Made by `open_telemetry`."""

    _meter: Meter
    _reader: InMemoryMetricReader
    _logger: BoundLogger
    _labels: Labels
    _counters: dict[str, Counter] = field(factory=dict, init=False, repr=False)
    _histograms: dict[str, Histogram] = field(factory=dict, init=False, repr=False)
    _gauges: dict[str, _Gauge] = field(factory=dict, init=False, repr=False)

    def count(self, name: str, amount: int = 1, **labels: Label) -> None:
        """See `Telemetry`."""
        with suppress(Exception):
            if measurable(amount):
                outer, fit = outside(name, Kind.COUNTER, self._labels.of(name, labels))
                self._counter(outer).add(amount, fit)

    def observe(self, name: str, value: float, **labels: Label) -> None:
        """See `Telemetry`."""
        with suppress(Exception):
            if measurable(value):
                outer, fit = outside(name, Kind.HISTOGRAM, self._labels.of(name, labels))
                self._histogram(outer).record(value, fit)

    def gauge(self, name: str, value: float, **labels: Label) -> None:
        """See `Telemetry`."""
        with suppress(Exception):
            if measurable(value):
                outer, fit = outside(name, Kind.GAUGE, self._labels.of(name, labels))
                self._gauge(outer).set(value, fit)

    def log(self, level: str, event: str, **fields: Label) -> None:
        """See `Telemetry`. A level nobody knows is an error."""
        with suppress(Exception):
            self._logger.log(LEVELS.get(level, LEVELS["error"]), event, **fields)

    def snapshot(self) -> list[Sample]:
        """Every number as it stands, since the start."""
        data = self._reader.get_metrics_data()
        if data is None:
            return []
        return [
            sample
            for resource in data.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
            for point in metric.data.data_points
            for sample in _samples(metric.name, point)
        ]

    def _counter(self, name: str) -> Counter:
        if name not in self._counters:
            self._counters[name] = self._meter.create_counter(name)
        return self._counters[name]

    def _histogram(self, name: str) -> Histogram:
        if name not in self._histograms:
            self._histograms[name] = self._meter.create_histogram(
                name, unit="s", explicit_bucket_boundaries_advisory=SECONDS
            )
        return self._histograms[name]

    def _gauge(self, name: str) -> _Gauge:
        if name not in self._gauges:
            self._gauges[name] = self._meter.create_gauge(name)
        return self._gauges[name]


@asynccontextmanager
async def open_telemetry(
    logger: BoundLogger, *, redaction: Redaction | None = None, readers: Sequence[MetricReader] = ()
) -> AsyncIterator[OtelTelemetry]:
    """Telemetry that logs to `logger` and is measured by an SDK of its own, not the process's global one.

    The SDK reads its `OTEL_*` variables itself (resource attributes, service name, whether it is disabled). `readers`
    are what exports, if anything does; they are flushed and shut down at the end.
    """
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader, *readers], shutdown_on_exit=False)
    try:
        yield OtelTelemetry(
            meter=provider.get_meter("fn_notifications"),
            reader=reader,
            logger=logger,
            labels=Labels(redaction or Redaction()),
        )
    finally:
        await asyncio.to_thread(provider.shutdown)


def _samples(name: str, point: object) -> Iterator[Sample]:
    if isinstance(point, NumberDataPoint):
        yield Sample(name, _labels_of(point), point.value)
    elif isinstance(point, HistogramDataPoint):
        labels, below = _labels_of(point), 0
        for bound, amount in zip((*map(str, point.explicit_bounds), "+Inf"), point.bucket_counts, strict=True):
            below += amount
            yield Sample(f"{name}.bucket", {**labels, "le": bound}, below)
        yield Sample(f"{name}.count", labels, point.count)
        yield Sample(f"{name}.sum", labels, point.sum)


def _labels_of(point: NumberDataPoint | HistogramDataPoint) -> dict[str, str]:
    return {label: str(value) for label, value in (point.attributes or {}).items()}
