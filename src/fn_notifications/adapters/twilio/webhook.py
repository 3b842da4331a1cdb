"""Twilio's webhooks: whether a request is theirs, what became of a message, and what people text back.

Signed are the public URL and the sorted form fields (HMAC-SHA1 with the account's auth token). Nothing in a request
says when it was signed: what stops a replay is `Receipt.key`, and a report's time is the time it came.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Final
from urllib.parse import parse_qs, parse_qsl, urlsplit

from attrs import evolve, frozen
from multidict import MultiDict
from twilio.request_validator import SIGNATURE_HEADER as _SIGNATURE_HEADER
from twilio.request_validator import RequestValidator

from fn_notifications.adapters.transport.reports import Reports
from fn_notifications.adapters.twilio.answers import CODES
from fn_notifications.adapters.twilio.sender import ATTEMPT
from fn_notifications.domain.address import SMS, WHATSAPP, Channel, PhoneNumber
from fn_notifications.domain.errors import InvalidValue
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.receipts import Receipt, ReceiptKind

SIGNATURE_HEADER: Final[str] = _SIGNATURE_HEADER

STATUSES: Final[Mapping[str, ReceiptKind]] = MappingProxyType(
    {
        "accepted": ReceiptKind.ACCEPTED,
        "scheduled": ReceiptKind.ACCEPTED,
        "queued": ReceiptKind.ACCEPTED,
        "sending": ReceiptKind.ACCEPTED,
        "sent": ReceiptKind.ACCEPTED,
        "partially_delivered": ReceiptKind.ACCEPTED,
        "delivered": ReceiptKind.DELIVERED,
        "read": ReceiptKind.OPENED,
        "undelivered": ReceiptKind.FAILED,
        "failed": ReceiptKind.FAILED,
        "canceled": ReceiptKind.FAILED,
    }
)
"""Every status of a message we sent. `sent` is the carrier's acceptance, not the handset's."""

NO_SUCH_NUMBER: Final = frozenset({21211, 21614, 30005})
"""Codes that say for good that nobody can be texted there: a hard bounce."""

STOP_WORDS: Final = frozenset({"STOP", "STOPALL", "UNSUBSCRIBE", "END", "QUIT", "REVOKE", "OPTOUT", "CANCEL"})
"""Twilio's own, and the per-se words of 47 CFR 64.1200(a)(10)."""
START_WORDS: Final = frozenset({"START", "YES", "UNSTOP"})

_OPT_OUT_TYPES: Final = MappingProxyType({"STOP": ReceiptKind.OPTED_OUT, "START": ReceiptKind.OPTED_IN, "HELP": None})
_MOST_FIELDS: Final = 100
_LONGEST_WORD: Final = 40


@frozen
class TwilioWebhook:
    """Reads what Twilio posts for one account."""

    _validators: tuple[RequestValidator, ...]
    _account: str = "twilio"

    @classmethod
    def with_tokens(cls, auth_tokens: Sequence[str], *, account: str = "twilio") -> "TwilioWebhook":
        """For the account's auth tokens, any of which may have signed: primary and secondary while rotating."""
        return cls(tuple(RequestValidator(token) for token in auth_tokens), account)

    def verify(self, body: bytes, *, url: str, signature: str) -> bool:
        """Whether Twilio signed this form for this URL: the public one, to the letter, with its query. Never raises."""
        try:
            form = MultiDict(_pairs(body))
            return any(validator.validate(url, form, signature) for validator in self._validators)
        except ValueError:
            return False

    def parse_status(self, body: bytes, *, url: str, now: datetime) -> Reports:
        """The report in a verified status callback; `now` is when it came. An opt-out is a second receipt."""
        form = dict(_pairs(body))
        kind, sid = STATUSES.get(form.get("MessageStatus", "")), _token(form.get("MessageSid"))
        if kind is None or sid is None:
            return Reports((), 1)
        channel, address = _party(form.get("To", ""))
        code = form.get("ErrorCode", "")
        number = int(code) if re.fullmatch(r"[0-9]{1,5}", code) else 0
        receipt = Receipt(
            provider=self._account,
            key=f"{sid}:{form['MessageStatus']}",
            kind=kind_of(kind, number),
            at=now,
            attempt_id=_token(parse_qs(urlsplit(url).query).get(ATTEMPT, [""])[0]),
            provider_id=sid,
            channel=channel,
            address=address,
            code=str(number) if number else None,
        )
        if receipt.kind is ReceiptKind.OPTED_OUT and address is not None:
            # By itself: what it says of the address must not wait until the attempt is known.
            return Reports((receipt, evolve(receipt, key=f"{receipt.key}#address", attempt_id=None)))
        return Reports((receipt,))

    def parse_inbound(self, body: bytes, *, now: datetime) -> Reports:
        """What a verified inbound message says of its sender's consent; `now` is when it came."""
        form = dict(_pairs(body))
        kind, sid = _consent(form), _token(form.get("MessageSid"))
        channel, address = _party(form.get("From", ""))
        if kind is None or sid is None or address is None:
            return Reports((), 1)
        receipt = Receipt(provider=self._account, key=sid, kind=kind, at=now, channel=channel, address=address)
        return Reports((receipt,))


def kind_of(kind: ReceiptKind, code: int) -> ReceiptKind:
    """What a status comes to with its error code: a failure may say that nobody can, or wants to, be texted there."""
    if kind is ReceiptKind.FAILED and code in NO_SUCH_NUMBER:
        return ReceiptKind.BOUNCED
    if kind is ReceiptKind.FAILED and code in CODES and CODES[code][0] is OutcomeKind.OPTED_OUT:
        return ReceiptKind.OPTED_OUT
    return kind


def _pairs(body: bytes) -> list[tuple[str, str]]:
    """The form's fields, empty ones too: they are signed. Raises ValueError when there are absurdly many."""
    return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)


def _consent(form: Mapping[str, str]) -> ReceiptKind | None:
    """Twilio's verdict when it gives one (Advanced Opt-Out), else the message's only word."""
    said = form.get("OptOutType", "").upper()
    if said in _OPT_OUT_TYPES:
        return _OPT_OUT_TYPES[said]
    body = form.get("Body", "")
    word = re.sub(r"[\s\-.,!'\"]", "", body).upper() if len(body) <= _LONGEST_WORD else ""
    if word in STOP_WORDS:
        return ReceiptKind.OPTED_OUT
    return ReceiptKind.OPTED_IN if word in START_WORDS else None


def _party(text: str) -> tuple[Channel, PhoneNumber | None]:
    channel = WHATSAPP if text.startswith("whatsapp:") else SMS
    try:
        return channel, PhoneNumber(text.removeprefix("whatsapp:"))
    except InvalidValue:
        return channel, None


def _token(text: str | None) -> str | None:
    return text if text and re.fullmatch(r"[A-Za-z0-9_-]{1,128}", text) else None
