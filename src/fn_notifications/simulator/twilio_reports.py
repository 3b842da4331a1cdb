"""Twilio's status callbacks and inbound messages: signed, and repeated once when nobody answers."""

import hmac
import secrets
from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from email.utils import format_datetime
from hashlib import sha1
from typing import Any, Final
from urllib.parse import urlencode

from attrs import define, field, frozen

from fn_notifications.simulator.inbox import Inbox, Tally
from fn_notifications.simulator.poster import Poster

USUAL: Final = ("sent", "delivered")
_TRIES: Final = 2
"""Twilio's default for a callback nobody answers; what an answer says is not repeated."""


@frozen(kw_only=True)
class Sent:
    """A message to report on. Its resource changes as the reports go out."""

    number: int
    """Its place in the inbox."""
    resource: dict[str, Any] = field(repr=False)
    url: str | None
    reports: Sequence[str] | None


@define
class TwilioReports:
    """Posts to the callback each message names, one report after the other."""

    _account_sid: str
    _auth_token: str = field(repr=False)
    _inbox: Inbox
    _tally: Tally
    _poster: Poster
    _clock: Callable[[], datetime]

    def about(self, sent: Sent) -> None:
        """Have the reports that belong to a message posted."""
        self._poster.start(self._report(sent))

    async def text_in(self, url: str, *, sender: str, to: str, body: str) -> int | None:
        """Post what somebody texts to `to`; the status of the answer."""
        sid = f"SM{secrets.token_hex(16)}"
        form = {
            **dict.fromkeys(("MessageSid", "SmsMessageSid", "SmsSid"), sid),
            "AccountSid": self._account_sid,
            "ApiVersion": "2010-04-01",
            "Body": body,
            "From": sender,
            "NumMedia": "0",
            "NumSegments": "1",
            "SmsStatus": "received",
            "To": to,
        }
        return await self._post(url, form)

    async def _report(self, sent: Sent) -> None:
        for report in USUAL if sent.reports is None else sent.reports:
            status, _, code = report.partition(":")
            sent.resource.update(status=status, error_code=int(code) if code else None)
            if status == "sent":
                sent.resource.update(date_sent=format_datetime(self._clock()))
            self._inbox.report(sent.number, status)
            if sent.url is None:
                continue
            taken = await self._post(sent.url, self._form(sent.resource, status, code))
            if taken is not None and taken // 100 == 2:
                self._tally.reports_total += 1
            else:
                self._tally.reports_lost_total += 1

    def _form(self, resource: Mapping[str, Any], status: str, code: str) -> dict[str, str]:
        sid = resource["sid"]
        form = {
            "AccountSid": self._account_sid,
            "ApiVersion": "2010-04-01",
            "From": resource["from"] or "+15005550006",
            "MessageSid": sid,
            "MessageStatus": status,
            "SmsSid": sid,
            "SmsStatus": status,
            "To": resource["to"],
        }
        if resource["messaging_service_sid"]:
            form["MessagingServiceSid"] = resource["messaging_service_sid"]
        return {**form, "ErrorCode": code} if code else form

    async def _post(self, url: str, form: Mapping[str, str]) -> int | None:
        signed = url.partition("#")[0] + "".join(name + form[name] for name in sorted(form))
        headers = {
            "Content-Type": "application/x-www-form-urlencoded; charset=UTF-8",
            "User-Agent": "TwilioProxy/1.1",
            "I-Twilio-Idempotency-Token": secrets.token_hex(16),
            "X-Twilio-Signature": b64encode(hmac.digest(self._auth_token.encode(), signed.encode(), sha1)).decode(),
        }
        for _ in range(_TRIES):
            status = await self._poster.post(url, urlencode(form).encode(), headers)
            if status is not None:
                return status
        return None
