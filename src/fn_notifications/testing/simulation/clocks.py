"""Clocks: the store's, which decides what is due, and every process's own, which may be wrong."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Final

from attrs import define

START: Final = datetime(2026, 5, 31, 18, tzinfo=UTC)


@define
class Clock:
    """Shows the simulated time, wrong by `error`."""

    error: timedelta = timedelta()

    def __call__(self) -> datetime:
        return true_time() + self.error


def true_time() -> datetime:
    """What a right clock shows."""
    return START + timedelta(seconds=asyncio.get_running_loop().time())
