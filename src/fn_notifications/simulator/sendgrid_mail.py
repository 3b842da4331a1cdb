"""What a request to SendGrid's `POST /v3/mail/send` asks for, read about as strictly as SendGrid does."""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from attrs import field, frozen

_MOST_PERSONALIZATIONS: Final = 1000
_LARGEST: Final = 10_000
"""Bytes of a personalization's substitutions, and of its custom arguments."""


class Fault(Exception):
    """A request that is refused before anybody's behaviour matters."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.field = status, message, field


@frozen(kw_only=True)
class Recipient:
    """One message: the common texts with this person's substitutions."""

    place: str
    """In the request, as `errors[].field` names it."""
    address: str = field(repr=False)
    arguments: Mapping[str, str]
    subject: str = field(repr=False)
    text: str = field(repr=False)
    html: str | None = field(repr=False)


@frozen(kw_only=True)
class Mail:
    """A request that may be accepted."""

    recipients: tuple[Recipient, ...]
    sandbox: bool


def mail_of(body: bytes) -> Mail:
    """The request. Raises Fault."""
    try:
        return _read(json.loads(body))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Fault(400, "Bad Request") from None


def _read(document: Any) -> Mail:
    """Raises Fault for what SendGrid names, and whatever odd JSON brings about for the rest."""
    content = _content(document.get("content"))
    _address(document.get("from"), "from.email")
    personalizations = _personalizations(document.get("personalizations"))
    settings = document.get("mail_settings", {})
    recipients = tuple(
        recipient
        for index, one in enumerate(personalizations)
        for recipient in _recipients(index, one, one.get("subject") or document.get("subject"), content)
    )
    if len({recipient.address.lower() for recipient in recipients}) < len(recipients):
        message = "Each email address in the personalization block should be unique between to, cc, and bcc."
        raise Fault(400, message, "personalizations")
    return Mail(recipients=recipients, sandbox=settings.get("sandbox_mode", {}).get("enable") is True)


def _personalizations(given: Any) -> list[Any]:
    if not isinstance(given, list) or not 0 < len(given) <= _MOST_PERSONALIZATIONS:
        raise Fault(400, "The personalizations field is required and must have at least one entry.", "personalizations")
    return given


def _recipients(index: int, one: Any, subject: Any, content: Mapping[str, str]) -> Iterator[Recipient]:
    if not isinstance(subject, str) or not subject:
        raise Fault(400, "The subject is required.", "subject")
    arguments = _texts(one, "custom_args", index)
    substitutions = _texts(one, "substitutions", index)
    html = content.get("text/html")
    for position, to in enumerate(one.get("to") or [None]):
        place = f"personalizations.{index}.to.{position}"
        yield Recipient(
            place=place,
            address=_address(to, f"{place}.email"),
            arguments=arguments,
            subject=_substituted(subject, substitutions),
            text=_substituted(content.get("text/plain", ""), substitutions),
            html=None if html is None else _substituted(html, substitutions),
        )


def _texts(one: Any, name: str, index: int) -> Mapping[str, str]:
    texts: Mapping[str, str] = one.get(name, {})
    place = f"personalizations.{index}.{name}"
    if not all(isinstance(value, str) for value in texts.values()):
        raise Fault(400, f"The {name} values must be strings.", place)
    if sum(len(part.encode()) for pair in texts.items() for part in pair) > _LARGEST:
        raise Fault(400, f"The {name} may not exceed {_LARGEST} bytes.", place)
    return texts


def _substituted(text: str, substitutions: Mapping[str, str]) -> str:
    """Every tag replaced, in turn: a tag within an earlier substitution is replaced too."""
    for tag, value in substitutions.items():
        text = text.replace(tag, value)
    return text


def _address(value: Any, field: str) -> str:
    address = value.get("email") if isinstance(value, dict) else None
    if not isinstance(address, str) or "@" not in address:
        raise Fault(400, "Does not contain a valid address.", field)
    return address


def _content(parts: Any) -> dict[str, str]:
    if not isinstance(parts, list) or not parts:
        raise Fault(400, "Unless a valid template_id is provided, the content parameter is required.", "content")
    for index, part in enumerate(parts):
        if not part.get("value"):
            raise Fault(400, "The content value must be a string at least one character in length.", f"content.{index}")
    if "text/plain" in [part["type"] for part in parts[1:]]:
        raise Fault(400, "If present, text/plain must be the first content type.", "content")
    return {part["type"]: part["value"] for part in parts}
