"""What goes to SendGrid, to the byte."""

import json
import logging
from types import SimpleNamespace
from typing import ClassVar

import pytest
from attrs import evolve
from sendgrid.helpers import mail as sdk

from fn_notifications.adapters.sendgrid.mails import (
    HTML,
    LARGEST_SUBSTITUTIONS,
    TEXT,
    holds_key,
    request_of,
    shared,
)
from fn_notifications.adapters.sendgrid.sender import SendGridSender
from fn_notifications.adapters.sendgrid.settings import SendGridSettings
from fn_notifications.adapters.transport.http import Unknown
from fn_notifications.application.ports.sending import Content, Message
from fn_notifications.domain.address import EMAIL, EmailAddress
from fn_notifications.domain.outcome import OutcomeKind, Scope

SETTINGS = SendGridSettings(
    api_key="SG.key",
    from_email=EmailAddress("hello@example.com"),
    from_name="Findly Now",
    reply_to=EmailAddress("help@example.com"),
)
MESSAGE = Message(
    attempt_id="0190-1-1",
    channel=EMAIL,
    to=EmailAddress("ada@example.com"),
    content=Content(text="Your wallet ✓", subject="A match: “wallet”", html="<p>Your wallet</p>"),
    notification_type="match_detected",
    headers={"List-Unsubscribe": "<https://example.com/u/1>", "List-Unsubscribe-Post": "List-Unsubscribe=One-Click"},
)
KEY = f"SG.{'a' * 22}.{'b' * 43}"
UNTRACKED = {"click_tracking": {"enable": False, "enable_text": False}, "open_tracking": {"enable": False}}


async def test_a_message_on_the_wire(notary, transport) -> None:
    await SendGridSender(evolve(SETTINGS, base_url=notary.base_url), transport).send([MESSAGE])

    (request,) = notary.requests
    assert (request.method, request.path) == ("POST", "/v3/mail/send")
    assert request.headers["Authorization"] == "Bearer SG.key"
    assert request.headers["Content-Type"] == "application/json"
    assert json.loads(request.body) == {
        "from": {"email": "hello@example.com", "name": "Findly Now"},
        "reply_to": {"email": "help@example.com"},
        "subject": "A match: “wallet”",
        "personalizations": [
            {
                "to": [{"email": "ada@example.com"}],
                "headers": {
                    "List-Unsubscribe": "<https://example.com/u/1>",
                    "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
                },
                "custom_args": {"attempt_id": "0190-1-1"},
            }
        ],
        "content": [
            {"type": "text/plain", "value": "Your wallet ✓"},
            {"type": "text/html", "value": "<p>Your wallet</p>"},
        ],
        "tracking_settings": UNTRACKED,
    }


async def test_the_least_message_in_the_sandbox_with_tracking(notary, transport) -> None:
    settings = SendGridSettings(
        api_key="k", from_email=SETTINGS.from_email, base_url=notary.base_url, sandbox=True, tracking=True
    )
    await SendGridSender(settings, transport).send([evolve(MESSAGE, content=Content(text="Hi"), headers={})])

    assert json.loads(notary.requests[0].body) == {
        "from": {"email": "hello@example.com"},
        "personalizations": [{"to": [{"email": "ada@example.com"}], "custom_args": {"attempt_id": "0190-1-1"}}],
        "content": [{"type": "text/plain", "value": "Hi"}],
        "mail_settings": {"sandbox_mode": {"enable": True}},
        "tracking_settings": {
            "click_tracking": {"enable": True, "enable_text": True},
            "open_tracking": {"enable": True},
        },
    }


@pytest.mark.parametrize("local", ["a(b)", "a,b", "a<b>c"])
def test_an_address_is_never_read_as_another(local: str) -> None:
    """The SDK would read a(b)@example.com as a@example.com. Our addresses cannot be such; this holds regardless."""
    odd = SimpleNamespace(value=f"{local}@example.com")
    settings = evolve(SETTINGS, from_email=odd, from_name=None, reply_to=odd)
    mail = request_of(settings, [evolve(MESSAGE, to=odd)])

    assert mail["personalizations"][0]["to"] == [{"email": odd.value}]
    assert mail["from"] == mail["reply_to"] == {"email": odd.value}


async def test_a_text_with_an_api_key_is_refused_without_a_request(notary, transport) -> None:
    leak = evolve(MESSAGE, content=Content(text=KEY, subject="Oops"))
    (outcome,) = await SendGridSender(evolve(SETTINGS, base_url=notary.base_url), transport).send([leak])

    assert (outcome.kind, outcome.scope, outcome.code) == (OutcomeKind.REFUSED, Scope.CONTENT, "key_in_content")
    assert notary.requests == []


async def test_one_that_cannot_be_sent_does_not_hold_up_the_others(notary, transport) -> None:
    leak = evolve(MESSAGE, content=Content(text=KEY, subject="Oops"))
    outcomes = await SendGridSender(evolve(SETTINGS, base_url=notary.base_url), transport).send([leak, MESSAGE])

    assert [outcome.kind for outcome in outcomes] == [OutcomeKind.REFUSED, OutcomeKind.ACCEPTED]


