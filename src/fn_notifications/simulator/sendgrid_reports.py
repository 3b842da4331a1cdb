"""SendGrid's Event Webhook: signed, in batches, repeated until somebody takes it."""

import asyncio
import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import uuid4

from attrs import define, field, frozen
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fn_notifications.simulator.inbox import Inbox, Tally
from fn_notifications.simulator.poster import Poster

USUAL: Final = ("processed", "delivered")
_LARGEST_BATCH: Final = 500
_GATHERING_SECONDS: Final = 0.02

_DETAILS: Final[Mapping[str, Mapping[str, Any]]] = MappingProxyType(
    {
        "delivered": {"event": "delivered", "response": "250 OK"},
        "deferred": {"event": "deferred", "response": "451 try again later", "attempt": "1"},
        "bounce": {
            "event": "bounce",
            "type": "bounce",
            "status": "5.1.1",
            "reason": "550 5.1.1 no such user here",
            "bounce_classification": "Invalid Address",
        },
        "blocked": {"event": "bounce", "type": "blocked", "status": "4.7.1", "reason": "421 4.7.1 try again later"},
        "dropped": {"event": "dropped", "reason": "Bounced Address", "status": "5.0.0"},
        "dropped_spam": {"event": "dropped", "reason": "Spam Reporting Address", "status": "5.0.0"},
        "dropped_unsubscribed": {"event": "dropped", "reason": "Unsubscribed Address", "status": "5.0.0"},
        "open": {"event": "open", "useragent": "Simulated", "ip": "192.0.2.1", "sg_machine_open": False},
        "click": {"event": "click", "useragent": "Simulated", "ip": "192.0.2.1", "url": "https://example.com/"},
    }
)
"""What an event has beside what all have. Any other report is an event of that name and nothing more."""


@frozen(kw_only=True)
class Sent:
    """A message to report on."""

    number: int
    """Its place in the inbox."""
    address: str = field(repr=False)
    message_id: str
    arguments: Mapping[str, str]
    reports: Sequence[str] | None


@define
class SendGridReports:
    """Posts events to the webhook, many at once. Posts may overtake each other, as the vendor's do."""

    _url: Callable[[], str | None]
    _inbox: Inbox
    _tally: Tally
    _poster: Poster
    _clock: Callable[[], datetime]
    _repeats: Sequence[float]
    """Seconds before each further try."""
    _key: ec.EllipticCurvePrivateKey = field(factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False)
    _waiting: list[tuple[int, dict[str, Any]]] = field(factory=list, init=False, repr=False)

    @property
    def public_key(self) -> str:
        """The verification key as SendGrid's settings show it: base64 of the DER form."""
        return b64encode(self._key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()

    def about(self, sent: Sent) -> None:
        """Have the reports that belong to a message posted, with whatever else is waiting then."""
        events = [(sent.number, self._event(sent, report)) for report in _reports_of(sent)]
        if not self._waiting and events:
            self._poster.start(self._flush())
        self._waiting.extend(events)

    async def _flush(self) -> None:
        await asyncio.sleep(_GATHERING_SECONDS)
        while self._waiting:
            batch, self._waiting = self._waiting[:_LARGEST_BATCH], self._waiting[_LARGEST_BATCH:]
            self._poster.start(self._post(batch))

    def _event(self, sent: Sent, report: str) -> dict[str, Any]:
        return {
            **sent.arguments,
            "email": sent.address,
            "timestamp": int(self._clock().timestamp()),
            "smtp-id": f"<{sent.message_id}@example.com>",
            "sg_event_id": urlsafe_b64encode(uuid4().bytes).decode().rstrip("="),
            "sg_message_id": f"{sent.message_id}.recvd-5f6d7c8b9-abcde-1-00000000-1.0",
            **_DETAILS.get(report, {"event": report}),
        }

    async def _post(self, batch: Sequence[tuple[int, Mapping[str, Any]]]) -> None:
        for number, event in batch:
            self._inbox.report(number, event["event"])
        url = self._url()
        if url is None:
            return
        body = json.dumps([event for _, event in batch]).encode() + b"\r\n"
        timestamp = str(int(self._clock().timestamp())).encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "SendGrid Event API",
            "X-Twilio-Email-Event-Webhook-Timestamp": timestamp.decode(),
            "X-Twilio-Email-Event-Webhook-Signature": b64encode(
                self._key.sign(timestamp + body, ec.ECDSA(SHA256()))
            ).decode(),
        }
        for pause in (0.0, *self._repeats):
            await asyncio.sleep(pause)
            status = await self._poster.post(url, body, headers)
            if status is not None and status // 100 == 2:
                self._tally.reports_total += len(batch)
                return
        self._tally.reports_lost_total += len(batch)


def _reports_of(sent: Sent) -> Sequence[str]:
    return USUAL if sent.reports is None else sent.reports
