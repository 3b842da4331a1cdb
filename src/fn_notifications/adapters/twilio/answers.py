"""What each of Twilio's answers means. Data: the tables are the rule, and tested row by row.

Sources: Twilio's error dictionary (docs/api/errors/<code>) for codes; 20429 "never processed and always safe to
retry", 20500 "possible to receive multiple messages". Configuration that would fail every message (our number, our
credentials), or every message to a country, is `UNSENT`: the account, route or country stops, somebody mends it, and
nothing is lost.
"""

import json
from collections.abc import Mapping
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

from attrs import evolve

from fn_notifications.adapters.transport.http import Response
from fn_notifications.adapters.transport.pauses import asked_pause
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope

_REFUSED, _UNSENT, _OPTED_OUT, _IN_DOUBT = (
    OutcomeKind.REFUSED,
    OutcomeKind.UNSENT,
    OutcomeKind.OPTED_OUT,
    OutcomeKind.IN_DOUBT,
)
_HOUR: Final = timedelta(hours=1)

CODES: Final[Mapping[int, tuple[OutcomeKind, Scope, timedelta | None]]] = MappingProxyType(
    {
        20003: (_UNSENT, Scope.ACCOUNT, None),  # authentication failed
        20429: (_UNSENT, Scope.ROUTE, None),  # over the account's concurrency
        20500: (_IN_DOUBT, Scope.ROUTE, None),  # server error
        21211: (_REFUSED, Scope.RECIPIENT, None),  # invalid To
        21408: (_UNSENT, Scope.DESTINATION, None),  # country not enabled
        21606: (_UNSENT, Scope.ROUTE, None),  # From cannot send this
        21610: (_OPTED_OUT, Scope.RECIPIENT, None),  # replied STOP
        21611: (_UNSENT, Scope.ROUTE, None),  # From's queue is more than 10 h long
        21612: (_REFUSED, Scope.RECIPIENT, None),  # no way from this From to this To
        21614: (_REFUSED, Scope.RECIPIENT, None),  # not a mobile number
        21617: (_REFUSED, Scope.CONTENT, None),  # more than 1,600 characters
        21654: (_REFUSED, Scope.CONTENT, None),  # ContentSid required
        21659: (_UNSENT, Scope.ROUTE, None),  # From is not ours
        30001: (_UNSENT, Scope.ROUTE, None),  # queue overflow
        30002: (_UNSENT, Scope.ACCOUNT, None),  # account suspended
        30003: (_UNSENT, Scope.RECIPIENT, None),  # handset unreachable
        30004: (_REFUSED, Scope.RECIPIENT, None),  # blocked: maybe an opt-out, never proved to be one
        30005: (_REFUSED, Scope.RECIPIENT, None),  # unknown handset
        30006: (_REFUSED, Scope.RECIPIENT, None),  # landline
        30007: (_REFUSED, Scope.CONTENT, None),  # filtered by the carrier
        30008: (_UNSENT, Scope.RECIPIENT, None),  # unknown carrier error
        30034: (_UNSENT, Scope.DESTINATION, None),  # unregistered US 10DLC number
        30036: (_UNSENT, Scope.ROUTE, None),  # validity period over
        30047: (_UNSENT, Scope.RECIPIENT, None),  # could not be rescheduled, neither queued nor sent
        30610: (_UNSENT, Scope.DESTINATION, _HOUR),  # outside the hours the law allows there
        63001: (_UNSENT, Scope.ROUTE, None),  # channel credentials
        63003: (_REFUSED, Scope.RECIPIENT, None),  # bad To on the channel
        63005: (_REFUSED, Scope.CONTENT, None),  # rejected by the channel
        63007: (_UNSENT, Scope.ROUTE, None),  # bad From on the channel
        63013: (_REFUSED, Scope.CONTENT, None),  # channel policy
        63014: (_OPTED_OUT, Scope.RECIPIENT, None),  # blocked by the user's own action
        63016: (_REFUSED, Scope.CONTENT, None),  # outside the 24 h window without a template
        63018: (_UNSENT, Scope.ROUTE, _HOUR),  # channel's rate limit
        63021: (_REFUSED, Scope.CONTENT, None),  # invalid template content
        63024: (_REFUSED, Scope.RECIPIENT, None),  # not on WhatsApp
        63032: (_REFUSED, Scope.RECIPIENT, None),  # in an experiment of Meta's
        63049: (_REFUSED, Scope.RECIPIENT, None),  # Meta chose not to deliver
        63119: (_UNSENT, Scope.ROUTE, _HOUR),  # Meta's rate limit
    }
)
"""What Twilio says in the `code` of a 4xx, and in reports as `ErrorCode`; the pause is for codes that name none."""

STATUSES: Final[Mapping[int, Outcome]] = MappingProxyType(
    {
        201: Outcome(kind=OutcomeKind.ACCEPTED),
        401: Outcome(kind=_UNSENT, scope=Scope.ACCOUNT, code="http_401"),
        403: Outcome(kind=_UNSENT, scope=Scope.ACCOUNT, code="http_403"),
        404: Outcome(kind=_UNSENT, scope=Scope.ACCOUNT, code="http_404"),
        405: Outcome(kind=_UNSENT, scope=Scope.ROUTE, code="http_405"),
        429: Outcome(kind=_UNSENT, scope=Scope.ROUTE, code="rate_limited"),
        503: Outcome(kind=_UNSENT, scope=Scope.ROUTE, code="unavailable"),
    }
)
"""Where the status alone speaks. 201 proves acceptance even when its body cannot be read: there is no id then.
404: the account is part of the path."""

CLASSES: Final[Mapping[int, Outcome]] = MappingProxyType(
    {
        2: Outcome(kind=_IN_DOUBT, scope=Scope.ROUTE),
        3: Outcome(kind=_UNSENT, scope=Scope.ROUTE),
        4: Outcome(kind=_REFUSED, scope=Scope.CONTENT),
        5: Outcome(kind=_IN_DOUBT, scope=Scope.ROUTE),
    }
)
"""Everything else, by the first digit of its status. Never a success."""


def outcome_of(response: Response) -> Outcome:
    """The outcome of a whole answer. A code is believed in a 4xx only: with a 5xx nothing about the message is sure."""
    document = _document(response.body)
    if response.status == 201:
        return evolve(STATUSES[201], provider_id=_sid(document.get("sid")))
    outcome = _by_status(response.status)
    code = document.get("code")
    if response.status // 100 == 4 and isinstance(code, int) and not isinstance(code, bool) and 0 < code < 100_000:
        kind, scope, pause = CODES.get(code, (outcome.kind, outcome.scope, None))
        outcome = Outcome(kind=kind, scope=scope, code=str(code), retry_after=pause)
    if outcome.kind is OutcomeKind.UNSENT:
        return evolve(outcome, retry_after=asked_pause(response) or outcome.retry_after)
    return outcome


def _by_status(status: int) -> Outcome:
    known = STATUSES.get(status)
    return known or evolve(CLASSES.get(status // 100, CLASSES[5]), code=f"http_{status}")


def _document(body: bytes) -> Mapping[str, Any]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _sid(value: Any) -> str | None:
    return value if isinstance(value, str) and value.isalnum() and len(value) <= 64 else None