def by_sdk(messages: list[Message]) -> dict[str, object]:
    """What the vendor's own objects make of these."""
    mail = sdk.Mail()
    mail.from_email = sdk.From(SETTINGS.from_email.value, SETTINGS.from_name)
    mail.reply_to = sdk.ReplyTo(SETTINGS.reply_to.value)
    for place, message in enumerate(messages):
        one = sdk.Personalization()
        one.add_to(sdk.To(message.to.value))
        one.subject = message.content.subject
        one.add_substitution(sdk.Substitution(TEXT, message.content.text))
        one.add_substitution(sdk.Substitution(HTML, message.content.html))
        for name, value in message.headers.items():
            one.add_header(sdk.Header(name, value))
        one.add_custom_arg(sdk.CustomArg("attempt_id", message.attempt_id))
        mail.add_personalization(one, index=place)
    mail.add_content(sdk.PlainTextContent(TEXT))
    mail.add_content(sdk.HtmlContent(HTML))
    tracking = sdk.TrackingSettings()
    tracking.click_tracking = sdk.ClickTracking(enable=False, enable_text=False)
    tracking.open_tracking = sdk.OpenTracking(enable=False)
    mail.tracking_settings = tracking
    made: dict[str, object] = mail.get()
    return made


def test_a_request_is_what_the_vendors_own_objects_make() -> None:
    messages = [person(0), person(1, text="ümlaut & <b>")]
    assert request_of(SETTINGS, messages) == by_sdk(messages)


@pytest.mark.parametrize(("text", "held"), [(KEY, True), (f"see {KEY}!", True), ("SG.Report.v2", False), ("", False)])
def test_a_key_is_found_wherever_it_stands(text: str, held: bool) -> None:
    assert holds_key(Content(text="-", html=text)) is holds_key(Content(text=text)) is held


def person(number: int, **more: object) -> Message:
    content = Content(text=f"Text {number}", subject=f"Subject {number}", html=f"<p>Page {number}</p>")
    return evolve(
        MESSAGE, attempt_id=f"a-1-{number}", to=EmailAddress(f"n{number}@example.com"), content=evolve(content, **more)
    )


async def test_several_messages_on_the_wire(notary, transport) -> None:
    messages = [person(0), evolve(person(1), headers={"List-Unsubscribe": "<https://example.com/u/2>"})]
    await SendGridSender(evolve(SETTINGS, base_url=notary.base_url), transport).send(messages)

    (request,) = notary.requests
    assert json.loads(request.body) == {
        "from": {"email": "hello@example.com", "name": "Findly Now"},
        "reply_to": {"email": "help@example.com"},
        "personalizations": [
            {
                "to": [{"email": "n0@example.com"}],
                "subject": "Subject 0",
                "headers": MESSAGE.headers,
                "substitutions": {TEXT: "Text 0", HTML: "<p>Page 0</p>"},
                "custom_args": {"attempt_id": "a-1-0"},
            },
            {
                "to": [{"email": "n1@example.com"}],
                "subject": "Subject 1",
                "headers": {"List-Unsubscribe": "<https://example.com/u/2>"},
                "substitutions": {TEXT: "Text 1", HTML: "<p>Page 1</p>"},
                "custom_args": {"attempt_id": "a-1-1"},
            },
        ],
        "content": [{"type": "text/plain", "value": TEXT}, {"type": "text/html", "value": HTML}],
        "tracking_settings": UNTRACKED,
    }


FITTING = LARGEST_SUBSTITUTIONS - len(TEXT) - len(HTML) - len("<p>Page 0</p>")


@pytest.mark.parametrize(
    ("odd", "calls"),
    [
        ({}, [[0, 1, 2]]),
        ({"text": "é" * (FITTING // 2)}, [[0, 1, 2]]),
        ({"text": "é" * (FITTING // 2 + 1)}, [[0], [1, 2]]),
        ({"text": "\ud800"}, [[0, 1, 2]]),
        ({"text": f"I am {HTML}."}, [[0], [1, 2]]),
        ({"html": f"<p>{TEXT}</p>"}, [[0], [1, 2]]),
        ({"subject": f"About {TEXT}"}, [[0], [1, 2]]),
        ({"subject": None}, [[0], [1, 2]]),
        ({"html": None}, [[0], [1, 2]]),
    ],
)
def test_what_cannot_share_a_request_has_its_own(odd: dict[str, object], calls: list[list[int]]) -> None:
    assert shared([person(0, **odd), person(1), person(2)], 1000) == calls


def test_a_request_has_a_bound_and_nobody_twice() -> None:
    people = [person(number) for number in range(5)]
    assert shared(people, 2) == [[0, 1], [2, 3], [4]]
    upper = evolve(people[0], to=EmailAddress("N0@example.com"))
    assert shared([people[0], people[1], upper, people[2]], 1000) == [[0, 1, 3], [2]]
    assert shared([], 1000) == []


async def test_nothing_is_logged_and_the_key_is_not_shown(notary, transport, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    sender = SendGridSender(evolve(SETTINGS, base_url=notary.base_url), transport)
    await sender.send([MESSAGE])

    assert "SG.key" not in repr(sender) + repr(SETTINGS)
    for secret in ("SG.key", "ada@example.com", "wallet"):
        assert secret not in caplog.text


async def test_every_call_has_the_deadline_of_the_settings() -> None:
    class Noting:
        deadlines: ClassVar = []

        async def post(self, _: str, *, within: float, **__: object) -> None:
            self.deadlines.append(within)
            raise Unknown("timeout")

    noting = Noting()
    await SendGridSender(evolve(SETTINGS, deadline=7.5), noting).send([MESSAGE] * 2)
    assert noting.deadlines == [7.5, 7.5]
