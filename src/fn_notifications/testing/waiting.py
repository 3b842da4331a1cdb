"""Waiting in tests: for a condition, never for a time."""

import asyncio
from collections.abc import Callable


async def eventually(condition: Callable[[], object], *, within: float = 10.0) -> None:
    """Return once the condition holds. Raises TimeoutError after `within` seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110  the condition is anybody's state: nobody can signal it
            await asyncio.sleep(0.001)
