"""The mailbox of this process."""

from collections.abc import Mapping

from fn_notifications.adapters.local.sender import LocalSender
from fn_notifications.application.ports.sending import Sender
from fn_notifications.domain.address import Channel
from fn_notifications.entrypoints.http.doors import Read
from fn_notifications.entrypoints.providers.context import Context


def sender(context: Context, channel: Channel) -> Sender:
    """Puts a channel's messages into the mailbox."""
    return LocalSender(context.mailbox, channel, context.clock)


def lookup(context: Context, channel: Channel) -> None:
    """Nobody to ask: every message is answered at once."""
    del context, channel


def doors(context: Context) -> Mapping[str, Read]:
    """None: what arrives here is delivered."""
    del context
    return {}
