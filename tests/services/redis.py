"""A Redis on loopback, over TCP, and peers that are none."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

from attrs import define
from fakeredis import TcpFakeServer
from redis.asyncio import Redis

from fn_notifications.adapters.redis.cache import RedisPreferenceCache, open_cache
from fn_notifications.adapters.vault.aes import AesVault
from fn_notifications.adapters.vault.keys import derive_keys
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.application.ports.vault import Vault
from fn_notifications.testing.contracts.cache import TTL

VAULT = AesVault(derive_keys(b"a secret of the tests, long enough"))
PATIENT = 10.0
"""Seconds, where nothing but a slow machine could be waited for."""

Speak = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@define
class Clock:
    """Monotonic seconds that pass when told to."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now

    async def move(self, seconds: float) -> None:
        self.now += seconds


@contextmanager
def serving(port: int = 0) -> Iterator[int]:
    """A Redis. Gives its port."""
    server = TcpFakeServer(("127.0.0.1", port), bind_and_activate=False)
    server.allow_reuse_address = True
    server.server_bind()
    server.server_activate()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


@asynccontextmanager
async def talking(speak: Speak) -> AsyncIterator[int]:
    """A peer that does with every connection what `speak` does. Gives its port."""
    tasks = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())
        try:
            with suppress(ConnectionError):
                await speak(reader, writer)
        finally:
            writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await server.wait_closed()


async def silence(_: asyncio.StreamReader, __: asyncio.StreamWriter) -> None:
    """Takes everything and answers nothing."""
    await asyncio.Event().wait()


def saying(answer: bytes) -> Speak:
    """Greets like a Redis, and answers every question with this."""
    greetings = {b"HELLO": b"%1\r\n+proto\r\n:3\r\n", b"CLIENT": b"+OK\r\n"}

    async def speak(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while asked := await reader.read(65536):
            for name in re.findall(rb"\*\d+\r\n\$\d+\r\n(\w+)\r\n", asked):
                writer.write(greetings.get(name, answer))
            await writer.drain()

    return speak


@asynccontextmanager
async def caching(
    port: int, telemetry: Telemetry, *, patience: float = PATIENT, vault: Vault = VAULT
) -> AsyncIterator[RedisPreferenceCache]:
    """A cache in whatever is at a port, with a clock of its own."""
    url = f"redis://127.0.0.1:{port}/0"
    async with open_cache(url, ttl=TTL, vault=vault, telemetry=telemetry, patience=patience) as cache:
        cache.clock = Clock()
        yield cache


@asynccontextmanager
async def looking_into(port: int) -> AsyncIterator[Redis]:
    """A plain client, to see and do what nobody should."""
    async with Redis.from_url(f"redis://127.0.0.1:{port}/0") as client:
        yield client


async def age(client: Redis, seconds: float) -> None:
    """Let time pass in Redis, by taking it off what every key has left."""
    for key in await client.keys("*"):
        left = await client.pttl(key)
        if left >= 0:
            await client.pexpire(key, max(0, left - int(seconds * 1000)))
