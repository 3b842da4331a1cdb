"""What the provider has seen, in a file that two processes map: looking costs the one that is measured nothing."""

import mmap
from pathlib import Path

_HEAD = 64
_DOUBLE = 8


class Arrivals:
    """Calls, messages, and when each numbered message came first (`time.monotonic`, one clock for all processes)."""

    def __init__(self, file: Path) -> None:
        with file.open("r+b") as opened:
            self._map = memoryview(mmap.mmap(opened.fileno(), 0))
        self._counts = self._map[:_HEAD].cast("Q")
        self._times = self._map[_HEAD:].cast("d")

    @classmethod
    def made(cls, file: Path, capacity: int = 1 << 22) -> "Arrivals":
        """A new, empty file with room for so many numbers."""
        with file.open("wb") as made:
            made.truncate(_HEAD + _DOUBLE * capacity)
        return cls(file)

    @property
    def calls(self) -> int:
        """How many requests came."""
        return self._counts[0]

    @property
    def messages(self) -> int:
        """How many messages they held."""
        return self._counts[1]

    def add(self, messages: int) -> None:
        """Count a call."""
        self._counts[0] += 1
        self._counts[1] += messages

    def note(self, number: int, at: float) -> None:
        """A numbered message came. Only the first time counts."""
        if not self._times[number]:
            self._times[number] = at

    def at(self, number: int) -> float | None:
        """When it came, None when it did not."""
        return self._times[number] or None
