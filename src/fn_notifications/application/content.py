"""What a rendered message may be at most, whoever rendered it."""

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from fn_notifications.application.ports.sending import Content, ContentError
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Channel

LONGEST_SUBJECT: Final = 255
LONGEST_TEXT: Final[Mapping[Channel, int]] = MappingProxyType({EMAIL: 100_000, SMS: 1_600, WHATSAPP: 1_024})
"""Characters: Twilio refuses longer texts (21617), and WhatsApp templates with their variables (63021)."""
LARGEST_HTML: Final = 100_000
"""Bytes of UTF-8: mail readers clip what is longer, and the legal part stands at the end."""
_WIDEST: Final = 4
"""Bytes of UTF-8 a character has at most."""

_BREAK: Final = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029]")


def checked(name: str, channel: Channel, content: Content) -> Content:
    """The same content, when the channel can carry it. Raises `ContentError`, which says `name` and the limit."""
    for part, flaw in (
        ("subject", _flaw_of_subject(content.subject)),
        ("text", _flaw_of_text(content.text, LONGEST_TEXT.get(channel, LONGEST_TEXT[EMAIL]))),
        ("html", _flaw_of_html(content.html)),
    ):
        if flaw:
            raise ContentError(f"{name}, {part}: {flaw}")
    return content


def _flaw_of_subject(subject: str | None) -> str | None:
    if subject is None:
        return None
    if _BREAK.search(subject):
        return "a header field holds a line break or control character"
    if not subject.strip():
        return "empty"
    return f"longer than {LONGEST_SUBJECT} characters" if len(subject) > LONGEST_SUBJECT else None


def _flaw_of_text(text: str, longest: int) -> str | None:
    if not text.strip():
        return "empty"
    return f"longer than {longest} characters" if len(text) > longest else None


def _flaw_of_html(html: str | None) -> str | None:
    if html is None or len(html) * _WIDEST <= LARGEST_HTML:
        return None
    return f"larger than {LARGEST_HTML} bytes" if len(html.encode("utf-8", "surrogatepass")) > LARGEST_HTML else None
