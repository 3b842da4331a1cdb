"""Twilio's Messages resource as its callers see it."""

import secrets
from base64 import b64encode
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qs, urlsplit

from aiohttp import web
from attrs import define, field

from fn_notifications.application.ports.sending import Delivered
from fn_notifications.domain.address import SMS, WHATSAPP
from fn_notifications.simulator.behaviour import Behaviour, Choice
from fn_notifications.simulator.inbox import Inbox, Tally
from fn_notifications.simulator.twilio_reports import Sent, TwilioReports
from fn_notifications.simulator.wire import perform, reset, strange_page

_LONGEST_BODY: Final = 1600
_KEPT: Final = 10_000
_MESSAGES: Final = "/2010-04-01/Accounts/{account}/Messages"

_SAYS: Final[Mapping[int, str]] = {
    20003: "Authenticate",
    20404: "The requested resource was not found",
    20429: "Too Many Requests",
    20500: "Internal Server Error",
    21211: "Invalid 'To' Phone Number",
    21408: "Permission to send an SMS has not been enabled for the region indicated by the 'To' number",
    21602: "Message body is required.",
    21603: "A 'From' phone number is required.",
    21604: "A 'To' phone number is required.",
    21606: "The 'From' phone number provided is not a valid, message-capable number for this account.",
    21610: "Attempt to send to unsubscribed recipient",
    21611: "This 'From' number has exceeded the maximum number of queued messages",
    21612: "The 'To' phone number is not currently reachable using the 'From' phone number",
    21614: "'To' number is not a valid mobile number",
    21617: "The concatenated message body exceeds the 1600 character limit",
}


class Fault(Exception):
    """A request that is refused before the address's behaviour matters."""

    def __init__(self, code: int, status: int = 400) -> None:
        super().__init__(str(code))
        self.code, self.status = code, status


