"""What is proved by pyreqwest's words, and what is not."""

import asyncio

import pytest
from pyreqwest.exceptions import ConnectError, ConnectTimeoutError, RequestError

from fn_notifications.adapters.transport.http import NotSent, Unknown
from fn_notifications.adapters.transport.pyreqwest import _reason_not_sent, open_transport


@pytest.mark.parametrize("kind", [ConnectError, ConnectTimeoutError, RequestError])
@pytest.mark.parametrize("causes", [None, [], ["client error (SendRequest)"], ["connecting failed"]])
def test_a_failure_in_other_words_is_not_proof(kind: type[RequestError], causes: list[str] | None) -> None:
    found = None if causes is None else [{"message": cause} for cause in causes]
    assert _reason_not_sent(kind("connection error", {"causes": found})) is None


async def test_an_unknown_host_is_not_sent() -> None:
    async with open_transport() as transport:
        # A label this long is refused before anybody is asked.
        with pytest.raises(NotSent, match="dns"):
            await transport.post(f"http://{'a' * 64}.example.com/", headers={}, body=b"hello")


async def test_a_total_deadline_that_ends_during_the_handshake_proves_nothing() -> None:
    ended = asyncio.Event()

    async def mute(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await ended.wait()
        writer.close()

    async with await asyncio.start_server(mute, "127.0.0.1", 0) as server, open_transport() as transport:
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        with pytest.raises(Unknown, match="timeout"):
            await transport.post(url, headers={}, body=b"hello", within=0.2)
        ended.set()


async def test_a_header_that_cannot_be_written_is_not_sent() -> None:
    async with open_transport() as transport:
        with pytest.raises(NotSent, match="unsendable"):
            await transport.post("http://127.0.0.1/", headers={"A": "b\nc"}, body=b"hello")
