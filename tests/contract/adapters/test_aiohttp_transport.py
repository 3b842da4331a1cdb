"""What aiohttp is relied on for, seen from inside."""

import asyncio
import socket

import pytest
from aiohttp.http import StreamWriter
from tests.services.peers import peer, says

from fn_notifications.adapters.transport.aiohttp import _Body, open_transport
from fn_notifications.adapters.transport.http import NotSent
from fn_notifications.testing.waiting import eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


async def test_never_more_connections_than_the_limit() -> None:
    async with peer(says(OK)) as other, open_transport(limit=3) as transport:
        await asyncio.gather(*[transport.post(other.url, headers={}, body=b"hello") for _ in range(60)])

    assert (len(other.requests), other.connections) == (60, 3)


async def test_an_idle_connection_the_peer_closed_is_not_used() -> None:
    async def once(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(OK)
        writer.close()

    async with peer(once) as other, open_transport() as transport:
        await transport.post(other.url, headers={}, body=b"hello")
        idle = [protocol for pool in transport._session.connector._conns.values() for protocol, _ in pool]
        await eventually(lambda: not any(protocol.is_connected() for protocol in idle))
        await transport.post(other.url, headers={}, body=b"hello")

    assert (len(other.requests), other.connections) == (2, 2)


async def test_a_connection_that_closes_just_before_the_write_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    write_headers = StreamWriter.write_headers

    async def then_close(self: StreamWriter, *arguments: object) -> None:
        await write_headers(self, *arguments)
        self.transport.close()

    async with peer(says(OK)) as other, open_transport() as transport:
        monkeypatch.setattr(StreamWriter, "write_headers", then_close)
        with pytest.raises(NotSent, match="connect_failed"):
            await transport.post(other.url, headers={}, body=b"hello")

    assert other.requests == []


async def test_a_connection_that_is_closing_at_the_write_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    write = _Body.write_with_length

    async def closed_first(self: _Body, writer: StreamWriter, length: int | None) -> None:
        writer.transport.close()
        await write(self, writer, length)

    async with peer(says(OK)) as other, open_transport() as transport:
        monkeypatch.setattr(_Body, "write_with_length", closed_first)
        with pytest.raises(NotSent, match="connect_failed"):
            await transport.post(other.url, headers={}, body=b"hello")

    assert other.requests == []


async def test_an_unknown_host_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nowhere)
    async with open_transport() as transport:
        with pytest.raises(NotSent, match="dns"):
            await transport.post("http://provider.example.com/", headers={}, body=b"hello")


async def test_a_total_deadline_that_ends_during_the_handshake_is_not_sent() -> None:
    ended = asyncio.Event()

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server, open_transport() as transport:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(NotSent, match="connect_timeout"):
            await transport.post(url, headers={}, body=b"hello", within=0.2)
        ended.set()


async def test_nothing_leaves_before_the_body_is_turned_to(monkeypatch: pytest.MonkeyPatch) -> None:
    heard, seen = asyncio.Event(), []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.read())
        heard.set()
        writer.close()

    async def stop(*_: object) -> None:
        raise ConnectionResetError("stopped")

    monkeypatch.setattr(_Body, "write_with_length", stop)
    async with await asyncio.start_server(listen, "127.0.0.1", 0) as server, open_transport() as transport:
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(NotSent):
            await transport.post(url, headers={}, body=b"hello")
        await heard.wait()

    assert seen == [b""]
