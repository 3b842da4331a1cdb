"""What each of SendGrid's answers means. Data: the tables are the rule, and tested row by row.

Sources: SendGrid's v3 mail/send reference (statuses, `errors[].field`, rate-limit headers). A 503 says the API is not
available and proves a message unsent; other 5xx may come after it was queued.
"""

import json
import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from attrs import evolve

from fn_notifications.adapters.transport.http import Response
from fn_notifications.adapters.transport.pauses import asked_pause
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope

RESET: Final = "x-ratelimit-reset"

STATUSES: Final[Mapping[int, Outcome]] = MappingProxyType(
    {
        200: Outcome(kind=OutcomeKind.ACCEPTED, code="sandbox"),
        202: Outcome(kind=OutcomeKind.ACCEPTED),
        400: Outcome(kind=OutcomeKind.REFUSED, scope=Scope.CONTENT, code="http_400"),
        401: Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT, code="http_401"),
        403: Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT, code="http_403"),
        404: Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="http_404"),
        405: Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="http_405"),
        413: Outcome(kind=OutcomeKind.REFUSED, scope=Scope.CONTENT, code="http_413"),
        415: Outcome(kind=OutcomeKind.REFUSED, scope=Scope.CONTENT, code="http_415"),
        429: Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="rate_limited"),
        500: Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="http_500"),
        502: Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="http_502"),
        503: Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="unavailable"),
        504: Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="http_504"),
    }
)

CLASSES: Final[Mapping[int, Outcome]] = MappingProxyType(
    {
        2: Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE),
        3: Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE),
        4: Outcome(kind=OutcomeKind.REFUSED, scope=Scope.CONTENT),
        5: Outcome(kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE),
    }
)
"""Statuses nobody told us of, by their first digit. Never a success. A redirect comes from something that is not
SendGrid's API, so nothing was queued."""

FIELDS: Final[tuple[tuple[re.Pattern[str], Outcome], ...]] = (
    (
        re.compile(r"personalizations(\.\d+)?\.(to|cc|bcc)\b"),
        Outcome(kind=OutcomeKind.REFUSED, scope=Scope.RECIPIENT, code="invalid_recipient"),
    ),
    (
        re.compile(r"(from|reply_to)\b"),
        Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ACCOUNT, code="invalid_sender"),
    ),
)
"""What the first known `errors[].field` of a 400 says. A sender address is configuration: it would fail every message,
so the account stops and nothing is lost."""

ANOTHER_REFUSED: Final = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.BATCH, code="another_refused")
"""A request is refused as a whole: this message was not the one that the answer finds fault with."""
REFUSED_TOGETHER: Final = Outcome(kind=OutcomeKind.UNSENT, scope=Scope.BATCH, code="refused_together")
"""The answer does not say which message was at fault."""

_PERSONALIZATION: Final = re.compile(r"personalizations\.(\d{1,4})(?=\.|$)(\.(?:to|cc|bcc)\b)?")

BROKEN_CONTENT: Final = Outcome(kind=OutcomeKind.REFUSED, scope=Scope.CONTENT, code="key_in_content")
"""A text holds what looks like one of SendGrid's own API keys: it must not leave."""


def outcome_of(response: Response) -> Outcome:
    """The outcome of a whole answer."""
    status = response.status
    known = STATUSES.get(status)
    if known is None:
        return evolve(CLASSES.get(status // 100, CLASSES[5]), code=f"http_{status}")
    if status == 400:
        return _by_field(response.body) or known
    if known.kind is OutcomeKind.ACCEPTED:
        return evolve(known, provider_id=response.headers.get("x-message-id"))
    if known.kind is OutcomeKind.UNSENT:
        # Every answer names the limit's next reset; only one that was refused for the limit has to wait for it.
        return evolve(known, retry_after=asked_pause(response, reset=RESET if status == 429 else None))
    return known


def outcomes_of(response: Response, count: int) -> list[Outcome]:
    """What a whole answer says of each of the `count` messages in the request, in their order.

    All of them were accepted, under one id, to which we add the place; or none was.
    """
    one = outcome_of(response)
    if count == 1:
        return [one]
    if one.kind is OutcomeKind.ACCEPTED and one.provider_id:
        return [evolve(one, provider_id=f"{one.provider_id}#{place}") for place in range(count)]
    if one.kind is not OutcomeKind.REFUSED:
        return [one] * count
    named = _named(response.body, count)
    return [named.get(place, ANOTHER_REFUSED if named else REFUSED_TOGETHER) for place in range(count)]


def _named(body: bytes, count: int) -> dict[int, Outcome]:
    """The places of the messages that an answer finds fault with."""
    found = [match for name in _error_fields(body) if (match := _PERSONALIZATION.match(name))]
    return {int(match[1]): FIELDS[0][1] if match[2] else STATUSES[400] for match in found if int(match[1]) < count}


def _by_field(body: bytes) -> Outcome | None:
    for name in _error_fields(body):
        for pattern, outcome in FIELDS:
            if pattern.match(name):
                return outcome
    return None


def _error_fields(body: bytes) -> list[str]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return []
    errors = document.get("errors") if isinstance(document, dict) else None
    entries = errors if isinstance(errors, list) else []
    names = [entry.get("field") for entry in entries if isinstance(entry, dict)]
    return [name for name in names if isinstance(name, str)]
