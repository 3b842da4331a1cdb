"""Telemetry that remembers: for tests, simulations and library users who want to look."""

from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from attrs import field, frozen

from fn_notifications.application.measuring import Labels, Sample, measurable
from fn_notifications.application.ports.telemetry import Label
from fn_notifications.application.redaction import Redaction

_Key = tuple[str, tuple[tuple[str, str], ...]]

_LONGEST_FIELD: Final = 1000


@frozen
class Line:
    """One log line."""

    level: str
    event: str
    fields: Mapping[str, str]


@frozen
class MemoryTelemetry:
    """See `Telemetry`. Names are kept as they are said."""

    redaction: Redaction = field(factory=Redaction)
    counts: dict[_Key, int] = field(factory=dict, init=False, repr=False)
    observations: dict[_Key, list[float]] = field(factory=dict, init=False, repr=False)
    levels: dict[_Key, float] = field(factory=dict, init=False, repr=False)
    lines: deque[Line] = field(factory=lambda: deque(maxlen=10_000), init=False, repr=False)
    """The latest, oldest first."""
    _labels: Labels = field(init=False, repr=False)

    @_labels.default
    def _labels_redacted(self) -> Labels:
        return Labels(self.redaction)

    def count(self, name: str, amount: int = 1, **labels: Label) -> None:
        """See `Telemetry`."""
        with suppress(Exception):
            if measurable(amount):
                key = self._key(name, labels)
                self.counts[key] = self.counts.get(key, 0) + amount

    def observe(self, name: str, value: float, **labels: Label) -> None:
        """See `Telemetry`."""
        with suppress(Exception):
            if measurable(value):
                self.observations.setdefault(self._key(name, labels), []).append(value)

    def gauge(self, name: str, value: float, **labels: Label) -> None:
        """See `Telemetry`."""
        with suppress(Exception):
            if measurable(value):
                self.levels[self._key(name, labels)] = value

    def log(self, level: str, event: str, **fields: Label) -> None:
        """See `Telemetry`."""
        said = {name: self.redaction.text(value, _LONGEST_FIELD) for name, value in fields.items()}
        self.lines.append(Line(level, self.redaction.text(event, _LONGEST_FIELD), said))

    def total(self, name: str, **labels: Label) -> int:
        """What was counted under a name, over every set of labels that holds these."""
        wanted = self._labels.written(labels).items()
        return sum(amount for (said, held), amount in self.counts.items() if said == name and wanted <= set(held))

    def snapshot(self) -> list[Sample]:
        """Every number as it stands."""
        samples = [Sample(name, dict(labels), amount) for (name, labels), amount in self.counts.items()]
        for (name, labels), values in self.observations.items():
            samples += [Sample(f"{name}.count", dict(labels), len(values))]
            samples += [Sample(f"{name}.sum", dict(labels), sum(values))]
        return samples + [Sample(name, dict(labels), value) for (name, labels), value in self.levels.items()]

    def level(self, name: str, **labels: Label) -> float | None:
        """How high something stands; None when nobody has said."""
        return self.levels.get(self._key(name, labels))

    def _key(self, name: str, labels: Mapping[str, Label]) -> _Key:
        return name, tuple(sorted(self._labels.of(name, labels).items()))
