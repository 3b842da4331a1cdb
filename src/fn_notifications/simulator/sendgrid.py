"""SendGrid's `POST /v3/mail/send` as its callers see it."""

import secrets
from collections.abc import Callable, Sequence
from datetime import datetime
from http import HTTPStatus
from typing import Final

from aiohttp import web
from attrs import define, field

from fn_notifications.application.ports.sending import Delivered
from fn_notifications.domain.address import EMAIL
from fn_notifications.simulator.behaviour import ACCEPTED, Act, Behaviour, Choice
from fn_notifications.simulator.inbox import Inbox, Tally
from fn_notifications.simulator.sendgrid_mail import Fault, Mail, mail_of
from fn_notifications.simulator.sendgrid_reports import SendGridReports, Sent
from fn_notifications.simulator.wire import perform, reset, strange_page

_RATE: Final = 600
_FIRST: Final = "personalizations.0.to.0"


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
            mail = mail_of(await request.read())
        except Fault as fault:
            self._tally.refused_total += 1
            return self._refusal([fault])
        behaviours = [self._choice.of(recipient.address) for recipient in mail.recipients]
        behaviour = _foremost(behaviours)
        if not behaviour.taken:
            self._tally.refused_total += 1
            self._keep(mail, answer=f"http_{behaviour.status}" if behaviour.status else "reset")
            return self._refuse(request, behaviour, _faults(mail, behaviours, behaviour))
        message_id = secrets.token_urlsafe(16)
        self._accept(mail, behaviours, message_id)
        answer = web.Response(status=200 if mail.sandbox else 202, headers={**self._rate(), "X-Message-Id": message_id})
        return await perform(behaviour.act, request, answer, pause=self._pause)

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "").encode()
        if not secrets.compare_digest(given, f"Bearer {self._api_key}".encode()):
            raise Fault(401, "The provided authorization grant is invalid, expired, or revoked")

    def _accept(self, mail: Mail, behaviours: Sequence[Behaviour], message_id: str) -> None:
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

    def _keep(self, mail: Mail, *, answer: str) -> list[int]:
        return [
            self._inbox.put(
                Delivered(
                    at=self._clock(),
                    provider="sendgrid",
                    channel=EMAIL,
                    to=recipient.address,
                    subject=recipient.subject,
                    text=recipient.text,
                    html=recipient.html,
                    answer=answer,
                    attempt_id=recipient.arguments.get("attempt_id"),
                )
            )
            for recipient in mail.recipients
        ]

    def _refuse(self, request: web.Request, behaviour: Behaviour, faults: Sequence[Fault]) -> web.Response:
        if behaviour.status is None:
            reset(request)
            return web.Response()
        if behaviour.status in (418, 502, 504):
            return strange_page(behaviour.status)
        refusal = self._refusal(faults)
        if behaviour.status == 429:
            del refusal.headers["X-RateLimit-Reset"]
        if behaviour.wait is not None:
            refusal.headers["X-RateLimit-Reset"] = str(int(self._clock().timestamp()) + behaviour.wait)
            refusal.headers["Retry-After"] = str(behaviour.wait)
        return refusal

    def _refusal(self, faults: Sequence[Fault]) -> web.Response:
        errors = [{"message": fault.message, "field": fault.field, "help": None} for fault in faults]
        return web.json_response({"errors": errors}, status=faults[0].status, headers=self._rate())

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


def _faults(mail: Mail, behaviours: Sequence[Behaviour], met: Behaviour) -> list[Fault]:
    """What a refused request is told: one fault for each recipient it lies with, where it lies with recipients."""
    status = met.status or 0
    phrase = HTTPStatus(status).phrase.lower() if met.status else ""
    if met.field is None or not met.field.startswith(_FIRST):
        return [Fault(status, phrase, met.field)]
    return [
        Fault(status, phrase, recipient.place + met.field.removeprefix(_FIRST))
        for recipient, behaviour in zip(mail.recipients, behaviours, strict=True)
        if (behaviour.status, behaviour.field) == (met.status, met.field)
    ]
