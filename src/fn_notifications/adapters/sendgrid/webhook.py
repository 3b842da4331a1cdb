"""SendGrid's Event Webhook: whether a request is theirs, and what it reports.

Signed is the timestamp and the raw body (ECDSA, SHA-256). Retries go on for 24 h and may carry the first signature,
hence the wide age limit; what stops a replay is `Receipt.key` (`sg_event_id`).
"""

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve, frozen
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from sendgrid.helpers.eventwebhook import EventWebhook, EventWebhookHeader

from fn_notifications.adapters.transport.reports import Reports
from fn_notifications.application.errors import Misconfigured
from fn_notifications.domain.address import EMAIL, EmailAddress
from fn_notifications.domain.errors import InvalidValue
from fn_notifications.domain.receipts import Receipt, ReceiptKind

SIGNATURE_HEADER: Final[str] = EventWebhookHeader.SIGNATURE
TIMESTAMP_HEADER: Final[str] = EventWebhookHeader.TIMESTAMP
MAX_AGE: Final = timedelta(hours=25)
CLOCK_SKEW: Final = timedelta(minutes=5)

KINDS: Final[Mapping[str, ReceiptKind]] = MappingProxyType(
    {
        "processed": ReceiptKind.ACCEPTED,
        "deferred": ReceiptKind.DEFERRED,
        "delivered": ReceiptKind.DELIVERED,
        "bounce": ReceiptKind.BOUNCED,
        "dropped": ReceiptKind.DROPPED,
        "open": ReceiptKind.OPENED,
        "click": ReceiptKind.CLICKED,
        "spamreport": ReceiptKind.COMPLAINED,
        "unsubscribe": ReceiptKind.UNSUBSCRIBED,
        "group_unsubscribe": ReceiptKind.UNSUBSCRIBED,
    }
)
"""Every event that says something of a message or its recipient. A resubscription is none: only START lifts a
suppression, and email has no START. Account events are none either."""

DROPS: Final[Mapping[str, tuple[str, ReceiptKind | None]]] = MappingProxyType(
    {
        "bounced address": ("bounced_address", ReceiptKind.BOUNCED),
        "spam reporting address": ("spam_reporting_address", ReceiptKind.COMPLAINED),
        "unsubscribed address": ("unsubscribed_address", ReceiptKind.UNSUBSCRIBED),
        "invalid": ("invalid_address", None),
        "spam content": ("spam_content", None),
        "invalid smtpapi header": ("invalid_header", None),
        "recipient list over package quota": ("over_quota", None),
    }
)
"""Why SendGrid dropped what it had answered 202 to: our code, and what it says of the address beside that."""

_ID_TAIL: Final = re.compile(r"\.(filter|recvd).*", re.DOTALL)
"""What `sg_message_id` adds to the `X-Message-Id` that answered the request."""


@frozen
class SendGridWebhook:
    """Reads what SendGrid posts for one account."""

    _verifiers: tuple[EventWebhook, ...]
    _account: str = "sendgrid"

    @classmethod
    def with_keys(cls, public_keys: Sequence[str], *, account: str = "sendgrid") -> "SendGridWebhook":
        """For the verification keys SendGrid shows (base64 DER), any of which may have signed: two while rotating.

        Raises Misconfigured when one is not an elliptic-curve public key.
        """
        return cls(tuple(_verifier(key) for key in public_keys), account)

    def verify(
        self, body: bytes, *, signature: str, timestamp: str, now: datetime, max_age: timedelta = MAX_AGE
    ) -> bool:
        """Whether SendGrid signed exactly these bytes, no longer than `max_age` before `now`. Never raises."""
        if not (timestamp.isascii() and timestamp.isdecimal() and len(timestamp) <= 10):
            return False
        age = now - datetime.fromtimestamp(int(timestamp), UTC)
        if not -CLOCK_SKEW <= age <= max_age:
            return False
        try:
            text = body.decode()
            return any(verifier.verify_signature(text, signature, timestamp) for verifier in self._verifiers)
        except ValueError:
            return False

    def parse(self, body: bytes) -> Reports:
        """The receipts in a verified body, in its order. An entry that cannot be one is skipped and counted."""
        try:
            entries = json.loads(body)
        except (ValueError, RecursionError):
            return Reports((), 1)
        if not isinstance(entries, list):
            return Reports((), 1)
        read = [tuple(self._receipts(entry)) for entry in entries]
        return Reports(tuple(receipt for receipts in read for receipt in receipts), sum(not one for one in read))

    def _receipts(self, entry: Any) -> Iterator[Receipt]:
        try:
            receipt = self._receipt(entry)
        except (KeyError, TypeError, ValueError, OverflowError, OSError):
            return
        if receipt.kind is not ReceiptKind.DROPPED:
            yield receipt
            return
        code, about_address = DROPS.get(_token(entry.get("reason")), ("dropped", None))
        yield evolve(receipt, code=code)
        if about_address is not None and receipt.address is not None:
            # Said of the address, not of this attempt: a complaint about it would prove that it had arrived.
            key = f"{receipt.key}#address"
            yield evolve(receipt, kind=about_address, key=key, attempt_id=None, code=code, hard=True)

    def _receipt(self, entry: Any) -> Receipt:
        kind = KINDS[entry["event"]]
        return Receipt(
            provider=self._account,
            key=_text(entry["sg_event_id"]),
            kind=kind,
            at=datetime.fromtimestamp(int(entry["timestamp"]), UTC),
            attempt_id=_text(entry["attempt_id"]) if entry.get("attempt_id") else None,
            provider_id=_ID_TAIL.sub("", _text(entry["sg_message_id"])) if entry.get("sg_message_id") else None,
            channel=EMAIL,
            address=_address(entry.get("email")),
            code=_bounce_code(entry) if kind is ReceiptKind.BOUNCED else None,
            hard=entry.get("type") != "blocked",
        )


def _verifier(key: str) -> EventWebhook:
    try:
        verifier = EventWebhook(key)
    except (ValueError, UnsupportedAlgorithm):
        verifier = None
    if verifier is None or not isinstance(verifier.public_key, EllipticCurvePublicKey):
        raise Misconfigured("a SendGrid webhook key is the base64 text SendGrid shows as its verification key")
    return verifier


def _text(value: Any) -> str:
    """An id as it may be stored: short and without control characters (PostgreSQL takes no NUL)."""
    if not isinstance(value, str) or not value.isprintable() or not 0 < len(value) <= 255:
        raise TypeError
    return value


def _token(reason: Any) -> str:
    return reason.strip().lower() if isinstance(reason, str) else ""


def _bounce_code(entry: Mapping[str, Any]) -> str:
    """The enhanced status code (RFC 3463) when there is one: digits and dots, no free text."""
    status = entry.get("status")
    if isinstance(status, str) and re.fullmatch(r"[245]\.\d{1,3}\.\d{1,3}", status):
        return status
    return "blocked" if entry.get("type") == "blocked" else "bounced"


def _address(value: Any) -> EmailAddress | None:
    if not isinstance(value, str):
        return None
    local, _, domain = value.rpartition("@")
    try:
        return EmailAddress(f"{local}@{domain.lower()}")
    except InvalidValue:
        return None
