"""What the engine says about itself. No address, no text, no secret: names, codes and numbers only."""

from typing import Protocol

Label = str | int | float | bool | None


class Telemetry(Protocol):
    """Counters, durations, levels and structured log lines. Never raises, never blocks."""

    def count(self, name: str, amount: int = 1, **labels: Label) -> None:
        """Add to a counter. Labels are few-valued: channel, type, status, reason."""
        ...

    def observe(self, name: str, value: float, **labels: Label) -> None:
        """Add a value to a distribution; durations are in seconds."""
        ...

    def gauge(self, name: str, value: float, **labels: Label) -> None:
        """Say how high something stands now; what was said before no longer counts."""
        ...

    def log(self, level: str, event: str, **fields: Label) -> None:
        """One structured line at `debug`, `info`, `warning` or `error`."""
        ...


class Silent:
    """Says nothing."""

    def count(self, name: str, amount: int = 1, **labels: Label) -> None:
        """Nothing."""

    def observe(self, name: str, value: float, **labels: Label) -> None:
        """Nothing."""

    def gauge(self, name: str, value: float, **labels: Label) -> None:
        """Nothing."""

    def log(self, level: str, event: str, **fields: Label) -> None:
        """Nothing."""
