"""The transport against peers that misbehave byte by byte: can the request have been acted on or not?"""

import asyncio
import socket

import pytest
from aiohttp.http import StreamWriter
from tests.services.peers import Answer, peer, reset, says, silence

from fn_notifications.adapters.transport.http import KEPT_BYTES, HttpTransport, NotSent, Unknown, open_transport
from fn_notifications.testing.waiting import eventually

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Thing: Yes\r\n\r\nok"


async def post(transport: HttpTransport, url: str, **options: float):
    return await transport.post(url, headers={"Content-Type": "text/plain"}, body=b"hello", **options)


async def test_sends_the_bytes_it_was_given_and_returns_the_answer() -> None:
    async with peer(says(OK)) as other, open_transport() as transport:
        response = await post(transport, other.url)

    assert (response.status, response.body, response.headers["x-thing"]) == (200, b"ok", "Yes")
    head, _, body = other.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /send HTTP/1.1\r\n")
    assert body == b"hello"


async def test_one_connection_is_used_again() -> None:
    async with peer(says(OK)) as other, open_transport() as transport:
        for _ in range(5):
            await post(transport, other.url)

    assert (len(other.requests), other.connections) == (5, 1)


async def test_never_more_connections_than_the_limit() -> None:
    async with peer(says(OK)) as other, open_transport(limit=3) as transport:
        await asyncio.gather(*[post(transport, other.url) for _ in range(60)])

    assert len(other.requests) == 60
    assert other.connections <= 3