@define
class TwilioInterface:
    """One Twilio account."""

    _account_sid: str
    _auth_token: str = field(repr=False)
    _inbox: Inbox
    _tally: Tally
    _choice: Choice
    _reports: TwilioReports
    _clock: Callable[[], datetime]
    _pause: float
    _resources: OrderedDict[str, dict[str, Any]] = field(factory=OrderedDict, init=False, repr=False)

    def routes(self) -> list[web.RouteDef]:
        """What it serves."""
        return [
            web.post(f"{_MESSAGES}.json", self.create),
            web.get(f"{_MESSAGES}.json", self.list),
            web.get(f"{_MESSAGES}/{{sid}}.json", self.fetch),
        ]

    async def create(self, request: web.Request) -> web.StreamResponse:
        """Accept or refuse a message, as the number says."""
        self._tally.requests_total += 1
        form = {name: str(value) for name, value in (await request.post()).items()}
        try:
            self._authenticate(request)
            _check(form)
        except Fault as fault:
            self._tally.refused_total += 1
            return _refusal(fault.status, fault.code)
        behaviour = self._choice.of(form["To"].removeprefix("whatsapp:"))
        if not behaviour.taken:
            self._tally.refused_total += 1
            self._keep(form, answer=str(behaviour.code or behaviour.status or "reset"))
            return _refuse(request, behaviour)
        resource = self._accept(form, behaviour)
        answer = web.json_response(resource, status=201, headers=_headers())
        return await perform(behaviour.act, request, answer, pause=self._pause)

    async def list(self, request: web.Request) -> web.Response:
        """Messages newest first, filtered by To, From and DateSent (YYYY-MM-DD, UTC), in pages that name the next."""
        try:
            self._authenticate(request)
        except Fault as fault:
            return _refusal(fault.status, fault.code)
        query = request.query
        size, page = min(_number(query.get("PageSize"), 50), 1000), _number(query.get("Page"), 0)
        found = [
            resource
            for resource in reversed(self._resources.values())
            if query.get("To", resource["to"]) == resource["to"]
            and query.get("From", resource["from"]) == resource["from"]
            and query.get("DateSent", resource["_date"]) == resource["_date"]
        ]
        shown = found[page * size : (page + 1) * size]
        more = request.rel_url.update_query(Page=page + 1, PageToken="PA0") if found[(page + 1) * size :] else None
        document = {
            "messages": [_public(one) for one in shown],
            "page": page,
            "page_size": size,
            "start": page * size,
            "end": page * size + max(len(shown) - 1, 0),
            "uri": request.path_qs,
            "next_page_uri": str(more) if more else None,
        }
        return web.json_response(document, headers=_headers())

    async def fetch(self, request: web.Request) -> web.Response:
        """One message by its SID."""
        try:
            self._authenticate(request)
        except Fault as fault:
            return _refusal(fault.status, fault.code)
        resource = self._resources.get(request.match_info["sid"])
        return _refusal(404, 20404) if resource is None else web.json_response(_public(resource), headers=_headers())

    def _authenticate(self, request: web.Request) -> None:
        given = request.headers.get("Authorization", "")
        expected = b64encode(f"{self._account_sid}:{self._auth_token}".encode()).decode()
        if not secrets.compare_digest(given.encode(), f"Basic {expected}".encode()):
            raise Fault(20003, 401)
        if request.match_info["account"] != self._account_sid:
            raise Fault(20404, 404)

    def _accept(self, form: Mapping[str, str], behaviour: Behaviour) -> dict[str, Any]:
        self._tally.accepted_total += 1
        resource = self._resource(form)
        self._resources[resource["sid"]] = resource
        if len(self._resources) > _KEPT:
            self._resources.popitem(last=False)
        number = self._keep(form, answer="accepted")
        self._reports.about(
            Sent(number=number, resource=resource, url=form.get("StatusCallback"), reports=behaviour.reports)
        )
        return _public(resource)

    def _keep(self, form: Mapping[str, str], *, answer: str) -> int:
        to = form["To"]
        attempts = parse_qs(urlsplit(form.get("StatusCallback", "")).query).get("attempt", [])
        return self._inbox.put(
            Delivered(
                at=self._clock(),
                provider="twilio",
                channel=WHATSAPP if to.startswith("whatsapp:") else SMS,
                to=to.removeprefix("whatsapp:"),
                subject=None,
                text=form.get("Body") or f"{form['ContentSid']} {form.get('ContentVariables', '')}".rstrip(),
                answer=answer,
                attempt_id=next(iter(attempts), None),
            )
        )

    def _resource(self, form: Mapping[str, str]) -> dict[str, Any]:
        sid = f"SM{secrets.token_hex(16)}"
        now = self._clock()
        service = form.get("MessagingServiceSid")
        uri = f"/2010-04-01/Accounts/{self._account_sid}/Messages/{sid}"
        return {
            "sid": sid,
            "account_sid": self._account_sid,
            "api_version": "2010-04-01",
            "body": form.get("Body", ""),
            "date_created": format_datetime(now),
            "date_updated": format_datetime(now),
            "date_sent": None,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": form.get("From"),
            "messaging_service_sid": service,
            "num_media": "0",
            "num_segments": "1",
            "price": None,
            "price_unit": "USD",
            "status": "accepted" if service else "queued",
            "to": form["To"],
            "uri": f"{uri}.json",
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "_date": now.date().isoformat(),
        }


def _number(text: str | None, default: int) -> int:
    return int(text) if text and text.isdecimal() else default


def _check(form: Mapping[str, str]) -> None:
    """The checks Twilio makes of any message. Raises Fault."""
    body = form.get("Body", "")
    for code, wrong in (
        (21604, not form.get("To")),
        (21603, not (form.get("From") or form.get("MessagingServiceSid"))),
        (21602, not (body or form.get("ContentSid"))),
        (21617, len(body) > _LONGEST_BODY),
    ):
        if wrong:
            raise Fault(code)


def _refuse(request: web.Request, behaviour: Behaviour) -> web.Response:
    if behaviour.status is None:
        reset(request)
        return web.Response()
    if behaviour.code is None and behaviour.status != 503:
        return strange_page(behaviour.status)
    refusal = _refusal(behaviour.status, behaviour.code or behaviour.status)
    if behaviour.wait is not None:
        refusal.headers["Retry-After"] = str(behaviour.wait)
    return refusal


def _refusal(status: int, code: int) -> web.Response:
    body = {
        "code": code,
        "message": _SAYS.get(code, "Service is unavailable. Please try again."),
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": status,
    }
    return web.json_response(body, status=status, headers=_headers())


def _headers() -> dict[str, str]:
    return {
        "Twilio-Request-Id": f"RQ{secrets.token_hex(16)}",
        "Twilio-Concurrent-Requests": "1",
        "X-Home-Region": "us1",
        "X-Api-Domain": "api.twilio.com",
    }


def _public(resource: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in resource.items() if not name.startswith("_")}
