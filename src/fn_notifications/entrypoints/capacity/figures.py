"""What one unit of each kind of work costs, as `make bench` measured it."""

import json
import math
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from attrs import frozen

from fn_notifications.application.errors import Misconfigured


@frozen(kw_only=True)
class Cost:
    """CPU of one unit of work, in milliseconds of one core."""

    service: float
    postgres: float


@frozen(kw_only=True)
class Room:
    """What one unit of work leaves behind in PostgreSQL, in bytes: in tables and indexes, and in its log."""

    kept: float
    logged: float


@frozen(kw_only=True)
class Figures:
    """Of one machine and one version."""

    measured: str
    """Where, and of what."""
    intake: Cost
    """An event."""
    dispatch: Cost
    """A delivery by a call of its own."""
    alone: Cost
    """An email by a call of its own."""
    together: Cost
    """An email of a call that carries `messages_per_call`."""
    messages_per_call: float
    relay: Cost
    """A published result."""
    report: Cost
    delivery_room: Room
    """An event with one delivery."""
    report_room: Room
    resident_mb: float
    """Memory of one process."""

    def email(self, batch: int) -> Cost:
        """An email of a call that carries so many.

        A call costs what it costs, whatever it carries, and each message as much again: `message + call / batch`, laid
        through the two sizes that were measured.
        """
        return Cost(
            service=self._shared(self.alone.service, self.together.service, batch),
            postgres=self._shared(self.alone.postgres, self.together.postgres, batch),
        )

    def _shared(self, alone: float, together: float, batch: int) -> float:
        call = max(0.0, alone - together) / (1 - 1 / self.messages_per_call)
        return max(0.0, alone - call) + call / batch


def shipped() -> Figures:
    """Those of this version."""
    text = resources.files(__package__).joinpath("figures.json").read_text(encoding="utf-8")
    return figures_of(json.loads(text), "figures.json")


def figures_in(file: Path) -> Figures:
    """Those of a `build/bench.json`. Raises Misconfigured, naming what cannot be used and what mends it."""
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise Misconfigured(f"{file}: {error.strerror}; `make bench` writes build/bench.json") from None
    except (ValueError, RecursionError):
        raise Misconfigured(f"{file}: no JSON; `make bench` writes build/bench.json") from None
    return figures_of(document, str(file))


def figures_of(document: Any, name: str) -> Figures:
    """The figures of a document of that form. Raises Misconfigured."""

    def number(*path: str, above: float | None = None) -> float:
        found = document
        for part in path:
            found = found.get(part) if isinstance(found, Mapping) else None
        least = 0.0 if above is None else above
        fits = isinstance(found, int | float) and not isinstance(found, bool) and math.isfinite(found)
        if not fits or found < least or found == above:
            wanted = f"a number {'from' if above is None else 'above'} {least:g}"
            raise Misconfigured(f"{name}: {'.'.join(path)} must be {wanted}; a whole run of `make bench` measures it")
        return float(found)

    def cost(measure: str) -> Cost:
        return Cost(service=number("cpu_ms", measure, "worker"), postgres=number("cpu_ms", measure, "postgres"))

    def room(measure: str) -> Room:
        return Room(kept=number("more", measure, "bytes_kept"), logged=number("more", measure, "wal_bytes"))

    return Figures(
        measured=_measured(document, name),
        intake=cost("intake"),
        dispatch=cost("dispatch"),
        alone=cost("email_alone"),
        together=cost("email_batch"),
        messages_per_call=number("more", "email_batch", "messages_per_call", above=1.0),
        relay=cost("relay"),
        report=cost("receipts"),
        delivery_room=room("pipeline"),
        report_room=room("receipts"),
        resident_mb=number("more", "memory", "resident_mb"),
    )


def _measured(document: Any, name: str) -> str:
    told = document.get("measured") if isinstance(document, Mapping) else None
    return ", ".join(map(str, told.values())) if isinstance(told, Mapping) else name
