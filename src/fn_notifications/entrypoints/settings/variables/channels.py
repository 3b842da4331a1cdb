"""Channels, who carries them, how much at once, and when to stop asking."""

from typing import Final

from attrs import frozen

from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Channel
from fn_notifications.entrypoints.settings.adapters import SPELLINGS
from fn_notifications.entrypoints.settings.kinds import (
    Kind,
    listing,
    matching,
    milliseconds,
    number,
    one_of,
    secret,
    text,
    token,
    whole,
)
from fn_notifications.entrypoints.settings.locators import base_url, email, phone, recipient, whatsapp
from fn_notifications.entrypoints.settings.variable import Section, Variable, optional, setting

_FAILURES: Final = whole(1, 10_000)
_WINDOW: Final = milliseconds(100, 86_400_000)
_DEADLINE: Final = milliseconds(100, 600_000)
_RATE: Final = number(0.01, 100_000)
_SID: Final = matching(r"[A-Za-z0-9_-]{1,64}", "letters and digits, as Twilio's console shows it")
_WORD: Final = matching(r"[a-z][a-z0-9._-]{0,62}", "the name of an adapter")
_ADAPTER: Final = listing(Kind(_WORD.expected, lambda name: _WORD.read(SPELLINGS.get(name.lower(), name.lower()))))


@frozen(kw_only=True)
class ChannelVariables:
    """What may be said about one channel. `None` in a circuit's value means the general one."""

    adapter: Variable[tuple[str, ...] | None]
    concurrency: Variable[int]
    deadline: Variable[float]
    rate: Variable[float | None]
    threshold: Variable[int | None]
    window: Variable[float | None]
    reset: Variable[float | None]


def _channel(channel: Channel, adapters: str, inferred: str, concurrency: str, deadline: str) -> ChannelVariables:
    prefix = channel.upper()
    slower = "" if channel == EMAIL else " where it is set, else {}"
    general = "the general one"
    return ChannelVariables(
        adapter=optional(
            f"{prefix}_ADAPTER",
            _ADAPTER,
            inferred,
            Section.CHANNELS,
            f"Who carries {channel}, in order of failover: {adapters}.",
            outside=True,
        ),
        concurrency=setting(
            f"{prefix}_POOL_MAX_CONCURRENCY",
            whole(1, 10_000),
            concurrency,
            Section.LANES,
            f"Calls for {channel} in flight at once, by each provider.",
        ),
        deadline=setting(
            f"{prefix}_POOL_TIMEOUT_MS",
            _DEADLINE,
            deadline,
            Section.LANES,
            f"How long one call for {channel} may take altogether.",
        ),
        rate=optional(
            f"{prefix}_RATE",
            _RATE,
            "as many as there are",
            Section.LANES,
            f"Messages by {channel} a second by each provider, in all processes together.",
        ),
        threshold=optional(
            f"{prefix}_CIRCUIT_BREAKER_FAILURE_THRESHOLD",
            _FAILURES,
            general + slower.format("3"),
            Section.LANES,
            f"CIRCUIT_BREAKER_FAILURE_THRESHOLD for {channel}.",
        ),
        window=optional(
            f"{prefix}_CIRCUIT_BREAKER_TIMEOUT_MS",
            _WINDOW,
            general,
            Section.LANES,
            f"CIRCUIT_BREAKER_TIMEOUT_MS for {channel}.",
        ),
        reset=optional(
            f"{prefix}_CIRCUIT_BREAKER_RESET_TIMEOUT_MS",
            _WINDOW,
            general + slower.format("600000"),
            Section.LANES,
            f"CIRCUIT_BREAKER_RESET_TIMEOUT_MS for {channel}.",
        ),
    )


