"""Asking Twilio what became of messages: by their SID, or among all it took for that number on those days.

Sources: Twilio's Messages resource (docs/messaging/api/message-resource): GET Messages/{Sid}; GET Messages filtered by
`To` and `DateSent`, a day in UTC, in pages that name the next. A request changes nothing, so it may be made again.
"""

import asyncio
import json
from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlencode

from attrs import define, field, frozen

from fn_notifications.adapters.transport.http import CallFailed, HttpTransport
from fn_notifications.adapters.twilio.settings import TwilioSettings
from fn_notifications.adapters.twilio.webhook import STATUSES, kind_of
from fn_notifications.application.ports.lookup import NOTHING, UNANSWERED, Knowledge, Known, Question
from fn_notifications.domain.address import WHATSAPP
from fn_notifications.domain.receipts import EVIDENCE, ReceiptKind

_AT_ONCE: Final = 4
_PAGE: Final = 100
_PAGES: Final = 5
"""More than that many pages for one number and day are not read: who sends that much has other worries."""
_KEPT: Final = 4 * 1024 * 1024
"""A page of the longest messages, every character escaped."""


class _Unanswered(Exception):
    """Twilio did not say."""


@frozen
class TwilioLookup:
    """One Twilio account, asked. Its requests may take `settings.deadline` seconds each."""

    _settings: TwilioSettings
    _transport: HttpTransport

    async def ask(self, questions: Sequence[Question]) -> Sequence[Knowledge]:
        """See `Lookup.ask`. Once Twilio does not answer, the rest of the batch is not asked."""
        round_ = _Round(self._settings, self._transport)
        return await asyncio.gather(*[round_.answer(question) for question in questions])


@define
class _Round:
    _settings: TwilioSettings
    _transport: HttpTransport
    _slots: asyncio.Semaphore = field(factory=lambda: asyncio.Semaphore(_AT_ONCE), init=False)
    _shut: bool = field(default=False, init=False)

    async def answer(self, question: Question) -> Knowledge:
        async with self._slots:
            if self._shut:
                return UNANSWERED
            try:
                return await (self._fetched(question) if question.provider_id else self._found(question))
            except _Unanswered:
                self._shut = True
                return UNANSWERED

    async def _fetched(self, question: Question) -> Knowledge:
        sid = question.provider_id or ""
        message = await self._get(f"{self._messages}/{sid}.json") if sid.isalnum() else None
        return _knowledge(message) if message else NOTHING

    async def _found(self, question: Question) -> Knowledge:
        """The only message that fits, if there is one."""
        if not question.searchable:
            return NOTHING
        fitting = [one for day in _days(question) async for one in self._listed(question, day) if _fits(question, one)]
        return _knowledge(fitting[0]) if len({one["sid"] for one in fitting}) == 1 else NOTHING

    async def _listed(self, question: Question, day: str) -> Any:
        prefix = "whatsapp:" if question.channel == WHATSAPP else ""
        to = f"{prefix}{question.to.value if question.to else ''}"
        uri: Any = f"{self._messages}.json?{urlencode({'To': to, 'DateSent': day, 'PageSize': _PAGE})}"
        for _ in range(_PAGES):
            page = await self._get(uri)
            for message in (page or {}).get("messages") or ():
                if isinstance(message, dict):
                    yield message
            uri = (page or {}).get("next_page_uri")
            if uri is None:
                return
        raise _Unanswered

    @property
    def _messages(self) -> str:
        return f"/2010-04-01/Accounts/{self._settings.account_sid}/Messages"

    async def _get(self, uri: Any) -> Mapping[str, Any] | None:
        """What Twilio says there; None when there is no such thing. Never leaves the account's messages."""
        if not isinstance(uri, str) or not uri.startswith(self._messages):
            raise _Unanswered
        credentials = b64encode(f"{self._settings.account_sid}:{self._settings.auth_token}".encode()).decode()
        try:
            response = await self._transport.get(
                f"{self._settings.base_url}{uri}",
                headers={"Authorization": f"Basic {credentials}", "Accept": "application/json"},
                keep=_KEPT,
                within=self._settings.deadline,
            )
            document = json.loads(response.body) if response.status == 200 else None
        except (CallFailed, ValueError, RecursionError):
            raise _Unanswered from None
        if response.status not in (200, 404) or not isinstance(document, dict | None):
            raise _Unanswered
        return document


def _days(question: Question) -> Iterator[str]:
    """Every day, in UTC, that the message may have been taken on."""
    day = question.earliest.date()
    while day <= question.latest.date():
        yield day.isoformat()
        day += timedelta(days=1)


def _fits(question: Question, message: Mapping[str, Any]) -> bool:
    sid, to, body, direction = (message.get(name) for name in ("sid", "to", "body", "direction"))
    at = _instant(message.get("date_created"))
    if not (isinstance(sid, str) and isinstance(to, str) and isinstance(body, str) and isinstance(direction, str)):
        return False
    if at is None or not direction.startswith("outbound"):
        return False
    return question.may_be(provider_id=sid, to=to.removeprefix("whatsapp:"), text=body, at=at)


def _instant(value: Any) -> datetime | None:
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    return at if at.tzinfo else None


def _knowledge(message: Mapping[str, Any]) -> Knowledge:
    """A message resource, read by the tables that the status callbacks are read by."""
    sid, status, code = message.get("sid"), message.get("status"), message.get("error_code")
    kind = STATUSES.get(status) if isinstance(status, str) else None
    if kind is None or not isinstance(sid, str):
        return NOTHING
    number = code if isinstance(code, int) and 0 < code < 100_000 else 0
    kind = kind_of(kind, number)
    return Knowledge(
        known=Known.FOUND,
        evidence=EVIDENCE[kind],
        code=str(number) if number else None,
        provider_id=sid,
        opted_out=kind is ReceiptKind.OPTED_OUT,
    )
