"""The transport against peers that misbehave byte by byte: can the request have been acted on or not?"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from tests.services.peers import Answer, peer, reset, says, silence
from tests.services.required import required

from fn_notifications.adapters.transport.http import KEPT_BYTES, HttpTransport, NotSent, Unknown
from fn_notifications.application.errors import MissingExtra
from fn_notifications.entrypoints.registry import resolve
from fn_notifications.testing.waiting import eventually

Open = Callable[..., AbstractAsyncContextManager[HttpTransport]]

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-Thing: Yes\r\n\r\nok"


@pytest.fixture(params=["aiohttp", "pyreqwest"])
def open_transport(request: pytest.FixtureRequest) -> Open:
    with required(MissingExtra):
        return resolve(f"fn_notifications.adapters.transport.{request.param}:open_transport")


async def post(transport: HttpTransport, url: str, **options: float):
    return await transport.post(url, headers={"Content-Type": "text/plain"}, body=b"hello", **options)


async def test_sends_the_bytes_it_was_given_and_returns_the_answer(open_transport: Open) -> None:
    async with peer(says(OK)) as other, open_transport() as transport:
        response = await post(transport, other.url)

    assert (response.status, response.body, response.headers["x-thing"]) == (200, b"ok", "Yes")
    head, _, body = other.requests[0].partition(b"\r\n\r\n")
    assert head.startswith(b"POST /send HTTP/1.1\r\n")
    assert body == b"hello"


async def test_one_connection_is_used_again(open_transport: Open) -> None:
    async with peer(says(OK)) as other, open_transport() as transport:
        for _ in range(5):
            await post(transport, other.url)

    assert (len(other.requests), other.connections) == (5, 1)


async def test_never_more_requests_at_once_than_the_limit(open_transport: Open) -> None:
    open_, most = 0, 0

    async def count(writer: asyncio.StreamWriter, _: int) -> None:
        nonlocal open_, most
        open_ += 1
        most = max(most, open_)
        for _ in range(10):
            await asyncio.sleep(0)
        open_ -= 1
        writer.write(OK)

    async with peer(count) as other, open_transport(limit=3) as transport:
        await asyncio.gather(*[post(transport, other.url) for _ in range(60)])

    assert (len(other.requests), most) == (60, 3)


async def test_a_reused_connection_that_breaks_is_unknown_and_not_tried_again(open_transport: Open) -> None:
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
        ("endless headers", says(b"HTTP/1.1 200 OK\r\nX-A: " + b"a" * 1_000_000 + b"\r\n\r\n"), "broken_answer"),
    ],
)
async def test_no_whole_answer_is_unknown(open_transport: Open, name: str, answer: Answer, reason: str) -> None:
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
async def test_a_connection_lost_after_writing_is_unknown(open_transport: Open, written: bytes, end) -> None:
    async def answer(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(written)
        end(writer)

    async with peer(answer) as other, open_transport() as transport:
        with pytest.raises(Unknown):
            await post(transport, other.url)

    assert len(other.requests) == 1


async def test_a_dribbling_body_meets_the_total_deadline(open_transport: Open) -> None:
    async def dribble(writer: asyncio.StreamWriter, _: int) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b".")
            await writer.drain()
            await asyncio.sleep(0.01)

    async with peer(dribble) as other, open_transport() as transport, asyncio.timeout(10):
        with pytest.raises(Unknown, match="timeout"):
            await post(transport, other.url, within=0.3)


async def test_nobody_listening_is_not_sent(open_transport: Open) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        async with open_transport() as transport:
            with pytest.raises(NotSent, match="connection_refused"):
                await post(transport, f"http://127.0.0.1:{taken.getsockname()[1]}/")


async def test_a_failed_tls_handshake_is_not_sent(open_transport: Open) -> None:
    async def plain(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(OK)
        writer.close()

    async with await asyncio.start_server(plain, "127.0.0.1", 0) as server, open_transport() as transport:
        with pytest.raises(NotSent, match="tls"):
            await post(transport, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")


async def test_a_certificate_that_nobody_vouches_for_is_not_sent(open_transport: Open, tmp_path: Path) -> None:
    requests = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        requests.append(await reader.read(1))
        writer.close()

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(_self_signed(tmp_path))
    async with await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context) as server, open_transport() as transport:
        with pytest.raises(NotSent, match="tls"):
            await post(transport, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")

    assert not any(requests)


def _self_signed(folder: Path) -> Path:
    """A key and a certificate for this machine that it signed itself."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2100, 1, 1, tzinfo=UTC))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=True)
        .sign(key, hashes.SHA256())
    )
    form = (serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    held = key.private_bytes(serialization.Encoding.PEM, *form) + certificate.public_bytes(serialization.Encoding.PEM)
    file = folder / "self-signed.pem"
    file.write_bytes(held)
    return file


async def test_a_handshake_that_never_ends_is_not_sent(open_transport: Open) -> None:
    ended = asyncio.Event()

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    async with (
        await asyncio.start_server(mute, "127.0.0.1", 0) as server,
        open_transport(connect_timeout=0.2) as transport,
    ):
        with pytest.raises(NotSent, match="connect_timeout"):
            await post(transport, f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/")
        ended.set()


async def test_waiting_in_vain_for_a_free_connection_is_not_sent(open_transport: Open) -> None:
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
async def test_a_url_that_leads_nowhere_is_not_sent(open_transport: Open, url: str) -> None:
    async with open_transport() as transport:
        with pytest.raises(NotSent, match="unsendable"):
            await post(transport, url)


async def test_a_redirect_is_an_answer(open_transport: Open) -> None:
    moved = b"HTTP/1.1 307 Moved\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n"
    async with peer(says(moved)) as other, open_transport() as transport:
        assert (await post(transport, other.url)).status == 307

    assert len(other.requests) == 1


async def test_a_huge_body_is_cut_and_its_connection_given_up(open_transport: Open) -> None:
    huge = b"HTTP/1.1 500 Oops\r\nContent-Length: 2000000\r\n\r\n" + b"<" * 2_000_000
    async with peer(says(huge)) as other, open_transport() as transport:
        response = await post(transport, other.url)
        await post(transport, other.url)

    assert (response.status, len(response.body), other.connections) == (500, KEPT_BYTES, 2)


async def test_cookies_are_not_kept_and_proxies_of_the_environment_not_used(
    open_transport: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    cookie = b"HTTP/1.1 200 OK\r\nSet-Cookie: a=b; Path=/\r\nContent-Length: 0\r\n\r\n"
    async with peer(says(cookie)) as other, open_transport() as transport:
        await post(transport, other.url)
        await post(transport, other.url)

    assert not any(b"cookie" in request.lower() for request in other.requests)


async def test_cancellation_is_no_answer_and_its_connection_comes_back(open_transport: Open) -> None:
    async def first_hangs(writer: asyncio.StreamWriter, number: int) -> None:
        await (silence(writer, number) if number == 1 else says(OK)(writer, number))

    async with peer(first_hangs) as other, open_transport(limit=1) as transport:
        call = asyncio.create_task(post(transport, other.url, within=0.5))
        await eventually(lambda: other.requests)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await post(transport, other.url)).status == 200


async def test_nothing_secret_is_in_a_failure_or_a_repr(open_transport: Open) -> None:
    async with peer(says(OK)) as other, open_transport(total_timeout=0.2) as transport:
        response = await transport.post(other.url, headers={"Authorization": "Bearer s3cret"}, body=b"a@example.com")
        assert "s3cret" not in repr(transport)
    assert repr(response) == "Response(status=200)"
    assert str(NotSent("dns")) == "dns"
