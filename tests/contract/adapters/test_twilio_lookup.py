"""Asking Twilio: what goes out, and what each answer means."""

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest
from aiohttp import web
from attrs import define, field

from fn_notifications.adapters.transport.aiohttp import open_transport
from fn_notifications.adapters.twilio.lookup import TwilioLookup
from fn_notifications.adapters.twilio.settings import TwilioSettings
from fn_notifications.application.ports.lookup import NOTHING, UNANSWERED, Knowledge, Known, Question
from fn_notifications.domain.address import SMS, PhoneNumber
from fn_notifications.domain.events import Evidence

ACCOUNT, TO = "AC1", PhoneNumber("+15005550101")
NOON = datetime(2026, 6, 1, 12, tzinfo=UTC)
PATH = f"/2010-04-01/Accounts/{ACCOUNT}/Messages"


def message(sid: str = "SM1", **more: Any) -> dict[str, Any]:
    return {
        "sid": sid,
        "to": TO.value,
        "body": "Hello",
        "direction": "outbound-api",
        "date_created": format_datetime(NOON),
        "status": "sent",
        "error_code": None,
        **more,
    }


@define
class Scripted:
    """A Twilio that says what it is told to."""

    answer: Callable[[web.Request], web.Response] = lambda _: web.json_response({"messages": []})
    requests: list[web.Request] = field(factory=list)

    def says(self, *messages: dict[str, Any], status: int = 200) -> None:
        self.answer = lambda _: web.json_response({"messages": list(messages), "next_page_uri": None}, status=status)

    async def handle(self, request: web.Request) -> web.Response:
        self.requests.append(request)
        return self.answer(request)


@pytest.fixture
def twilio() -> Scripted:
    return Scripted()


@pytest.fixture
async def lookup(twilio: Scripted) -> AsyncIterator[TwilioLookup]:
    application = web.Application()
    application.router.add_route("*", "/{rest:.*}", twilio.handle)
    runner = web.AppRunner(application)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = TwilioSettings(
        account_sid=ACCOUNT, auth_token="token", base_url=f"http://127.0.0.1:{runner.addresses[0][1]}", deadline=10
    )
    async with open_transport() as transport:
        yield TwilioLookup(settings, transport)
    await runner.cleanup()


def question(**more: Any) -> Question:
    given = {"attempt_id": "a", "channel": SMS, "started_at": NOON, "to": TO, "text": "Hello", **more}
    return Question(**given)


async def asked(lookup: TwilioLookup, **more: Any) -> Knowledge:
    (told,) = await lookup.ask([question(**more)])
    return told


async def test_a_known_message_is_fetched_by_its_sid(twilio, lookup):
    twilio.answer = lambda _: web.json_response(message())
    assert (await asked(lookup, provider_id="SM1")).evidence is Evidence.ACCEPTED
    (request,) = twilio.requests
    assert (request.method, request.path_qs) == ("GET", f"{PATH}/SM1.json")
    assert request.headers["Authorization"].startswith("Basic ")


async def test_an_unknown_one_is_sought_among_the_days_messages(twilio, lookup):
    twilio.says(message())
    assert (await asked(lookup)).provider_id == "SM1"
    (request,) = twilio.requests
    assert request.path == f"{PATH}.json"
    assert dict(request.query) == {"To": TO.value, "DateSent": "2026-06-01", "PageSize": "100"}


@pytest.mark.parametrize("offset", [timedelta(minutes=-5), timedelta(minutes=1)])
async def test_around_midnight_both_days_are_asked_for(twilio, lookup, offset):
    midnight = datetime(2026, 6, 2, tzinfo=UTC)
    twilio.answer = lambda request: web.json_response(
        {
            "messages": [message(date_created=format_datetime(midnight + offset))]
            if request.query["DateSent"] == f"{midnight + offset:%Y-%m-%d}"
            else []
        }
    )
    assert (await asked(lookup, started_at=midnight + offset)).known is Known.FOUND
    assert [request.query["DateSent"] for request in twilio.requests] == ["2026-06-01", "2026-06-02"]


async def test_one_message_listed_twice_is_one(twilio, lookup):
    twilio.says(message(), message())
    assert (await asked(lookup)).known is Known.FOUND


