"""The provider of the measurements: says yes to everything after a fixed time, and costs as little as Python allows.

A process of its own: `python -m benchmarks.provider ARRIVALS DELAY_MS` prints its port. The body of message 0 is kept
beside the arrivals, so that two sides of a comparison can be shown to have sent the same.
"""

import asyncio
import re
import sys
import time
from pathlib import Path

from benchmarks.arrivals import Arrivals

_NUMBER = re.compile(rb"bench-([0-9]+)")
_LENGTH = re.compile(rb"\r\ncontent-length: *([0-9]+)", re.IGNORECASE)
_RECIPIENT = re.compile(rb'"to": ?\[')
_MAIL = b"HTTP/1.1 202 Accepted\r\nX-Message-Id: %d\r\nContent-Length: 0\r\n\r\n"


def first_body(arrivals: Path) -> Path:
    """Where the body of message 0 is kept."""
    return arrivals.with_suffix(".first")


class _Connection(asyncio.Protocol):
    def __init__(self, file: Path, arrivals: Arrivals, delay: float) -> None:
        self._file = file
        self._arrivals = arrivals
        self._delay = delay
        self._loop = asyncio.get_running_loop()
        self._pending = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._pending += data
        while (end := self._pending.find(b"\r\n\r\n")) >= 0:
            length = _LENGTH.search(self._pending, 0, end + 2)
            whole = end + 4 + (int(length[1]) if length else 0)
            if len(self._pending) < whole:
                return
            body, self._pending = self._pending[end + 4 : whole], self._pending[whole:]
            self._take(body)

    def _take(self, body: bytes) -> None:
        messages, now = max(1, len(_RECIPIENT.findall(body))), time.monotonic()
        self._arrivals.add(messages)
        if messages > 1:
            for number in set(_NUMBER.findall(body)):
                self._arrivals.note(int(number), now)
        elif found := _NUMBER.search(body):
            self._arrivals.note(number := int(found[1]), now)
            if not number:
                first_body(self._file).write_bytes(body)
        answer = _MAIL % self._arrivals.calls
        if self._delay:
            self._loop.call_later(self._delay, self._answer, answer)
        else:
            self._answer(answer)

    def _answer(self, answer: bytes) -> None:
        if isinstance(self._transport, asyncio.WriteTransport) and not self._transport.is_closing():
            self._transport.write(answer)


async def _serve(file: Path, delay: float) -> None:
    loop, arrivals = asyncio.get_running_loop(), Arrivals(file)
    server = await loop.create_server(lambda: _Connection(file, arrivals, delay), "127.0.0.1", 0, backlog=1000)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(_serve(Path(sys.argv[1]), float(sys.argv[2]) / 1000))
