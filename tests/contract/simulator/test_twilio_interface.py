"""The simulated Twilio: its answers as the vendor gives them, and its callbacks as our adapter reads them."""

import re
from datetime import UTC, datetime

import aiohttp
import pytest

from fn_notifications.adapters.twilio.webhook import SIGNATURE_HEADER, TwilioWebhook
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.simulator.behaviour import PHONES
from fn_notifications.testing.waiting import eventually

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
ADA = "+15005550100"


def sms(to: str = ADA, **more: str) -> dict[str, str]:
    return {"To": to, "From": "+15005550006", "Body": "Hi", **more}


@pytest.fixture
def call(simulator, session):
    async def call(method: str, path: str, form: dict[str, str] | None = None, *, token: str | None = None):
        login = aiohttp.encode_basic_auth(simulator.twilio_account_sid, token or simulator.twilio_auth_token)
        answer = await session.request(
            method,
            f"{simulator.base_url}/2010-04-01/Accounts/{simulator.twilio_account_sid}/{path}",
            data=form,
            headers={"Authorization": login},
        )
        await answer.read()
        return answer

    return call


@pytest.fixture
def post(call, door):
    async def post(form: dict[str, str], *, callback: str = "/status?attempt=a-1-1"):
        return await call("POST", "Messages.json", {**form, "StatusCallback": f"{door.url}{callback}"})

    return post


def receipts(simulator, door) -> list[Receipt]:
    """Everything reported so far; a post that is not signed as Twilio signs fails the test."""
    webhook = TwilioWebhook.with_tokens([simulator.twilio_auth_token])
    found = []
    for one in door.posts:
        assert webhook.verify(one.body, url=one.url, signature=one.headers[SIGNATURE_HEADER])
        found += webhook.parse_status(one.body, url=one.url, now=NOW).receipts
    return found


async def test_accepts_as_twilio_does(post, simulator) -> None:
    answer = await post(sms())
    resource = await answer.json()
    assert answer.status == 201
    assert re.fullmatch(r"SM[0-9a-f]{32}", resource["sid"])
    assert (resource["status"], resource["to"], resource["error_code"]) == ("queued", ADA, None)
    assert {"Twilio-Request-Id", "Twilio-Concurrent-Requests"} <= set(answer.headers)
    assert not any(name.startswith("_") for name in resource)
    assert simulator.messages()[0].attempt_id == "a-1-1"


async def test_a_messaging_service_accepts_first(post) -> None:
    form = {"To": ADA, "MessagingServiceSid": "MG01", "Body": "Hi"}
    assert (await (await post(form)).json())["status"] == "accepted"


@pytest.mark.parametrize(
    ("form", "code"),
    [
        (sms(""), 21604),
        (sms(From=""), 21603),
        (sms(Body=""), 21602),
        (sms(Body="x" * 1601), 21617),
    ],
)
async def test_refuses_what_twilio_refuses(post, simulator, form: dict[str, str], code: int) -> None:
    answer = await post(form)
    assert (answer.status, (await answer.json())["code"]) == (400, code)
    assert simulator.messages() == ()


async def test_refuses_a_wrong_token_and_a_foreign_account(call, simulator) -> None:
    answer = await call("POST", "Messages.json", sms(), token="wrong")
    assert (answer.status, (await answer.json())["code"]) == (401, 20003)
    simulator.twilio_account_sid = "AC1"
    assert (await call("GET", "Messages.json")).status == 401


@pytest.mark.parametrize("number", [number for number, one in PHONES.items() if one.status and not one.once])
async def test_a_refusing_number_is_refused_and_kept(post, simulator, number: str) -> None:
    answer = await post(sms(number))
    behaviour = PHONES[number]
    (kept,) = simulator.messages()
    assert answer.status == behaviour.status
    assert kept.answer == str(behaviour.code or behaviour.status)
    if behaviour.code:
        assert (await answer.json())["code"] == behaviour.code
    assert answer.headers.get("Retry-After") == (None if behaviour.wait is None else str(behaviour.wait))


