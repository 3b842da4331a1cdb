"""Requests to SendGrid's v3 mail/send: which messages share one, and what is in it.

Messages that share a request are its personalizations: each with its own address, subject and headers, our id, and the
texts that take the place of the common content's two tags. A message that shares its request with none is the content
itself. Source of fields and limits: SendGrid's v3 mail/send reference. The SDK's own objects make the same JSON and
cost several times as much as the call (a test compares the two).
"""

import re
from collections.abc import Sequence
from typing import Any, Final

from fn_notifications.adapters.sendgrid.settings import SendGridSettings
from fn_notifications.application.ports.sending import Content, Message

ATTEMPT: Final = "attempt_id"
"""The custom argument that carries our id. SendGrid keeps these for long and shows them to its staff: opaque only."""
TEXT: Final = "-message-text-"
HTML: Final = "-message-html-"
LARGEST_SUBSTITUTIONS: Final = 9_000
"""Bytes. SendGrid takes 10,000 for a personalization; how it counts them it does not say."""
_KEY: Final = re.compile(r"SG\.[\w-]{22}\.[\w-]{43}", re.ASCII)
_TAG: Final = re.compile(f"{TEXT}|{HTML}")


def holds_key(content: Content) -> bool:
    """Whether a text holds what looks like one of SendGrid's API keys: such a message must not leave."""
    return any(_KEY.search(text) for text in (content.text, content.html or ""))


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


def request_of(settings: SendGridSettings, messages: Sequence[Message]) -> dict[str, Any]:
    """The request for these, as JSON goes."""
    content = messages[0].content
    if len(messages) == 1:
        request = _common(settings, content, [personalization_of(messages[0])])
        return request if content.subject is None else {**request, "subject": content.subject}
    skeleton = Content(text=TEXT, html=None if content.html is None else HTML)
    return _common(settings, skeleton, [_personal(message) for message in messages])


def personalization_of(message: Message) -> dict[str, Any]:
    """The part of a request that is one person's: address, headers, our id."""
    personalization = {"to": [{"email": message.to.value}], "custom_args": {ATTEMPT: message.attempt_id}}
    return {**personalization, "headers": dict(message.headers)} if message.headers else personalization


def _personal(message: Message) -> dict[str, Any]:
    content = message.content
    texts = {TEXT: content.text} if content.html is None else {TEXT: content.text, HTML: content.html}
    return {**personalization_of(message), "subject": content.subject, "substitutions": texts}


def _common(settings: SendGridSettings, content: Content, personalizations: list[dict[str, Any]]) -> dict[str, Any]:
    """What everybody in a request is sent alike."""
    sender = {"email": settings.from_email.value}
    texts = [{"type": "text/plain", "value": content.text}]
    if content.html is not None:
        texts.append({"type": "text/html", "value": content.html})
    request: dict[str, Any] = {
        "from": {**sender, "name": settings.from_name} if settings.from_name else sender,
        "personalizations": personalizations,
        "content": texts,
        "tracking_settings": {
            "click_tracking": {"enable": settings.tracking, "enable_text": settings.tracking},
            "open_tracking": {"enable": settings.tracking},
        },
    }
    if settings.reply_to is not None:
        request["reply_to"] = {"email": settings.reply_to.value}
    if settings.sandbox:
        request["mail_settings"] = {"sandbox_mode": {"enable": True}}
    return request


def _can_share(content: Content) -> bool:
    """Whether its texts may be substitutions. A tag within one would be replaced too."""
    texts = (content.text, content.html or "")
    if content.subject is None or any(_TAG.search(text) for text in (*texts, content.subject)):
        return False
    return sum(len(part.encode("utf-8", "surrogatepass")) for part in (TEXT, HTML, *texts)) <= LARGEST_SUBSTITUTIONS
