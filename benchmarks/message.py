"""The message of the measurements: the product's own, for the yardsticks and for comparing what both sides sent."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import define

from benchmarks.provider import first_body
from fn_notifications.adapters.sendgrid.sender import SendGridSender
from fn_notifications.adapters.sendgrid.settings import SendGridSettings
from fn_notifications.adapters.transport.http import NotSent, Response
from fn_notifications.application.ports.sending import Message
from fn_notifications.domain.address import EMAIL, EmailAddress
from fn_notifications.entrypoints.parts import load_catalogue, renderer_of

SENDER = "notifications@example.com"
_MARKS = {"item": "=ITEM=", "place": "=PLACE="}


async def write_message(file: Path) -> None:
    """A mail/send request as JSON, with marks where the texts differ between people."""
    catalogue = load_catalogue()
    content = renderer_of(catalogue).render(
        "post_confirmation", EMAIL, _MARKS, language=None, timezone=None, version=catalogue.version
    )
    to = EmailAddress("somebody@example.com")
    message = Message(attempt_id="", channel=EMAIL, to=to, content=content, notification_type="post_confirmation")
    caught = _Catch()
    settings = SendGridSettings(api_key="", from_email=EmailAddress(SENDER))
    await SendGridSender(settings, caught).send([message])  # type: ignore[arg-type]  # it posts, and nothing else
    file.write_bytes(caught.body)  # noqa: ASYNC240 - a few kilobytes, once


def said(arrivals: Path) -> Any:
    """What a provider was sent as message 0, but for the attempt's id."""
    mail = json.loads(first_body(arrivals).read_bytes())
    (one,) = mail["personalizations"]
    one["custom_args"] = dict.fromkeys(one["custom_args"])
    return mail


@define
class _Catch:
    """A transport that keeps what it is to send."""

    body: bytes = b""

    async def post(self, _: str, *, headers: Mapping[str, str], body: bytes, within: float | None = None) -> Response:
        del headers, within
        self.body = body
        raise NotSent("kept")