async def test_once_is_once(post) -> None:
    assert [(await post(sms("+15005551503"))).status for _ in range(3)] == [503, 201, 201]


REPORTS = {
    ADA: [ReceiptKind.ACCEPTED, ReceiptKind.DELIVERED],
    "+15005550703": [ReceiptKind.ACCEPTED, ReceiptKind.FAILED],
    "+15005550705": [ReceiptKind.ACCEPTED, ReceiptKind.BOUNCED],
    "+15005550710": [ReceiptKind.OPTED_OUT, ReceiptKind.OPTED_OUT],
    "+15005550714": [ReceiptKind.OPTED_OUT, ReceiptKind.OPTED_OUT],
}


@pytest.mark.parametrize("prefix", ["", "whatsapp:"])
@pytest.mark.parametrize(("number", "kinds"), REPORTS.items())
async def test_callbacks_come_signed_and_carry_our_id(
    post, simulator, door, number: str, kinds: list[ReceiptKind], prefix: str
) -> None:
    sid = (await (await post(sms(prefix + number))).json())["sid"]
    await eventually(lambda: len(receipts(simulator, door)) == len(kinds))
    found = receipts(simulator, door)
    assert [receipt.kind for receipt in found] == kinds
    assert {receipt.provider_id for receipt in found} == {sid}
    assert found[0].attempt_id == "a-1-1"
    assert found[0].address.value == number


async def test_the_fragment_of_a_callback_is_not_signed(post, simulator, door) -> None:
    await post(sms(), callback="/status?attempt=a-1-1#rc=5")
    await eventually(lambda: len(receipts(simulator, door)) == 2)


async def test_a_refused_callback_is_not_repeated(post, simulator, door) -> None:
    door.answers = [500]
    await post(sms())
    await eventually(lambda: simulator.tally.reports_total == 1)
    assert (len(door.posts), simulator.tally.reports_lost_total) == (2, 1)


async def test_what_was_sent_can_be_looked_up(call, post, simulator) -> None:
    first = await (await post(sms())).json()
    await post(sms("+15005550703"))
    await eventually(lambda: [kept.status for kept in simulator.messages()] == ["delivered", "undelivered"])

    one = await (await call("GET", f"Messages/{first['sid']}.json")).json()
    assert (one["status"], one["error_code"]) == ("delivered", None)
    listed = (await (await call("GET", "Messages.json")).json())["messages"]
    assert [(each["status"], each["error_code"]) for each in listed] == [("undelivered", 30003), ("delivered", None)]
    by_number = (await (await call("GET", "Messages.json?To=%2B15005550100")).json())["messages"]
    assert [each["sid"] for each in by_number] == [first["sid"]]
    assert (await (await call("GET", "Messages.json?DateSent=2000-01-01")).json())["messages"] == []
    assert len((await (await call("GET", "Messages.json?PageSize=1")).json())["messages"]) == 1


async def test_an_unknown_message_is_not_found(call) -> None:
    answer = await call("GET", "Messages/SM00.json")
    assert (answer.status, (await answer.json())["code"]) == (404, 20404)
    assert (await call("GET", "Messages/SM00.json", token="wrong")).status == 401


async def test_a_template_shows_as_its_name_and_variables(post, simulator) -> None:
    await post(
        {"To": f"whatsapp:{ADA}", "From": "whatsapp:+15005550006", "ContentSid": "HX1", "ContentVariables": "{}"}
    )
    (kept,) = simulator.messages()
    assert (kept.channel, kept.text) == ("whatsapp", "HX1 {}")


async def test_people_can_text_back(simulator, door) -> None:
    url = f"{door.url}/inbound"
    assert await simulator.text_in(url, sender=ADA, to="+15005550006", body="Stop") == 204

    (one,) = door.posts
    webhook = TwilioWebhook.with_tokens([simulator.twilio_auth_token])
    assert webhook.verify(one.body, url=url, signature=one.headers[SIGNATURE_HEADER])
    (receipt,) = webhook.parse_inbound(one.body, now=NOW).receipts
    assert (receipt.kind, receipt.address.value) == (ReceiptKind.OPTED_OUT, ADA)
