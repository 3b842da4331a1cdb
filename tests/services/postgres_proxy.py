"""A proxy before PostgreSQL that can lose the answer to a COMMIT, and only that."""

import asyncio
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import parse_qs, quote, urlsplit

from attrs import define, field

_COMMIT = b"Q\x00\x00\x00\x0bCOMMIT\x00"
_COMMITTED = b"COMMIT\x00"


@define
class LossyProxy:
    """Passes everything on; armed, it lets the next COMMIT through and cuts the connection instead of answering."""

    url: str
    armed: bool = False
    lost: int = 0
    serving: set[asyncio.Task[None]] = field(factory=set)

    async def serve(self, path: str, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection."""
        if task := asyncio.current_task():
            self.serving.add(task)
        server, forth = await asyncio.open_unix_connection(path)
        losing = asyncio.Event()

        async def requests() -> None:
            while data := await client.read(65536):
                if self.armed and data.endswith(_COMMIT):
                    self.armed = False
                    losing.set()
                forth.write(data)

        async def answers() -> None:
            while data := await server.read(65536):
                if losing.is_set() and _COMMITTED in data:
                    self.lost += 1
                    return
                back.write(data)

        ways = [asyncio.create_task(requests()), asyncio.create_task(answers())]
        await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        for way in ways:
            way.cancel()
        await asyncio.gather(*ways, return_exceptions=True)
        for writer in (back, forth):
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


@asynccontextmanager
async def lossy_proxy(url: str) -> AsyncIterator[LossyProxy]:
    """A proxy to a database that is reached by a Unix socket."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    name = f".s.PGSQL.{query['port'][0]}"
    target = str(Path(query["host"][0]) / name)
    with tempfile.TemporaryDirectory(prefix="fn-proxy-") as directory:
        proxy = LossyProxy(
            f"{parts.scheme}://{parts.netloc}{parts.path}?host={quote(directory)}&port={query['port'][0]}"
        )
        server = await asyncio.start_unix_server(
            lambda client, back: proxy.serve(target, client, back), Path(directory) / name
        )
        async with server:
            yield proxy
            await asyncio.gather(*proxy.serving)
