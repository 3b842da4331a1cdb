"""Posts signed reports back, and never beyond this machine."""

import asyncio
from collections.abc import Coroutine, Mapping
from ipaddress import ip_address
from typing import Any
from urllib.parse import urlsplit

import aiohttp
from attrs import define, field


@define
class Poster:
    """Posts in the background; everything it started ends with `close`."""

    _session: aiohttp.ClientSession
    _tasks: set[asyncio.Task[None]] = field(factory=set, init=False, repr=False)

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let work run in the background."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    @property
    def busy(self) -> bool:
        """Whether anything is still under way."""
        return bool(self._tasks)

    async def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int | None:
        """The status of the answer; None when nobody answered, or when the URL leads off this machine."""
        if not _is_loopback(url):
            return None
        try:
            async with self._session.post(url, data=body, headers=headers, allow_redirects=False) as answer:
                return answer.status
        except (aiohttp.ClientError, OSError):
            return None

    async def close(self) -> None:
        """Cancel what still runs."""
        tasks = tuple(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
