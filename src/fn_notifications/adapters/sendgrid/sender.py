"""Email through SendGrid's v3 mail/send. The SDK makes the request's types; the bytes leave by our own transport."""

import json
from collections.abc import Sequence
from typing import Any

from attrs import frozen
from sendgrid.helpers.mail import (
    ApiKeyIncludedException,
    ClickTracking,
    CustomArg,
    Email,
    From,
    Header,
    HtmlContent,
    Mail,
    MailSettings,
    OpenTracking,
    Personalization,
    PlainTextContent,
    ReplyTo,
    SandBoxMode,
    To,
    TrackingSettings,
)

from fn_notifications.adapters.sendgrid.answers import BROKEN_CONTENT, outcome_of
from fn_notifications.adapters.sendgrid.settings import SendGridSettings
from fn_notifications.adapters.transport.calls import call_each, outcome_of_failure
from fn_notifications.adapters.transport.http import CallFailed, HttpTransport
from fn_notifications.application.ports.sending import Content, Message
from fn_notifications.domain.address import Address
from fn_notifications.domain.outcome import Outcome

ATTEMPT = "attempt_id"
"""The custom argument that carries our id. SendGrid keeps these for long and shows them to its staff: opaque only."""


@frozen
class SendGridSender:
    """One SendGrid account. One request per message: a batch shares one answer, and one bad address would fail it."""

    _settings: SendGridSettings
    _transport: HttpTransport

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `Sender.send`."""
        return await call_each(messages, self._send_one)

    async def _send_one(self, message: Message) -> Outcome:
        try:
            mail = mail_of(self._settings, message.content, [personalization_of(message)])
        except ApiKeyIncludedException:
            return BROKEN_CONTENT
        try:
            response = await self._transport.post(
                f"{self._settings.base_url}/v3/mail/send",
                headers={
                    "Authorization": f"Bearer {self._settings.api_key}",
                    "Content-Type": "application/json",
                },
                body=json.dumps(mail.get(), separators=(",", ":")).encode(),
                within=self._settings.deadline,
            )
        except CallFailed as failure:
            return outcome_of_failure(failure)
        return outcome_of(response)


def personalization_of(message: Message) -> Any:
    """The part of a request that is one person's: address, headers, our id."""
    personalization = Personalization()
    personalization.add_to(_exactly(To(), message.to))
    for name, value in message.headers.items():
        personalization.add_header(Header(name, value))
    personalization.add_custom_arg(CustomArg(ATTEMPT, message.attempt_id))
    return personalization


def mail_of(settings: SendGridSettings, content: Content, personalizations: Sequence[Any]) -> Any:
    """A request: what everybody in it is sent alike. Raises ApiKeyIncludedException for a text that holds a key."""
    mail = Mail(subject=content.subject)
    mail.from_email = _exactly(From(None, settings.from_name), settings.from_email)
    if settings.reply_to is not None:
        mail.reply_to = _exactly(ReplyTo(None), settings.reply_to)
    for position, personalization in enumerate(personalizations):
        mail.add_personalization(personalization, index=position)
    mail.add_content(PlainTextContent(content.text))
    if content.html is not None:
        mail.add_content(HtmlContent(content.html))
    tracking = TrackingSettings()
    tracking.click_tracking = ClickTracking(enable=settings.tracking, enable_text=settings.tracking)
    tracking.open_tracking = OpenTracking(enable=settings.tracking)
    mail.tracking_settings = tracking
    if settings.sandbox:
        mail.mail_settings = MailSettings(sandbox_mode=SandBoxMode(enable=True))
    return mail


def _exactly(email: Email, address: Address) -> Email:
    """The SDK's constructor parses an address as a header (RFC 5322): `a(b)@example.com` would go to a@example.com."""
    email.email = address.value
    return email
