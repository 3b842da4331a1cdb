"""The simulator as a whole: its life, its page, its bounds."""

import asyncio
import json
from datetime import UTC, datetime

import aiohttp
import pytest

from fn_notifications.simulator.poster import Poster
from fn_notifications.simulator.server import Simulator
from fn_notifications.testing.waiting import eventually


async def send(simulator: Simulator, session: aiohttp.ClientSession, to: str, text: str = "Hello") -> int:
    document = {
        "personalizations": [{"to": [{"email": to}]}],
        "from": {"email": "hello@example.com"},
        "subject": "Hi",
        "content": [{"type": "text/plain", "value": text}, {"type": "text/html", "value": "<b>Hello</b>"}],
    }
    headers = {"Authorization": f"Bearer {simulator.sendgrid_api_key}"}
    async with session.post(f"{simulator.base_url}/v3/mail/send", json=document, headers=headers) as answer:
        return answer.status


async def test_shows_everything_newest_first(simulator, session) -> None:
    await send(simulator, session, "reject@example.com")
    await send(simulator, session, "silent@example.com")
    async with session.get(f"{simulator.base_url}/messages.json") as answer:
        listed = await answer.json()
    assert [(one["to"], one["answer"], one["status"]) for one in listed] == [
        ("silent@example.com", "accepted", None),
        ("reject@example.com", "http_400", None),
    ]
    assert datetime.fromisoformat(listed[0]["at"]).tzinfo is not None


async def test_the_page_shows_messages_and_what_addresses_do(simulator, session) -> None:
    await send(simulator, session, "ada@example.com", "<script>alert(1)</script>")
    async with session.get(simulator.base_url) as answer:
        page = await answer.text()
    assert "ada@example.com" in page
    assert "&lt;script&gt;" in page
    assert "<script" not in page
    assert "ratelimited@" in page
    assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_other_names_for_this_machine_are_turned_away(simulator, session) -> None:
    async with session.get(simulator.base_url, headers={"Host": "evil.example.com"}) as answer:
        assert answer.status == 421
    async with session.get(simulator.base_url, headers={"Host": f"localhost:{simulator.port}"}) as answer:
        assert answer.status == 200


async def test_listens_on_loopback_only_and_where_it_is_told(session) -> None:
    async with Simulator() as first:
        port = first.port
    async with Simulator(port=port) as second:
        assert second.base_url == f"http://127.0.0.1:{port}"
        assert await send(second, session, "ada@example.com") == 202


async def test_keeps_only_the_newest(session) -> None:
    async with Simulator(keep=2) as simulator:
        for name in ("a", "b", "c"):
            await send(simulator, session, f"{name}@example.com")
        await eventually(lambda: all(kept.status == "delivered" for kept in simulator.messages()))
        assert [kept.to for kept in simulator.messages()] == ["b@example.com", "c@example.com"]


async def test_stops_at_once_whatever_is_under_way(door) -> None:
    """Neither a call that hangs nor reports nobody takes hold up the end, and nothing is left running."""
    door.answers = [500] * 100
    async with aiohttp.ClientSession() as session, asyncio.timeout(10):
        async with Simulator(sendgrid_webhook_url=door.url, repeats=(3600.0,)) as simulator:
            await send(simulator, session, "ada@example.com")
            hanging = asyncio.create_task(send(simulator, session, "hang@example.com"))
            await eventually(lambda: simulator.tally.accepted_total == 2 and door.posts)
        await asyncio.wait([hanging])
    assert isinstance(hanging.exception(), aiohttp.ClientError)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_caller_that_hangs_up_ends_its_call() -> None:
    async with Simulator() as simulator:
        running = len(asyncio.all_tasks())
        async with aiohttp.ClientSession() as session:
            call = asyncio.create_task(send(simulator, session, "hang@example.com"))
            await eventually(simulator.messages)
            call.cancel()
            await asyncio.wait([call])
        await eventually(lambda: len(asyncio.all_tasks()) == running)


@pytest.mark.parametrize(
    ("url", "posts"),
    [
        ("http://127.0.0.1:1/", 1),
        ("http://localhost:1/", 1),
        ("http://[::1]:1/", 1),
        ("http://192.0.2.1/", 0),
        ("https://notify.example.com/", 0),
        ("http://localhost.example.com/", 0),
        ("http://127.0.0.1@192.0.2.1/", 0),
        ("nonsense", 0),
    ],
)
async def test_reports_go_to_this_machine_only(url: str, posts: int) -> None:
    class Session:
        posts = 0

        def post(self, *_: object, **__: object) -> None:
            self.posts += 1
            raise aiohttp.ClientError

    session = Session()
    assert await Poster(session).post(url, b"", {}) is None
    assert session.posts == posts


async def test_secrets_are_made_anew_and_not_shown() -> None:
    async with Simulator() as one, Simulator() as other:
        assert one.sendgrid_public_key != other.sendgrid_public_key
        assert one.sendgrid_api_key != other.sendgrid_api_key
        assert one.twilio_auth_token not in repr(one)
        assert one.sendgrid_api_key not in repr(one)


async def test_the_clock_is_the_one_it_was_given(session) -> None:
    moment = datetime(2026, 11, 22, 12, tzinfo=UTC)
    async with Simulator(clock=lambda: moment) as simulator:
        await send(simulator, session, "ada@example.com")
        assert json.dumps([kept.at.isoformat() for kept in simulator.messages()]) == '["2026-11-22T12:00:00+00:00"]'


async def test_the_journal_tells_what_each_caller_was_told(simulator, session) -> None:
    await send(simulator, session, "silent@example.com")
    await send(simulator, session, "error500@example.com")
    await send(simulator, session, "ratelimited@example.com")
    with pytest.raises(aiohttp.ClientError):
        await send(simulator, session, "reset-after@example.com")
    hanging = asyncio.create_task(send(simulator, session, "hang@example.com"))
    await eventually(lambda: len(simulator.calls()) == 5)
    assert simulator.calls()[-1].ended_at is None
    hanging.cancel()
    await eventually(lambda: simulator.calls()[-1].gone)

    told = [(call.accepted, call.answered, call.gone, call.ambiguous) for call in simulator.calls()]
    assert told == [
        (True, 202, False, False),
        (False, 500, False, True),
        (False, 429, False, False),
        (True, None, True, True),
        (True, None, True, True),
    ]
    assert {call.provider for call in simulator.calls()} == {"sendgrid"}


async def test_the_journal_names_attempts_and_counts_requests_nobody_could_read(simulator, session) -> None:
    headers = {"Authorization": f"Bearer {simulator.sendgrid_api_key}"}
    document = {
        "personalizations": [{"to": [{"email": "silent@example.com"}], "custom_args": {"attempt_id": "one"}}],
        "from": {"email": "hello@example.com"},
        "subject": "Hi",
        "content": [{"type": "text/plain", "value": "Hello"}],
    }
    for body in (json.dumps(document), "{"):
        async with session.post(f"{simulator.base_url}/v3/mail/send", data=body, headers=headers):
            pass
    assert [(call.attempts, call.answered) for call in simulator.calls()] == [(("one",), 202), ((), 400)]
