"""SMS and WhatsApp through Twilio's Messages. The SDK makes the request; the bytes leave by our own transport."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn
from urllib.parse import urlencode, urlsplit, urlunsplit

from attrs import frozen
from twilio.base.domain import Domain
from twilio.rest import Client
from twilio.rest.api.v2010 import V2010
from twilio.rest.api.v2010.account.message import MessageList

from fn_notifications.adapters.transport.calls import call_each, outcome_of_failure
from fn_notifications.adapters.transport.http import CallFailed, HttpTransport, Response
from fn_notifications.adapters.twilio.answers import outcome_of
from fn_notifications.adapters.twilio.settings import TwilioSettings
from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.ports.sending import Content, Message
from fn_notifications.domain.address import SMS, WHATSAPP, Channel
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope

ATTEMPT: Final = "attempt"
"""The query argument of the status callback that carries our id."""

UNENCODABLE: Final = Outcome(kind=OutcomeKind.REFUSED, scope=Scope.CONTENT, code="unencodable")
"""A text with half a surrogate pair cannot be put into a form."""

_NO_ENVIRONMENT: Final = {"TWILIO": "configured by settings alone"}
"""Not empty: for an empty mapping the SDK would read the process's environment (credentials, edge, region)."""


class _Answered(Exception):
    """An answer, on its way past the SDK: its own exception drops the headers, and it may choke on a body."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


@frozen
class _Exit:
    """The SDK's `http_client`: all it sends goes through here, and nothing it would make of the answer matters."""

    _transport: HttpTransport
    _deadline: float
    is_async: bool = True

    async def request(
        self,
        _method: str,
        url: str,
        *,
        data: Mapping[str, str],
        headers: Mapping[str, str],
        auth: tuple[str, str],
        **_: Any,
    ) -> NoReturn:
        credentials = b64encode(":".join(auth).encode()).decode()
        raise _Answered(
            await self._transport.post(
                url,
                headers={**headers, "Authorization": f"Basic {credentials}"},
                body=urlencode(data).encode(),
                within=self._deadline,
            )
        )


class TwilioSender:
    """One Twilio account carrying one channel."""

    def __init__(self, settings: TwilioSettings, channel: Channel, transport: HttpTransport) -> None:
        """Raises Misconfigured when the settings name nobody to send this channel's messages as."""
        self._settings = settings
        self._sender = _sender(settings, channel)
        self._prefix = "whatsapp:" if channel == WHATSAPP else ""
        client = Client(
            settings.account_sid,
            settings.auth_token,
            http_client=_Exit(transport, settings.deadline),
            environment=_NO_ENVIRONMENT,
        )
        self._messages = MessageList(V2010(Domain(client, settings.base_url)), settings.account_sid)

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `Sender.send`."""
        return await call_each(messages, self._send_one)

    async def _send_one(self, message: Message) -> Outcome:
        try:
            await self._messages.create_async(
                to=f"{self._prefix}{message.to.value}",
                status_callback=_callback(self._settings.status_callback_url, message.attempt_id),
                **self._sender,
                **(_templated(message.content) if self._prefix else {"body": message.content.text}),
            )
        except _Answered as answered:
            return outcome_of(answered.response)
        except CallFailed as failure:
            return outcome_of_failure(failure)
        except UnicodeEncodeError:
            return UNENCODABLE
        raise AssertionError("the SDK went on without an answer")


def _sender(settings: TwilioSettings, channel: Channel) -> Mapping[str, str]:
    if channel == WHATSAPP and settings.whatsapp_number is not None:
        return {"from_": f"whatsapp:{settings.whatsapp_number.value}"}
    if channel in (SMS, WHATSAPP) and settings.messaging_service_sid is not None:
        return {"messaging_service_sid": settings.messaging_service_sid}
    if channel == SMS and settings.phone_number is not None:
        return {"from_": settings.phone_number.value}
    raise Misconfigured(f"Twilio has no number and no messaging service to send {channel} from")


def _callback(url: str | None, attempt_id: str) -> str | None:
    """The status callback with our id in its query, before the connection overrides in its fragment if any."""
    if url is None:
        return None
    parts = urlsplit(url)
    query = "&".join(filter(None, [parts.query, urlencode({ATTEMPT: attempt_id})]))
    return urlunsplit(parts._replace(query=query))


def _templated(content: Content) -> Mapping[str, str]:
    """WhatsApp takes a template or a text, never both; free text only within 24 h of the person's last message."""
    if content.template_id is None:
        return {"body": content.text}
    variables = (
        {"content_variables": json.dumps(dict(content.template_variables))} if content.template_variables else {}
    )
    return {"content_sid": content.template_id, **variables}