CIRCUIT_THRESHOLD: Final = setting(
    "CIRCUIT_BREAKER_FAILURE_THRESHOLD",
    _FAILURES,
    "5",
    Section.LANES,
    "That many failures without a success between them, inside the window, open a circuit.",
)
CIRCUIT_WINDOW: Final = setting(
    "CIRCUIT_BREAKER_TIMEOUT_MS", _WINDOW, "60000", Section.LANES, "The window failures are counted in."
)
CIRCUIT_RESET: Final = setting(
    "CIRCUIT_BREAKER_RESET_TIMEOUT_MS",
    _WINDOW,
    "300000",
    Section.LANES,
    "How long an open circuit lets nothing through before one probe.",
)
_TWILIO: Final = "twilio with Twilio's SID, token and {}, else the channel is off"
CHANNELS: Final[dict[Channel, ChannelVariables]] = {
    EMAIL: _channel(EMAIL, "sendgrid, local", "sendgrid with SENDGRID_API_KEY, else the channel is off", "10", "30000"),
    SMS: _channel(SMS, "twilio, local", _TWILIO.format("number or messaging service"), "5", "15000"),
    WHATSAPP: _channel(WHATSAPP, "twilio, local", _TWILIO.format("WhatsApp number"), "5", "15000"),
}
EMAIL_BATCH: Final = setting(
    "EMAIL_BATCH",
    whole(1, 1000),
    "10",
    Section.LANES,
    "How many emails share a call at most, where the provider takes several; a call without an answer leaves as many "
    "in doubt. The catalogue says less for single types.",
)

RECIPIENT_ALLOWLIST: Final = optional(
    "RECIPIENT_ALLOWLIST",
    listing(recipient),
    "everybody, in production; required elsewhere with a real provider",
    Section.CHANNELS,
    "The only people who may be written to: addresses, numbers, or whole domains.",
)
FROM_EMAIL: Final = optional(
    "FROM_EMAIL", email, "notifications@ the public host", Section.SENDERS, "The address mail comes from."
)
FROM_NAME: Final = optional("FROM_NAME", text, "the address alone", Section.SENDERS, "The name beside FROM_EMAIL.")
REPLY_TO_EMAIL: Final = optional("REPLY_TO_EMAIL", email, "FROM_EMAIL", Section.SENDERS, "Where answers go.")

SENDGRID_API_KEY: Final = optional(
    "SENDGRID_API_KEY", token, "no SendGrid", Section.SENDERS, "SendGrid's key.", secret=True, outside=True
)
SENDGRID_WEBHOOK_PUBLIC_KEY: Final = optional(
    "SENDGRID_WEBHOOK_PUBLIC_KEY",
    matching(r"[A-Za-z0-9+/=]{40,1000}", "the base64 text SendGrid shows as its verification key"),
    "SendGrid's webhook door stays shut",
    Section.SENDERS,
    "What SendGrid's reports are verified with.",
    outside=True,
)
SENDGRID_BASE_URL: Final = setting(
    "SENDGRID_BASE_URL",
    base_url,
    "https://api.sendgrid.com",
    Section.SENDERS,
    "Where SendGrid is; a simulator on this machine counts as no real provider.",
    outside=True,
)
TWILIO_ACCOUNT_SID: Final = optional(
    "TWILIO_ACCOUNT_SID",
    secret(_SID),
    "no Twilio",
    Section.SENDERS,
    "Twilio's account.",
    secret=True,
    outside=True,
)
TWILIO_AUTH_TOKEN: Final = optional(
    "TWILIO_AUTH_TOKEN",
    token,
    "no Twilio",
    Section.SENDERS,
    "Its token, which also verifies Twilio's webhooks.",
    secret=True,
    outside=True,
)
TWILIO_PHONE_NUMBER: Final = optional(
    "TWILIO_PHONE_NUMBER",
    phone,
    "TWILIO_MESSAGING_SERVICE_SID",
    Section.SENDERS,
    "The number SMS comes from.",
    outside=True,
)
TWILIO_MESSAGING_SERVICE_SID: Final = optional(
    "TWILIO_MESSAGING_SERVICE_SID",
    _SID,
    "TWILIO_PHONE_NUMBER",
    Section.SENDERS,
    "The messaging service SMS goes through.",
    outside=True,
)
TWILIO_WHATSAPP_NUMBER: Final = optional(
    "TWILIO_WHATSAPP_NUMBER",
    whatsapp,
    "WhatsApp is off",
    Section.SENDERS,
    "The number WhatsApp comes from.",
    outside=True,
)
TWILIO_BASE_URL: Final = setting(
    "TWILIO_BASE_URL",
    base_url,
    "https://api.twilio.com",
    Section.SENDERS,
    "Where Twilio is; a simulator on this machine counts as no real provider.",
    outside=True,
)
HTTP_CLIENT: Final = setting(
    "HTTP_CLIENT",
    one_of({name: name for name in ("aiohttp", "pyreqwest")}),
    "aiohttp",
    Section.SENDERS,
    "What providers are called with. pyreqwest costs a fraction of the CPU and needs the extra of its name.",
)
