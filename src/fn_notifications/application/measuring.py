"""What any telemetry does with a measurement before it keeps it."""

import math
from collections.abc import Mapping
from typing import Final, NamedTuple

from attrs import field, frozen

from fn_notifications.application.redaction import Redaction

LONGEST_LABEL: Final = 100
"""Characters."""
MOST_LABEL_SETS: Final = 1000
"""Per name. What comes after them is counted under `OTHER`, so that no mistake fills the memory or the bill."""
OTHER: Final = "other"


class Sample(NamedTuple):
    """One number as it stands. A distribution is three kinds of them: `<name>.bucket` with the label `le`,
    `<name>.count` and `<name>.sum`.
    """

    name: str
    labels: Mapping[str, str]
    value: float


@frozen
class Labels:
    """Makes labels fit to be kept: short, printable, without addresses, and not too many different ones."""

    redaction: Redaction = field(factory=Redaction)
    _seen: dict[str, set[frozenset[tuple[str, str]]]] = field(factory=dict, init=False, repr=False)

    def of(self, name: str, labels: Mapping[str, object]) -> dict[str, str]:
        """The labels as they are kept under a name."""
        fit = self.written(labels)
        seen, key = self._seen.setdefault(name, set()), frozenset(fit.items())
        if key in seen:
            return fit
        if len(seen) >= MOST_LABEL_SETS:
            return dict.fromkeys(fit, OTHER)
        seen.add(key)
        return fit

    def written(self, labels: Mapping[str, object]) -> dict[str, str]:
        """The labels as text; those that are None are left out."""
        return {label: self._text(value) for label, value in labels.items() if value is not None}

    def _text(self, value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else self.redaction.text(value, LONGEST_LABEL)


def measurable(value: float) -> bool:
    """Whether a number can be added up: finite and not negative."""
    return math.isfinite(value) and value >= 0
