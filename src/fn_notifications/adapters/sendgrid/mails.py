"""Requests to SendGrid's v3 mail/send: which messages share one, and what is in it.

Messages that share a request are its personalizations: each with its own address, subject and headers, our id, and the
texts that take the place of the common content's two tags. A message that shares its request with none is the content
itself. Source of the limits: SendGrid's v3 mail/send reference (personalizations, substitutions).
"""

from collections.abc import Sequence
from typing import Any, Final

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
    Substitution,
    To,
    TrackingSettings,
)

from fn_notifications.adapters.sendgrid.settings import SendGridSettings
from fn_notifications.application.ports.sending import Content, Message
from fn_notifications.domain.address import Address

ATTEMPT: Final = "attempt_id"
"""The custom argument that carries our id. SendGrid keeps these for long and shows them to its staff: opaque only."""
TEXT: Final = "-message-text-"
HTML: Final = "-message-html-"
LARGEST_SUBSTITUTIONS: Final = 9_000
"""Bytes. SendGrid takes 10,000 for a personalization; how it counts them it does not say."""


def shared(messages: Sequence[Message], most: int) -> list[list[int]]:
    """Which messages go in one request, by their places: at most so many, of one form, and nobody twice."""
    alone = list[list[int]]()
    calls = list[dict[str, int]]()
    open_: dict[bool, list[dict[str, int]]] = {True: [], False: []}
    for place, message in enumerate(messages):
        if not _can_share(message.content):
            alone.append([place])
            continue
        joinable = open_[message.content.html is None]
        call = next((one for one in joinable if message.to.lookup not in one), None)
        if call is None:
            call = {}
            calls.append(call)
            joinable.append(call)
        call[message.to.lookup] = place
        if len(call) >= most:
            joinable.remove(call)
    return [*alone, *(list(call.values()) for call in calls)]


def request_of(settings: SendGridSettings, messages: Sequence[Message]) -> Any:
    """The request for these. Raises ApiKeyIncludedException for a text that holds a key."""
    content = messages[0].content
    if len(messages) == 1:
        return mail_of(settings, content, [personalization_of(messages[0])])
    skeleton = Content(text=TEXT, html=None if content.html is None else HTML)
    return mail_of(settings, skeleton, [_personal(message) for message in messages])


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


def _personal(message: Message) -> Any:
    personalization = personalization_of(message)
    personalization.subject = message.content.subject
    personalization.add_substitution(Substitution(TEXT, message.content.text))
    if message.content.html is not None:
        personalization.add_substitution(Substitution(HTML, message.content.html))
    return personalization


def _can_share(content: Content) -> bool:
    """Whether its texts may be substitutions. A tag within one would be replaced too, and a key is found in contents
    only.
    """
    texts = (content.text, content.html or "")
    if content.subject is None or any(tag in text for tag in (TEXT, HTML) for text in (*texts, content.subject)):
        return False
    try:
        PlainTextContent(content.text)
        HtmlContent(content.html)
    except ApiKeyIncludedException:
        return False
    return sum(len(part.encode("utf-8", "surrogatepass")) for part in (TEXT, HTML, *texts)) <= LARGEST_SUBSTITUTIONS


def _exactly(email: Email, address: Address) -> Email:
    """The SDK's constructor parses an address as a header (RFC 5322): `a(b)@example.com` would go to a@example.com."""
    email.email = address.value
    return email
