"""SendGrid's `POST /v3/mail/send` as its callers see it."""

import json
import secrets
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from attrs import define, field, frozen

from fn_notifications.application.ports.sending import Delivered
from fn_notifications.domain.address import EMAIL
from fn_notifications.simulator.behaviour import ACCEPTED, Act, Behaviour, Choice
from fn_notifications.simulator.inbox import Inbox, Tally
from fn_notifications.simulator.sendgrid_reports import SendGridReports, Sent
from fn_notifications.simulator.wire import perform, reset, strange_page

_RATE: Final = 600
_MOST_PERSONALIZATIONS: Final = 1000


class Fault(Exception):
    """A request that is refused before anybody's behaviour matters."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.message, self.field = status, message, field


@frozen
class _Recipient:
    address: str
    arguments: Mapping[str, str]


@frozen
class _Mail:
    recipients: tuple[_Recipient, ...]
    subject: str
    text: str
    html: str | None
    sandbox: bool


@define
class SendGridInterface:
    """One SendGrid account."""

    _api_key: str = field(repr=False)
    _inbox: Inbox
    _tally: Tally
    _choice: Choice
    _reports: SendGridReports
    _clock: Callable[[], datetime]
    _pause: float

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        return [web.post("/v3/mail/send", self.send)]

    async def send(self, request: web.Request) -> web.StreamResponse:
        """Accept or refuse a message, as its first odd recipient says."""
        self._tally.requests_total += 1
        try:
            self._authenticate(request)
            mail = _mail_of(await request.read())
        except Fault as fault:
            self._tally.refused_total += 1
            return self._refusal(fault)
        behaviours = [self._choice.of(recipient.address) for recipient in mail.recipients]
        behaviour = _foremost(behaviours)
        if not behaviour.taken:
            self._tally.refused_total += 1
            self._keep(mail, answer=f"http_{behaviour.status}" if behaviour.status else "reset")
            return self._refuse(request, behaviour)
        message_id = secrets.token_urlsafe(16)
        self._accept(mail, behaviours, message_id)
        answer = web.Response(status=200 if mail.sandbox else 202, headers={**self._rate(), "X-Message-Id": message_id})
        return await perform(behaviour.act, request, answer, pause=self._pause)

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").encode()
        if not secrets.compare_digest(given, f"Bearer {self._api_key}".encode()):
            raise Fault(401, "The provided authorization grant is invalid, expired, or revoked")

    def _accept(self, mail: _Mail, behaviours: Sequence[Behaviour], message_id: str) -> None:
        self._tally.accepted_total += 1
        numbers = self._keep(mail, answer="accepted")
        if mail.sandbox:
            return
        for recipient, behaviour, number in zip(mail.recipients, behaviours, numbers, strict=True):
            self._reports.about(
                Sent(
                    number=number,
                    address=recipient.address,
                    message_id=message_id,
                    arguments=recipient.arguments,
                    reports=behaviour.reports,
                )
            )

    def _keep(self, mail: _Mail, *, answer: str) -> list[int]:
        return [
            self._inbox.put(
                Delivered(
                    at=self._clock(),
                    provider="sendgrid",
                    channel=EMAIL,
                    to=recipient.address,
                    subject=mail.subject,
                    text=mail.text,
                    html=mail.html,
                    answer=answer,
                    attempt_id=recipient.arguments.get("attempt_id"),
                )
            )
            for recipient in mail.recipients
        ]

    def _refuse(self, request: web.Request, behaviour: Behaviour) -> web.Response:
        if behaviour.status is None:
            reset(request)
            return web.Response()
        if behaviour.status in (418, 502, 504):
            return strange_page(behaviour.status)
        phrase = HTTPStatus(behaviour.status).phrase.lower()
        refusal = self._refusal(Fault(behaviour.status, phrase, behaviour.field))
        if behaviour.status == 429:
            del refusal.headers["X-RateLimit-Reset"]
        if behaviour.wait is not None:
            refusal.headers["X-RateLimit-Reset"] = str(int(self._clock().timestamp()) + behaviour.wait)
            refusal.headers["Retry-After"] = str(behaviour.wait)
        return refusal

    def _refusal(self, fault: Fault) -> web.Response:
        errors = {"errors": [{"message": fault.message, "field": fault.field, "help": None}]}
        return web.json_response(errors, status=fault.status, headers=self._rate())

    def _rate(self) -> dict[str, str]:
        """The headers of every answer."""
        now = self._clock()
        return {
            "X-RateLimit-Limit": str(_RATE),
            "X-RateLimit-Remaining": str(_RATE - 1),
            "X-RateLimit-Reset": str(int(now.timestamp()) // 60 * 60 + 60),
        }


def _foremost(behaviours: Sequence[Behaviour]) -> Behaviour:
    """What a request of several recipients meets: a refusal before an odd way to answer before acceptance."""
    refused = [behaviour for behaviour in behaviours if not behaviour.taken]
    odd = [behaviour for behaviour in behaviours if behaviour.act is not Act.ANSWER]
    return next(iter([*refused, *odd]), ACCEPTED)


def _mail_of(body: bytes) -> _Mail:
    """The request, read about as strictly as SendGrid does. Raises Fault."""
    try:
        return _read(json.loads(body))
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise Fault(400, "Bad Request") from None


def _read(document: Any) -> _Mail:
    """Raises Fault for what SendGrid names, and whatever odd JSON brings about for the rest."""
    content = _content(document.get("content"))
    _address(document.get("from"), "from.email")
    subject = document.get("subject")
    if not isinstance(subject, str) or not subject:
        raise Fault(400, "The subject is required.", "subject")
    settings = document.get("mail_settings", {})
    return _Mail(
        recipients=_recipients(document.get("personalizations")),
        subject=subject,
        text=content.get("text/plain", ""),
        html=content.get("text/html"),
        sandbox=settings.get("sandbox_mode", {}).get("enable") is True,
    )


def _recipients(personalizations: Any) -> tuple[_Recipient, ...]:
    if not isinstance(personalizations, list) or not 0 < len(personalizations) <= _MOST_PERSONALIZATIONS:
        raise Fault(400, "The personalizations field is required and must have at least one entry.", "personalizations")
    recipients = []
    for index, one in enumerate(personalizations):
        arguments = one.get("custom_args", {})
        if not all(isinstance(value, str) for value in arguments.values()):
            raise Fault(400, "The custom_args values must be strings.", f"personalizations.{index}.custom_args")
        for place, to in enumerate(one.get("to") or [None]):
            address = _address(to, f"personalizations.{index}.to.{place}.email")
            recipients.append(_Recipient(address, arguments))
    return tuple(recipients)


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