@pytest.mark.parametrize(
    "other",
    [
        {"direction": "inbound"},
        {"body": "hello"},
        {"to": "+15005550102"},
        {"date_created": format_datetime(NOON - timedelta(minutes=3))},
        {"date_created": format_datetime(NOON + timedelta(minutes=11))},
        {"date_created": None},
        {"date_created": "yesterday"},
        {"body": None},
        {"sid": 7},
    ],
)
async def test_what_does_not_fit_is_not_ours(twilio, lookup, other):
    twilio.says(message(**other))
    assert await asked(lookup) == NOTHING


@pytest.mark.parametrize(
    ("status", "code", "evidence", "opted_out"),
    [
        ("accepted", None, Evidence.ACCEPTED, False),
        ("scheduled", None, Evidence.ACCEPTED, False),
        ("queued", None, Evidence.ACCEPTED, False),
        ("sending", None, Evidence.ACCEPTED, False),
        ("sent", None, Evidence.ACCEPTED, False),
        ("partially_delivered", None, Evidence.ACCEPTED, False),
        ("delivered", None, Evidence.DELIVERED, False),
        ("read", None, Evidence.DELIVERED, False),
        ("undelivered", 30003, Evidence.UNDELIVERED, False),
        ("undelivered", 30005, Evidence.UNDELIVERED, False),
        ("failed", 21610, Evidence.UNDELIVERED, True),
        ("failed", 63014, Evidence.UNDELIVERED, True),
        ("canceled", None, Evidence.UNDELIVERED, False),
    ],
)
async def test_a_status_means_what_it_means_in_a_callback(twilio, lookup, status, code, evidence, opted_out):
    twilio.answer = lambda _: web.json_response(message(status=status, error_code=code))
    told = await asked(lookup, provider_id="SM1")
    assert told == Knowledge(
        known=Known.FOUND,
        evidence=evidence,
        code=str(code) if code else None,
        provider_id="SM1",
        opted_out=opted_out,
    )


async def test_a_status_nobody_knows_proves_nothing(twilio, lookup):
    twilio.answer = lambda _: web.json_response(message(status="teleported"))
    assert await asked(lookup, provider_id="SM1") == NOTHING


async def test_what_is_not_there_any_more_proves_nothing(twilio, lookup):
    twilio.says(status=404)
    assert await asked(lookup, provider_id="SM1") == NOTHING


@pytest.mark.parametrize("status", [301, 401, 403, 429, 500, 503])
async def test_any_other_answer_is_none(twilio, lookup, status):
    twilio.says(status=status)
    assert await asked(lookup) == UNANSWERED


@pytest.mark.parametrize("body", [b"<html>", b"[]", b'{"messages": [', b"\xff"])
async def test_what_cannot_be_read_is_no_answer(twilio, lookup, body):
    twilio.answer = lambda _: web.Response(body=body)
    assert await asked(lookup, provider_id="SM1") == UNANSWERED


async def test_once_it_does_not_answer_the_rest_is_not_asked(twilio, lookup):
    twilio.says(status=429)
    answers = await lookup.ask([question() for _ in range(40)])
    assert list(answers) == [UNANSWERED] * 40
    assert len(twilio.requests) <= 4


async def test_every_page_is_read(twilio, lookup):
    def pages(request: web.Request) -> web.Response:
        page = int(request.query.get("Page", "0"))
        following = f"{PATH}.json?Page={page + 1}" if page < 2 else None
        found = [message()] if page == 2 else [message(sid=f"SM{page + 5}", body="other")]
        return web.json_response({"messages": found, "next_page_uri": following})

    twilio.answer = pages
    assert (await asked(lookup)).provider_id == "SM1"
    assert len(twilio.requests) == 3


async def test_pages_without_end_are_no_answer(twilio, lookup):
    twilio.answer = lambda _: web.json_response({"messages": [], "next_page_uri": f"{PATH}.json?Page=1"})
    assert await asked(lookup) == UNANSWERED
    assert len(twilio.requests) == 5


@pytest.mark.parametrize("elsewhere", ["https://example.com/", "//example.com", "/2010-04-01/Accounts/AC2/Messages", 7])
async def test_a_next_page_elsewhere_is_not_followed(twilio, lookup, elsewhere):
    twilio.answer = lambda _: web.json_response({"messages": [message()], "next_page_uri": elsewhere})
    assert await asked(lookup) == UNANSWERED
    assert len(twilio.requests) == 1


async def test_an_id_that_is_none_of_twilios_is_not_asked_about(twilio, lookup):
    assert await asked(lookup, provider_id="../../Calls") == NOTHING
    assert not twilio.requests
