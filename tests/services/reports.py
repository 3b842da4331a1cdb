"""Providers' reports, signed as they sign them, and the doors of the service they are posted to."""

import hmac
import json
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlencode

from attrs import field, frozen
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from fn_notifications.adapters.local.sender import LocalMailbox
from fn_notifications.adapters.transport.http import HttpTransport
from fn_notifications.application.inbox import Inbox
from fn_notifications.application.ports.receipts import Receipts
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.address import EMAIL, SMS, Channel
from fn_notifications.entrypoints.http.doors import Door
from fn_notifications.entrypoints.providers.context import Context
from fn_notifications.entrypoints.registry import provider
from fn_notifications.entrypoints.settings import load_settings

PUBLIC = "https://notifications.example.com"
TOKEN = "an-auth-token-of-the-tests"


@frozen(kw_only=True)
class Posted:
    """One request as a provider makes it. `url` is where the provider believes to post to."""

    path: str
    headers: Mapping[str, str]
    body: bytes


@frozen(kw_only=True)
class Told:
    """One thing to report: a word of the provider's own, about an attempt of ours."""

    word: str
    attempt_id: str
    key: str
    """Tells it from every other report of the same word."""
    to: str
    more: Mapping[str, str] = field(factory=dict)


class Webhook(Protocol):
    """How one provider reports."""

    name: str
    channel: Channel
    most: int
    """Reports in one request."""

    def post(self, told: Sequence[Told], *, at: datetime | None = None) -> Posted:
        """A signed request that reports these, signed at a time where the provider says one."""
        ...


@frozen(kw_only=True)
class SendGridWebhookPosts:
    """SendGrid: many events in one body, signed with the time."""

    name: str = "sendgrid"
    channel: Channel = EMAIL
    most: int = 500
    key: ec.EllipticCurvePrivateKey = field(factory=lambda: ec.generate_private_key(ec.SECP256R1()), repr=False)

    @property
    def public_key(self) -> str:
        """As SendGrid's settings show it."""
        der = self.key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        return b64encode(der).decode()

    def post(self, told: Sequence[Told], *, at: datetime | None = None) -> Posted:
        """See `Webhook`."""
        stamp = str(int((at or datetime.now(UTC)).timestamp()))
        body = json.dumps([self._event(one, stamp) for one in told]).encode() + b"\r\n"
        signature = self.key.sign(stamp.encode() + body, ec.ECDSA(SHA256()))
        headers = {
            "Content-Type": "application/json",
            "X-Twilio-Email-Event-Webhook-Timestamp": stamp,
            "X-Twilio-Email-Event-Webhook-Signature": b64encode(signature).decode(),
        }
        return Posted(path="/api/webhooks/sendgrid", headers=headers, body=body)

    def _event(self, one: Told, stamp: str) -> dict[str, Any]:
        return {
            "attempt_id": one.attempt_id,
            "email": one.to,
            "event": one.word,
            "sg_event_id": f"{one.word}-{one.key}",
            "sg_message_id": f"{one.attempt_id}.recvd-5f6d7c8b9-abcde-1-00000000-1.0",
            "timestamp": int(stamp),
            "response": "250 2.0.0 OK, as a mailbox of the usual length would say it",
            **one.more,
        }


@frozen(kw_only=True)
class TwilioWebhookPosts:
    """Twilio: one report in one form, signed with the URL."""

    name: str = "twilio"
    channel: Channel = SMS
    most: int = 1
    token: str = field(default=TOKEN, repr=False)
    public_url: str = PUBLIC

    def post(self, told: Sequence[Told], *, at: datetime | None = None) -> Posted:
        """See `Webhook`. Nothing in it says when."""
        del at
        (one,) = told
        path = f"/api/webhooks/twilio/status?{urlencode({'attempt': one.attempt_id})}"
        sid = f"SM{one.key}"
        form = {"MessageSid": sid, "SmsSid": sid, "MessageStatus": one.word, "To": one.to, "From": "+15005550006"}
        return self.signed(path, {**form, **one.more})

    def signed(self, path: str, form: Mapping[str, str]) -> Posted:
        """A form for a path, signed for the public URL."""
        text = self.public_url + path + "".join(name + form[name] for name in sorted(form))
        signature = b64encode(hmac.digest(self.token.encode(), text.encode(), sha1)).decode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "X-Twilio-Signature": signature}
        return Posted(path=path, headers=headers, body=urlencode(form).encode())


def doors(
    receipts: Receipts,
    telemetry: Telemetry,
    transport: HttpTransport,
    *,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    sendgrid_key: str = "",
    twilio_token: str = TOKEN,
    public_url: str = PUBLIC,
    names: Iterable[str] = ("sendgrid", "twilio"),
) -> list[Door]:
    """The service's own doors for these providers."""
    settings = load_settings(
        {
            "ENVIRONMENT": "test",
            "DATABASE_URL": "postgresql://db.example.com/n",
            "KAFKA_HOSTS": "kafka.example.com:9092",
            "SENDGRID_API_KEY": "a-key-of-the-tests",
            "SENDGRID_WEBHOOK_PUBLIC_KEY": sendgrid_key,
            "TWILIO_ACCOUNT_SID": "AC00000000000000000000000000000001",
            "TWILIO_AUTH_TOKEN": twilio_token,
            "RECIPIENT_ALLOWLIST": "example.com",
        },
        cwd=Path("/nonexistent"),
    )
    context = Context(settings=settings, transport=transport, mailbox=LocalMailbox(), telemetry=telemetry, clock=clock)
    inbox = Inbox(receipts)
    return [
        Door(
            provider=name,
            path=path,
            read=read,
            inbox=inbox,
            telemetry=telemetry,
            clock=clock,
            public_url=public_url,
        )
        for name in names
        for path, read in provider(name).doors(context).items()
    ]
