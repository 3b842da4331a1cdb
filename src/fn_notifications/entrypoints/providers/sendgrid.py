"""SendGrid: email."""

from collections.abc import Mapping, Sequence

from fn_notifications.adapters.sendgrid.sender import SendGridSender
from fn_notifications.adapters.sendgrid.settings import SendGridSettings
from fn_notifications.adapters.sendgrid.webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER, SendGridWebhook
from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.ports.sending import Sender
from fn_notifications.domain.address import Channel
from fn_notifications.domain.receipts import Receipt
from fn_notifications.entrypoints.http.doors import Incoming, Read
from fn_notifications.entrypoints.providers.context import Context

PATH = "/api/webhooks/sendgrid"
BATCH = 1000
"""How many messages its sender takes in one call."""


def sender(context: Context, channel: Channel) -> Sender:
    """The account's sender."""
    account, mail = context.settings.sendgrid, context.settings.mail
    if account.api_key is None:
        raise Misconfigured("SENDGRID_API_KEY is missing")
    settings = SendGridSettings(
        api_key=account.api_key.reveal(),
        from_email=mail.address,
        from_name=mail.name,
        reply_to=mail.reply_to,
        base_url=account.base_url,
        deadline=context.deadline(channel),
    )
    return SendGridSender(settings, context.transport)


def lookup(context: Context, channel: Channel) -> None:
    """Cannot be asked: the Email Activity API is an extra that few accounts have, and finds nothing by our id."""
    del context, channel


def doors(context: Context) -> Mapping[str, Read]:
    """The event webhook; shut while there is no key to verify it with."""
    key = context.settings.sendgrid.webhook_key
    if not key:
        return {}
    webhook = SendGridWebhook.with_keys([key])

    def read(incoming: Incoming) -> Sequence[Receipt] | None:
        signature = incoming.headers.get(SIGNATURE_HEADER, "")
        timestamp = incoming.headers.get(TIMESTAMP_HEADER, "")
        if not webhook.verify(incoming.body, signature=signature, timestamp=timestamp, now=incoming.now):
            return None
        return webhook.parse(incoming.body).receipts

    return {PATH: read}