async def test_an_idle_connection_the_peer_closed_is_not_used() -> None:
    async def once(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(OK)
        writer.close()

    async with peer(once) as other, open_transport() as transport:
        await post(transport, other.url)
        idle = [protocol for pool in transport._session.connector._conns.values() for protocol, _ in pool]
        await eventually(lambda: not any(protocol.is_connected() for protocol in idle))
        await post(transport, other.url)

    assert (len(other.requests), other.connections) == (2, 2)


async def test_a_connection_that_closes_just_before_the_write_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    write_headers = StreamWriter.write_headers

    async def then_close(self: StreamWriter, *arguments: object) -> None:
        await write_headers(self, *arguments)
        self.transport.close()

    async with peer(says(OK)) as other, open_transport() as transport:
        monkeypatch.setattr(StreamWriter, "write_headers", then_close)
        with pytest.raises(NotSent, match="connect_failed"):
            await post(transport, other.url)

    assert other.requests == []


async def test_a_reused_connection_that_breaks_is_unknown_and_not_tried_again() -> None:
    async def second_breaks(writer: asyncio.StreamWriter, number: int) -> None:
        if number > 1:
            reset(writer)
            return
        writer.write(OK)

    async with peer(second_breaks) as other, open_transport() as transport:
        await post(transport, other.url)
        with pytest.raises(Unknown, match="disconnected"):
            await post(transport, other.url)

    assert (len(other.requests), other.connections) == (2, 1)


@pytest.mark.parametrize(
    ("name", "answer", "reason"),
    [
        ("hangs", silence, "timeout"),
        ("dribbles headers", says(b"HTTP/1.1 200 OK\r\n", b"X-A: b\r\n"), "timeout"),
        ("half a body", says(b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\nhalf"), "timeout"),
        ("is no HTTP", says(b"220 smtp.example.com ready\r\n"), "broken_answer"),
        ("endless headers", says(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 100_000 + b"\r\n\r\n"), "broken_answer"),
    ],
)
async def test_no_whole_answer_is_unknown(name: str, answer: Answer, reason: str) -> None:
    async def then_silent(writer: asyncio.StreamWriter, number: int) -> None:
        await answer(writer, number)
        await silence(writer, number)

    async with peer(then_silent) as other, open_transport() as transport:
        with pytest.raises(Unknown, match=reason):
            await post(transport, other.url, within=0.2 if reason == "timeout" else 30)

    assert len(other.requests) == 1


@pytest.mark.parametrize(
    "written", [b"", b"HTTP/1.1 202 Acc", b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\nhalf"]
)
@pytest.mark.parametrize("end", [reset, asyncio.StreamWriter.close])
async def test_a_connection_lost_after_writing_is_unknown(written: bytes, end) -> None:
    async def answer(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(written)
        end(writer)

    async with peer(answer) as other, open_transport() as transport:
        with pytest.raises(Unknown):
            await post(transport, other.url)

    assert len(other.requests) == 1


async def test_a_dribbling_body_meets_the_total_deadline() -> None:
    async def dribble(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with peer(dribble) as other, open_transport() as transport, asyncio.timeout(10):
        with pytest.raises(Unknown, match="timeout"):
            await post(transport, other.url, within=0.3)


async def test_nobody_listening_is_not_sent() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with open_transport() as transport:
            with pytest.raises(NotSent, match="connection_refused"):
                await post(transport, f"http://127.0.0.1:{taken.getsockname()[1]}/")


async def test_an_unknown_host_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nowhere(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", nowhere)
    async with open_transport() as transport:
        with pytest.raises(NotSent, match="dns"):
            await post(transport, "http://provider.example.com/")


async def test_a_failed_tls_handshake_is_not_sent() -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(OK)
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server, open_transport() as transport:
        with pytest.raises(NotSent, match="tls"):
            await post(transport, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


@pytest.mark.parametrize("limits", [{"connect_timeout": 0.2}, {"total_timeout": 0.2}])
async def test_a_handshake_that_never_ends_is_not_sent(limits: dict[str, float]) -> None:
    ended = asyncio.Event()

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server, open_transport(**limits) as transport:
        with pytest.raises(NotSent, match="connect_timeout"):
            await post(transport, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        ended.set()


async def test_waiting_in_vain_for_a_free_connection_is_not_sent() -> None:
    async with peer(silence) as other, open_transport(limit=1, connect_timeout=0.5) as transport:
        first = asyncio.create_task(post(transport, other.url))
        await eventually(lambda: other.requests)
        with pytest.raises(NotSent, match="connect_timeout"):
            await post(transport, other.url)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first

    assert len(other.requests) == 1


@pytest.mark.parametrize("url", ["nonsense", "http://", "ftp://127.0.0.1/"])
async def test_a_url_that_leads_nowhere_is_not_sent(url: str) -> None:
    async with open_transport() as transport:
        with pytest.raises(NotSent, match="unsendable"):
            await post(transport, url)


async def test_a_redirect_is_an_answer() -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    async with peer(says(moved)) as other, open_transport() as transport:
        assert (await post(transport, other.url)).status == 307

    assert len(other.requests) == 1


async def test_a_huge_body_is_cut_and_its_connection_given_up() -> None:
    huge = b"HTTP/1.1 500 Oops\r\nContent-Length: 2000000\r\n\r\n" + b"<" * 2_000_000
    async with peer(says(huge)) as other, open_transport() as transport:
        response = await post(transport, other.url)
        await post(transport, other.url)

    assert (response.status, len(response.body), other.connections) == (500, KEPT_BYTES, 2)


async def test_cookies_are_not_kept_and_proxies_of_the_environment_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with peer(says(cookie)) as other, open_transport() as transport:
        await post(transport, other.url)
        await post(transport, other.url)

    assert not any(b"cookie" in request.lower() for request in other.requests)


async def test_cancellation_is_no_answer() -> None:
    async with peer(silence) as other, open_transport() as transport:
        call = asyncio.create_task(post(transport, other.url))
        await eventually(lambda: other.requests)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call


async def test_nothing_secret_is_in_a_failure_or_a_repr() -> None:
    async with peer(says(OK)) as other, open_transport(total_timeout=0.2) as transport:
        response = await transport.post(other.url, headers={"Authorization": "Bearer s3cret"}, body=b"a@example.com")
        assert "s3cret" not in repr(transport)
    assert repr(response) == "Response(status=200)"
    assert str(NotSent("dns")) == "dns"
