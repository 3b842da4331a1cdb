"""A proxy before PostgreSQL that can lose a COMMIT or the answer to one, and can fall silent."""

import asyncio
import re
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from attrs import define, field

_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
_COMMITTED = b"COMMIT\x00"
_KEY_DATA = re.compile(rb"(?<=K\x00\x00\x00\x0c)....", re.DOTALL)
_OF_ANOTHER = b"\x01" * 4
_PORT = "5432"
"""Only part of the socket's name."""


class Loss(Enum):
    """What is lost of a COMMIT when the connection breaks with it."""

    ITSELF = "itself"
    """It never reaches the server, which undoes the transaction."""
    ANSWER = "answer"
    """It is carried out; nobody is told."""


def _set() -> asyncio.Event:
    event = asyncio.Event()
    event.set()
    return event


@define
class FaultyProxy:
    """Passes everything on, until it is told otherwise."""

    server: str
    """The URL of any of the server's databases."""
    directory: Path
    pooling: bool = False
    """As a pooler does, say that another process serves the session than the server's."""
    armed: Loss | None = None
    """The next COMMIT meets this."""
    lost: int = 0
    connections: int = 0
    passing: asyncio.Event = field(factory=_set)
    """Clear: over the connections that were given it nothing passes any more, neither way."""
    serving: set[asyncio.Task[None]] = field(factory=set)

    def url(self, database: str) -> str:
        """The way through the proxy to the database at this URL."""
        parts = urlsplit(database)
        user = f"{parts.username or ''}{':' + parts.password if parts.password else ''}"
        return f"{parts.scheme}://{user}@{parts.path}?host={quote(str(self.directory))}&port={_PORT}"

    def fall_silent(self) -> None:
        """Pass on nothing more over the connections there are, and close none of them. New ones work."""
        self.passing.clear()
        self.passing = _set()

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection."""
        if task := asyncio.current_task():
            self.serving.add(task)
        self.connections += 1
        passing = self.passing
        server, forth = await self._connect()
        losing = asyncio.Event()

        async def requests() -> None:
            while data := await client.read(65536):
                await passing.wait()
                if self.armed and data.endswith(_COMMIT):
                    loss, self.armed = self.armed, None
                    if loss is Loss.ITSELF:
                        self.lost += 1
                        return
                    losing.set()
                forth.write(data)

        async def answers() -> None:
            while data := await server.read(65536):
                await passing.wait()
                if losing.is_set() and _COMMITTED in data:
                    self.lost += 1
                    return
                back.write(_KEY_DATA.sub(_OF_ANOTHER, data) if self.pooling else data)

        ways = [asyncio.create_task(requests()), asyncio.create_task(answers())]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            for writer in (back, forth):
                # Over a connection that fell silent nobody takes what is still to be written.
                if not passing.is_set():
                    writer.transport.abort()
                writer.close()
            await asyncio.gather(*ways, return_exceptions=True)
            for writer in (back, forth):
                with suppress(OSError):
                    await writer.wait_closed()

    async def _connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        parts = urlsplit(self.server)
        query = parse_qs(parts.query)
        if "host" in query:
            return await asyncio.open_unix_connection(Path(query["host"][0]) / _socket(query["port"][0]))
        return await asyncio.open_connection(parts.hostname, parts.port or int(_PORT))


@asynccontextmanager
async def faulty_proxy(server: str) -> AsyncIterator[FaultyProxy]:
    """A proxy to the server of this URL."""
    with tempfile.TemporaryDirectory(prefix="fn-proxy-") as directory:
        proxy = FaultyProxy(server, Path(directory))
        async with await asyncio.start_unix_server(proxy.serve, Path(directory) / _socket(_PORT)) as listening:
            yield proxy
            listening.close()
            # Whoever was let in at the last moment begins to be served only now.
            while waiting := [task for task in proxy.serving if not task.done()]:
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*waiting, return_exceptions=True)


def _socket(port: str) -> str:
    return f".s.PGSQL.{port}"
