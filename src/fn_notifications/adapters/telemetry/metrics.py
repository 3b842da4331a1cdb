"""Telemetry through OpenTelemetry's SDK and structlog. Nothing leaves the process unless a reader is added."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from threading import Lock
from typing import Final

from attrs import field, frozen
from opentelemetry.metrics import CallbackOptions, Meter, Observation
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
_MOST_TOLD: Final = 5000
_TOGETHER: Final = 100
"""How many measurements wait for each other: the SDK takes a row of them at a fraction of what each alone costs."""

_Measure = Callable[[float, Mapping[str, str]], None]


@frozen(kw_only=True)
class OtelTelemetry:
    """See `Telemetry`. Made by `open_telemetry`."""

    _meter: Meter
    _reader: InMemoryMetricReader
    _logger: BoundLogger
    _labels: Labels
    _instruments: dict[tuple[Kind, str], _Measure] = field(factory=dict, init=False, repr=False)
    _told: dict[tuple[object, ...], tuple[_Measure, dict[str, str]]] = field(factory=dict, init=False, repr=False)
    """What measurements with labels of text alone come to: these are looked at once and not with every call."""
    _waiting: deque[tuple[_Measure, float, dict[str, str]]] = field(factory=deque, init=False, repr=False)
    """In the order of their saying."""
    _passing: Lock = field(factory=Lock, init=False, repr=False)

    def count(self, name: str, amount: int = 1, **labels: Label) -> None:
        """See `Telemetry`."""
        self._measure(Kind.COUNTER, name, amount, labels)

    def observe(self, name: str, value: float, **labels: Label) -> None:
        """See `Telemetry`."""
        self._measure(Kind.HISTOGRAM, name, value, labels)

    def gauge(self, name: str, value: float, **labels: Label) -> None:
        """See `Telemetry`."""
        self._measure(Kind.GAUGE, name, value, labels)

    def log(self, level: str, event: str, **fields: Label) -> None:
        """See `Telemetry`. A level nobody knows is an error."""
        with suppress(Exception):
            self._logger.log(LEVELS.get(level, LEVELS["error"]), event, **fields)

    def pass_on(self, _: CallbackOptions | None = None) -> Iterable[Observation]:
        """Give the SDK what it was not told yet. It asks for that itself, before anybody reads."""
        with self._passing:
            while self._waiting:
                measure, value, fit = self._waiting.popleft()
                with suppress(Exception):
                    measure(value, fit)
        return ()

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

    def _measure(self, kind: Kind, name: str, value: float, labels: Mapping[str, Label]) -> None:
        with suppress(Exception):
            if not measurable(value):
                return
            try:
                measure, fit = self._told[kind, name, *labels.items()]
            except (KeyError, TypeError):  # not told yet, or a label that is no key
                measure, fit = self._outside(kind, name, labels)
            self._waiting.append((measure, value, fit))
            if len(self._waiting) >= _TOGETHER:
                self.pass_on()

    def _outside(self, kind: Kind, name: str, labels: Mapping[str, Label]) -> tuple[_Measure, dict[str, str]]:
        outer, fit = outside(name, kind, self._labels.of(name, labels))
        if (kind, outer) not in self._instruments:
            self._instruments[kind, outer] = self._made(kind, outer)
        found = self._instruments[kind, outer], fit
        if len(self._told) < _MOST_TOLD and all(value is None or isinstance(value, str) for value in labels.values()):
            self._told[kind, name, *labels.items()] = found
        return found

    def _made(self, kind: Kind, name: str) -> _Measure:
        match kind:
            case Kind.COUNTER:
                return self._meter.create_counter(name).add
            case Kind.HISTOGRAM:
                made = self._meter.create_histogram(name, unit="s", explicit_bucket_boundaries_advisory=SECONDS)
                return made.record
            case Kind.GAUGE:
                return self._meter.create_gauge(name).set


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
    meter = provider.get_meter("fn_notifications")
    telemetry = OtelTelemetry(meter=meter, reader=reader, logger=logger, labels=Labels(redaction or Redaction()))
    # It observes nothing, and so never shows: it is how the SDK says that a reader is about to read.
    meter.create_observable_gauge("fn_notifications.reading", callbacks=[telemetry.pass_on])
    try:
        yield telemetry
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
