"""The providers that faults are brought about with: each joins by one line in `PROVIDERS`."""

from collections.abc import Callable
from typing import Any

from attrs import evolve, frozen

from fn_notifications import EMAIL, SMS, InDoubt, NotificationType
from fn_notifications.adapters.sendgrid.sender import SendGridSender
from fn_notifications.adapters.sendgrid.settings import SendGridSettings
from fn_notifications.adapters.transport.http import HttpTransport
from fn_notifications.adapters.twilio.sender import TwilioSender
from fn_notifications.adapters.twilio.settings import TwilioSettings
from fn_notifications.application.ports.sending import Sender
from fn_notifications.domain.address import WHATSAPP, Address, Channel, EmailAddress, PhoneNumber
from fn_notifications.entrypoints.library import MemoryEngine
from fn_notifications.simulator.behaviour import EMAILS, PHONES
from fn_notifications.simulator.server import Simulator

OURS = PhoneNumber("+15005550006")
_NUMBERS = {
    "reject": "+15005550001",
    "21610": "+15005550004",
    "reported-21610": "+15005550710",
    "reported-63014": "+15005550714",
}
"""What only telephones do, or do under numbers of the vendor's own."""


@frozen(kw_only=True)
class Told:
    """What a sender is told beside its account."""

    base_url: str
    deadline: float
    callbacks: str | None


@frozen(kw_only=True)
class Provider:
    """One provider carrying one channel."""

    name: str
    channel: Channel
    taken: int
    """The status of its yes."""
    limit: bytes
    """Headers that ask for a pause of its own making, 30 s after a `Date` of their own; none where it has none."""
    unknown: bytes
    """The body of a refusal with a code nobody told us of, quoting what must not be kept."""
    make: Callable[["Provider", Simulator, HttpTransport, "Told"], Sender]
    address: Callable[[str], Address]
    """An address that makes the simulator do what the word says (see `simulator.behaviour`)."""

    def __str__(self) -> str:
        return f"{self.name}-{self.channel}"

    def sender(
        self,
        simulator: Simulator,
        transport: HttpTransport,
        *,
        base_url: str | None = None,
        deadline: float = 30.0,
        callbacks: str | None = None,
    ) -> Sender:
        """Its sender, talking to the simulator or to somebody else; `deadline` in seconds. Where each message says
        where to report, that is `callbacks`.
        """
        asked = Told(base_url=base_url or simulator.base_url, deadline=deadline, callbacks=callbacks)
        return self.make(self, simulator, transport, asked)

    def engine(self, sender: Sender, **more: Any) -> MemoryEngine:
        """An engine whose `note` and `again` go by this provider; `again` is sent anew when a doubt stays."""
        types = (
            NotificationType(name="note", channels=(self.channel,)),
            NotificationType(name="again", channels=(self.channel,), in_doubt=InDoubt.RESEND),
        )
        texts = {"subject": "A note", "text": "A note for you."}
        return MemoryEngine(
            types=(*types, *more.pop("types", ())),
            templates={"note": texts, "again": texts, **more.pop("templates", {})},
            senders={self.channel: sender, **more.pop("senders", {})},
            **more,
        )

    def person(self, word: str) -> dict[str, Any]:
        """The preferences of somebody at the address the word stands for."""
        field = "email" if self.channel == EMAIL else "phone"
        contact = {field: self.address(word).value}
        return {**contact, "channel_preferences": {self.channel: {"enabled": True, "opt_in": True}}}


def _sendgrid(_: Provider, simulator: Simulator, transport: HttpTransport, told: Told) -> Sender:
    return SendGridSender(
        SendGridSettings(
            api_key=simulator.sendgrid_api_key,
            from_email=EmailAddress("hello@example.com"),
            base_url=told.base_url,
            deadline=told.deadline,
        ),
        transport,
    )


def _twilio(one: Provider, simulator: Simulator, transport: HttpTransport, told: Told) -> Sender:
    settings = TwilioSettings(
        account_sid=simulator.twilio_account_sid,
        auth_token=simulator.twilio_auth_token,
        phone_number=OURS,
        whatsapp_number=OURS,
        status_callback_url=told.callbacks,
        base_url=told.base_url,
        deadline=told.deadline,
    )
    return TwilioSender(settings, one.channel, transport)


def _email(word: str) -> EmailAddress:
    return EmailAddress(f"{word}@example.com")


def _phone(word: str) -> PhoneNumber:
    """The number that does as the word's mailbox does: on the wire the simulator treats both alike."""
    plain = word.removesuffix("-once")
    if plain in _NUMBERS:
        return PhoneNumber(_NUMBERS[plain])
    meant = evolve(EMAILS[plain], once=plain != word) if plain in EMAILS else None
    return PhoneNumber(next((number for number, found in PHONES.items() if found == meant), "+15005550100"))


_SENDGRID = Provider(
    name="sendgrid",
    channel=EMAIL,
    taken=202,
    limit=b"Date: Sun, 22 Nov 2026 12:00:00 GMT\r\nX-RateLimit-Reset: 1795348830\r\n",
    unknown=b'{"errors": [{"message": "%s", "field": "a.new.field", "help": null}]}',
    make=_sendgrid,
    address=_email,
)
_TWILIO = Provider(
    name="twilio",
    channel=SMS,
    taken=201,
    limit=b"",
    unknown=b'{"code": 29999, "message": "%s", "status": 400}',
    make=_twilio,
    address=_phone,
)
PROVIDERS = (_SENDGRID, _TWILIO, evolve(_TWILIO, channel=WHATSAPP))
