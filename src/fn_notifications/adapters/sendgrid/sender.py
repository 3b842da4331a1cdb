"""Email through SendGrid's v3 mail/send."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import orjson
from attrs import frozen

from fn_notifications.adapters.sendgrid.answers import BROKEN_CONTENT, outcomes_of
from fn_notifications.adapters.sendgrid.mails import holds_key, request_of, shared
from fn_notifications.adapters.sendgrid.settings import SendGridSettings
from fn_notifications.adapters.transport.calls import call_each, outcome_of_failure
from fn_notifications.adapters.transport.http import CallFailed, HttpTransport
from fn_notifications.application.ports.sending import Message
from fn_notifications.domain.outcome import Outcome


@frozen
class SendGridSender:
    """One SendGrid account. Messages share a request where they can, and then its answer too."""

    _settings: SendGridSettings
    _transport: HttpTransport

    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        """See `Sender.send`."""
        if len(messages) == 1 and not holds_key(messages[0].content):
            return await self._call(messages)
        outcomes = dict.fromkeys(range(len(messages)), BROKEN_CONTENT)
        fit = [place for place, message in enumerate(messages) if not holds_key(message.content)]
        calls = [[fit[n] for n in call] for call in shared([messages[place] for place in fit], self._settings.batch)]
        answers = await call_each(calls, lambda places: self._call([messages[place] for place in places]))
        for places, answer in zip(calls, answers, strict=True):
            outcomes |= zip(places, answer, strict=True)
        return list(outcomes.values())

    async def _call(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        try:
            response = await self._transport.post(
                f"{self._settings.base_url}/v3/mail/send",
                headers={
                    "Authorization": f"Bearer {self._settings.api_key}",
                    "Content-Type": "application/json",
                },
                body=_encoded(request_of(self._settings, messages)),
                within=self._settings.deadline,
            )
        except CallFailed as failure:
            return [outcome_of_failure(failure)] * len(messages)
        return outcomes_of(response, len(messages))


def _encoded(request: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(request)
    except TypeError:  # half of a surrogate pair, which only an escape can write
        return json.dumps(request, separators=(",", ":")).encode()
