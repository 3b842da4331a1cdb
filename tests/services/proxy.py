"""A TCP proxy on loopback that can be told to refuse, break, hold back or delay what goes through it."""

import asyncio
import random
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from typing import Any
from urllib.parse import parse_qs, urlsplit

from attrs import define, field

HOST = "127.0.0.1"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]
Connect = Callable[[], Awaitable[Streams]]


@define
class Proxy:
    """Passes everything on until told otherwise. Made by `proxy`."""

    port: int
    connect: Connect
    """To what stands behind it."""
    delay: float = 0.0
    """Seconds before each piece goes on, either way."""
    refusing: bool = False
    """Whether new connections are reset at once."""
    connections: int = 0
    """Taken so far, refused ones not counted."""
    _requests: asyncio.Event = field(factory=asyncio.Event)
    _answers: asyncio.Event = field(factory=asyncio.Event)
    _open: set[asyncio.Task[None]] = field(factory=set)
    _stranded: set[asyncio.Task[None]] = field(factory=set)

    def __attrs_post_init__(self) -> None:
        self.heal()

    def heal(self) -> None:
        """Pass everything on again, with what was held back first."""
        self.delay, self.refusing = 0.0, False
        self._requests.set()
        self._answers.set()

    def swallow(self) -> None:
        """Be a black hole: connections stand, new ones too, and nothing comes through until `heal`."""
        self._requests.clear()
        self._answers.clear()

    def hold_answers(self) -> None:
        """Let requests through and keep the answers until `heal`."""
        self._answers.clear()

    def cut(self) -> None:
        """Reset every connection, and every new one until `heal`."""
        self.refusing = True
        self.reset()

    def strand(self) -> None:
        """Let the connections there are lead nowhere, for good; new ones are as good as ever."""
        self._stranded |= self._open

    def reset(self) -> None:
        """Reset the connections there are. The next ones are none the wiser."""
        for task in self._open:
            task.cancel()

    async def serve(self, client: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        """One connection."""
        if self.refusing:
            _abort(back)
            return
        self.connections += 1
        task = asyncio.current_task()
        assert task is not None
        self._open.add(task)
        writers = [back]
        try:
            server, forth = await self.connect()
            writers.append(forth)
            await _until_first(
                self._pass_on(client, forth, self._requests, task), self._pass_on(server, back, self._answers, task)
            )
        except (OSError, asyncio.CancelledError):
            for writer in writers:
                _abort(writer)
        finally:
            self._open.discard(task)
            self._stranded.discard(task)
            for writer in writers:
                writer.close()

    async def close(self) -> None:
        """End every connection."""
        tasks = tuple(self._open)
        self.reset()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _pass_on(
        self,
        source: asyncio.StreamReader,
        sink: asyncio.StreamWriter,
        gate: asyncio.Event,
        connection: asyncio.Task[None],
    ) -> None:
        while data := await source.read(65536):
            if self.delay:
                await asyncio.sleep(self.delay)
            await gate.wait()
            if connection not in self._stranded:
                sink.write(data)
                await sink.drain()
        await gate.wait()


async def _until_first(*ways: Coroutine[Any, Any, None]) -> None:
    """Run both ways until one ends: half-closed connections are none of the protocols' spoken through here."""
    tasks = [asyncio.create_task(way) for way in ways]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        task.result()


def _abort(writer: asyncio.StreamWriter) -> None:
    """End a connection with a reset, so that nobody takes it for an orderly end."""
    connection = writer.get_extra_info("socket")
    if connection is not None and not writer.transport.is_closing():
        with suppress(OSError):
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


@asynccontextmanager
async def proxy(connect: Connect, port: int | None = None) -> AsyncIterator[Proxy]:
    """A proxy before whatever `connect` reaches."""
    made = Proxy(port or steady_port(), connect)
    server = await asyncio.start_server(made.serve, HOST, made.port)
    try:
        yield made
    finally:
        server.close()
        await made.close()
        await server.wait_closed()


@asynccontextmanager
async def unanswered() -> AsyncIterator[int]:
    """A port where connecting neither succeeds nor fails: whoever tries has sent no byte yet."""
    with socket.socket() as listener, socket.socket() as first, socket.socket() as second:
        listener.bind((HOST, 0))
        listener.listen(0)
        for waiting in (first, second):  # they fill the queue of those who wait to be let in
            waiting.setblocking(False)
            with suppress(BlockingIOError):
                waiting.connect(listener.getsockname())
        yield listener.getsockname()[1]


def to_port(port: Callable[[], int]) -> Connect:
    """To a port of this machine, asked for at each connection."""
    return lambda: asyncio.open_connection(HOST, port())


def to_first(ports: Callable[[], list[int]]) -> Connect:
    """To the first of these ports that answers: a balancer before several processes."""

    async def connect() -> Streams:
        for port in ports():
            with suppress(OSError):
                return await asyncio.open_connection(HOST, port)
        raise ConnectionRefusedError

    return connect


def to_database(url: str) -> Connect:
    """To the server a database's URL names: a Unix socket, or a host and port."""
    parts = urlsplit(url)
    query = parse_qs(parts.query)
    if "host" in query:
        path = f"{query['host'][0]}/.s.PGSQL.{query['port'][0]}"
        return lambda: asyncio.open_unix_connection(path)
    return lambda: asyncio.open_connection(parts.hostname, parts.port or 5432)


def database_through(url: str, port: int) -> str:
    """The same database, reached through a proxy at `port`."""
    parts = urlsplit(url)
    user = parts.netloc.rpartition("@")[0] or "postgres"
    return f"{parts.scheme}://{user}@{HOST}:{port}{parts.path}?sslmode=disable&gssencmode=disable"


def steady_port() -> int:
    """A port nobody listens on, below those clients are given: while its owner is down, none of them can take it."""
    for port in random.sample(range(20_000, 32_000), 1_000):
        with socket.socket() as probe, suppress(OSError):
            probe.bind((HOST, port))
            return port
    raise LookupError("no free port")
