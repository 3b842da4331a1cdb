"""What goes to Twilio, to the byte."""

import json
import logging
from base64 import b64decode
from typing import ClassVar
from urllib.parse import parse_qsl

import pytest
from attrs import evolve

from fn_notifications.adapters.transport.http import Unknown
from fn_notifications.adapters.twilio.sender import TwilioSender
from fn_notifications.adapters.twilio.settings import TwilioSettings
from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.ports.sending import Content, Message
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Channel, PhoneNumber
from fn_notifications.domain.outcome import OutcomeKind, Scope

SETTINGS = TwilioSettings(
    account_sid="AC00000000000000000000000000000001",
    auth_token="t0ken",
    phone_number=PhoneNumber("+15005550006"),
    whatsapp_number=PhoneNumber("+15005550010"),
    status_callback_url="https://notify.example.com/api/webhooks/twilio/status",
)
MESSAGE = Message(
    attempt_id="0190-1-1",
    channel=SMS,
    to=PhoneNumber("+15005550100"),
    content=Content(text="Wallet found ✓ & a+b=c"),
    notification_type="match_detected",
)
CALLBACK = ("StatusCallback", "https://notify.example.com/api/webhooks/twilio/status?attempt=0190-1-1")
TEMPLATE = Content(text="Hi Ada", template_id="HX0123", template_variables={"1": "Ada", "2": "✓"})


@pytest.fixture
def told(notary, transport):
    """Send one message, return the form that went out."""
    notary.status, notary.body = 201, b'{"sid": "SM0123"}'

    async def send(settings: TwilioSettings, channel: Channel, content: Content = MESSAGE.content):
        sender = TwilioSender(evolve(settings, base_url=notary.base_url), channel, transport)
        (outcome,) = await sender.send([evolve(MESSAGE, channel=channel, content=content)])
        assert (outcome.kind, outcome.provider_id) == (OutcomeKind.ACCEPTED, "SM0123")
        return sorted(parse_qsl(notary.requests[-1].body.decode(), strict_parsing=True))

    return send


async def test_an_sms_on_the_wire(told, notary) -> None:
    assert await told(SETTINGS, SMS) == [
        ("Body", "Wallet found ✓ & a+b=c"),
        ("From", "+15005550006"),
        CALLBACK,
        ("To", "+15005550100"),
    ]
    (request,) = notary.requests
    assert (request.method, request.path) == ("POST", f"/2010-04-01/Accounts/{SETTINGS.account_sid}/Messages.json")
    assert request.headers["Content-Type"] == "application/x-www-form-urlencoded"
    scheme, _, credentials = request.headers["Authorization"].partition(" ")
    assert (scheme, b64decode(credentials).decode()) == ("Basic", f"{SETTINGS.account_sid}:t0ken")


async def test_an_sms_by_a_messaging_service(told) -> None:
    form = await told(evolve(SETTINGS, messaging_service_sid="MG0123"), SMS)
    assert ("MessagingServiceSid", "MG0123") in form
    assert "From" not in dict(form)


async def test_whatsapp_text(told) -> None:
    assert await told(SETTINGS, WHATSAPP) == [
        ("Body", "Wallet found ✓ & a+b=c"),
        ("From", "whatsapp:+15005550010"),
        CALLBACK,
        ("To", "whatsapp:+15005550100"),
    ]


async def test_a_whatsapp_template_has_no_body(told) -> None:
    form = dict(await told(SETTINGS, WHATSAPP, TEMPLATE))
    assert form["ContentSid"] == "HX0123"
    assert json.loads(form["ContentVariables"]) == {"1": "Ada", "2": "✓"}
    assert "Body" not in form


async def test_a_template_without_variables(told) -> None:
    form = dict(await told(SETTINGS, WHATSAPP, evolve(TEMPLATE, template_variables={})))
    assert "ContentVariables" not in form


async def test_sms_knows_no_templates(told) -> None:
    form = dict(await told(SETTINGS, SMS, TEMPLATE))
    assert form["Body"] == "Hi Ada"
    assert "ContentSid" not in form


async def test_whatsapp_by_a_messaging_service(told) -> None:
    form = dict(await told(evolve(SETTINGS, whatsapp_number=None, messaging_service_sid="MG0123"), WHATSAPP))
    assert form["MessagingServiceSid"] == "MG0123"
    assert "From" not in form


@pytest.mark.parametrize(
    ("url", "callback"),
    [
        ("https://a.example.com/s", "https://a.example.com/s?attempt=0190-1-1"),
        ("https://a.example.com/s?x=1", "https://a.example.com/s?x=1&attempt=0190-1-1"),
        ("https://a.example.com/s#rc=5&rp=all", "https://a.example.com/s?attempt=0190-1-1#rc=5&rp=all"),
        (None, None),
    ],
)
async def test_the_callback_carries_our_id(told, url: str | None, callback: str | None) -> None:
    form = dict(await told(evolve(SETTINGS, status_callback_url=url), SMS))
    assert form.get("StatusCallback") == callback


@pytest.mark.parametrize(
    ("settings", "channel"),
    [
        (evolve(SETTINGS, phone_number=None), SMS),
        (evolve(SETTINGS, whatsapp_number=None), WHATSAPP),
        (SETTINGS, EMAIL),
    ],
)
def test_nobody_to_send_as_is_said_at_once(settings: TwilioSettings, channel: Channel, transport) -> None:
    with pytest.raises(Misconfigured, match=channel):
        TwilioSender(settings, channel, transport)


async def test_half_a_surrogate_pair_is_refused_without_a_request(notary, transport) -> None:
    sender = TwilioSender(evolve(SETTINGS, base_url=notary.base_url), SMS, transport)
    (outcome,) = await sender.send([evolve(MESSAGE, content=Content(text="\ud83d"))])
    assert (outcome.kind, outcome.scope) == (OutcomeKind.REFUSED, Scope.CONTENT)
    assert notary.requests == []


async def test_the_environment_decides_nothing(told, notary, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TWILIO_EDGE", "sydney")
    monkeypatch.setenv("TWILIO_REGION", "au1")
    monkeypatch.setenv("TWILIO_ACCOUNT_SID", "AC9")
    await told(SETTINGS, SMS)
    assert SETTINGS.account_sid in notary.requests[0].path


async def test_nothing_is_logged_and_the_token_is_not_shown(
    notary, transport, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    notary.status = 500
    sender = TwilioSender(evolve(SETTINGS, base_url=notary.base_url), SMS, transport)
    await sender.send([MESSAGE])
    assert "t0ken" not in repr(sender) + repr(SETTINGS) + caplog.text
    assert "+15005550100" not in caplog.text
    assert "Wallet" not in caplog.text


async def test_every_call_has_the_deadline_of_the_settings() -> None:
    class Noting:
        deadlines: ClassVar = []

        async def post(self, _: str, *, within: float, **__: object) -> None:
            self.deadlines.append(within)
            raise Unknown("timeout")

    noting = Noting()
    await TwilioSender(evolve(SETTINGS, deadline=7.5), SMS, noting).send([MESSAGE] * 2)
    assert noting.deadlines == [7.5, 7.5]
