"""Servers that read whole requests and answer byte by byte as they are told, or not at all."""

import asyncio
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from attrs import define, field

Answer = Callable[[asyncio.StreamWriter, int], Awaitable[None]]
"""Answers the request of this number, counted from 1, by writing."""


@define
class Peer:
    """A server that reads whole requests and answers as told."""

    port: int
    requests: list[bytes] = field(factory=list)
    connections: int = 0

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"{self.base_url}/send"


@asynccontextmanager
async def peer(answer: Answer) -> AsyncIterator[Peer]:
    """Serve until the block ends; what still hangs then is cut off."""
    tasks: set[asyncio.Task[None]] = set()

    async def converse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        subject.connections += 1
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                length = next(
                    int(line.split(b":")[1])
                    for line in head.split(b"\r\n")
                    if line.lower().startswith(b"content-length")
                )
                subject.requests.append(head + await reader.readexactly(length))
                await answer(writer, len(subject.requests))
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(converse, "127.0.0.1", 0)
    subject = Peer(server.sockets[0].getsockname()[1])
    try:
        yield subject
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


def says(*parts: bytes) -> Answer:
    """The same to everybody, piece by piece."""

    async def answer(writer: asyncio.StreamWriter, _: int) -> None:
        for part in parts:
            writer.write(part)
            await writer.drain()

    return answer


async def silence(_: asyncio.StreamWriter, __: int) -> None:
    """No answer, ever."""
    await asyncio.Event().wait()


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection so that the other side sees a reset (RST)."""
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()
