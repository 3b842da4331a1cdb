"""Twilio: SMS and WhatsApp."""

from collections.abc import Mapping, Sequence

from fn_notifications.adapters.twilio.lookup import TwilioLookup
from fn_notifications.adapters.twilio.sender import TwilioSender
from fn_notifications.adapters.twilio.settings import TwilioSettings
from fn_notifications.adapters.twilio.webhook import SIGNATURE_HEADER, TwilioWebhook
from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.ports.lookup import Lookup
from fn_notifications.application.ports.sending import Sender
from fn_notifications.domain.address import Channel
from fn_notifications.domain.receipts import Receipt
from fn_notifications.entrypoints.http.doors import Incoming, Read
from fn_notifications.entrypoints.providers.context import Context

STATUS = "/api/webhooks/twilio/status"
INBOUND = "/api/webhooks/twilio/inbound"


def sender(context: Context, channel: Channel) -> Sender:
    """The account's sender for one channel."""
    return TwilioSender(_settings(context, channel), channel, context.transport)


def lookup(context: Context, channel: Channel) -> Lookup:
    """The account, asked about one channel's messages."""
    return TwilioLookup(_settings(context, channel), context.transport)


def _settings(context: Context, channel: Channel) -> TwilioSettings:
    account = context.settings.twilio
    if account.account_sid is None or account.auth_token is None:
        raise Misconfigured("TWILIO_ACCOUNT_SID or TWILIO_AUTH_TOKEN is missing")
    return TwilioSettings(
        account_sid=account.account_sid.reveal(),
        auth_token=account.auth_token.reveal(),
        phone_number=account.phone_number,
        whatsapp_number=account.whatsapp_number,
        messaging_service_sid=account.messaging_service,
        status_callback_url=context.settings.http.public_url + STATUS,
        base_url=account.base_url,
        deadline=context.deadline(channel),
    )


def doors(context: Context) -> Mapping[str, Read]:
    """Status callbacks, and messages people send us (STOP, START)."""
    token = context.settings.twilio.auth_token
    if token is None:
        return {}
    webhook = TwilioWebhook.with_tokens([token.reveal()])

    def genuine(incoming: Incoming) -> bool:
        return webhook.verify(incoming.body, url=incoming.url, signature=incoming.headers.get(SIGNATURE_HEADER, ""))

    def status(incoming: Incoming) -> Sequence[Receipt] | None:
        if not genuine(incoming):
            return None
        return webhook.parse_status(incoming.body, url=incoming.url, now=incoming.now).receipts

    def inbound(incoming: Incoming) -> Sequence[Receipt] | None:
        return webhook.parse_inbound(incoming.body, now=incoming.now).receipts if genuine(incoming) else None

    return {STATUS: status, INBOUND: inbound}
