"""SendGrid's answers, row by row: the expectations are written out here, not read from the table."""

import json
from datetime import timedelta

import pytest

from fn_notifications.adapters.sendgrid.answers import STATUSES, outcome_of, outcomes_of
from fn_notifications.adapters.transport.calls import outcome_of_failure
from fn_notifications.adapters.transport.http import NotSent, Response, Unknown
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope

DATE = {"date": "Sun, 22 Nov 2026 12:00:00 GMT"}
RESET = "1795348830"  # 30 s after it

ROWS = [
    (200, "accepted", "recipient", "sandbox"),
    (202, "accepted", "recipient", None),
    (400, "refused", "content", "http_400"),
    (401, "unsent", "account", "http_401"),
    (403, "unsent", "account", "http_403"),
    (404, "unsent", "route", "http_404"),
    (405, "unsent", "route", "http_405"),
    (413, "refused", "content", "http_413"),
    (415, "refused", "content", "http_415"),
    (429, "unsent", "route", "rate_limited"),
    (500, "in_doubt", "route", "http_500"),
    (502, "in_doubt", "route", "http_502"),
    (503, "unsent", "route", "unavailable"),
    (504, "in_doubt", "route", "http_504"),
]
UNKNOWN = [
    (204, "in_doubt", "route", "http_204"),
    (302, "unsent", "route", "http_302"),
    (418, "refused", "content", "http_418"),
    (451, "refused", "content", "http_451"),
    (507, "in_doubt", "route", "http_507"),
    (999, "in_doubt", "route", "http_999"),
]


def errors(*fields: object) -> bytes:
    return json.dumps({"errors": [{"message": "no", "field": field, "help": None} for field in fields]}).encode()


def test_every_row_is_tested() -> None:
    assert {row[0] for row in ROWS} == set(STATUSES)


@pytest.mark.parametrize(("status", "kind", "scope", "code"), ROWS + UNKNOWN)
@pytest.mark.parametrize("body", [b"", b"<html>" + b"x" * 70_000, b'{"errors": 7}', b"[" * 9000, b"\xff"])
def test_a_status_is_an_outcome_whatever_the_body(status: int, kind: str, scope: str, code: str, body: bytes) -> None:
    assert outcome_of(Response(status, {}, body)) == Outcome(kind=OutcomeKind(kind), scope=Scope(scope), code=code)


@pytest.mark.parametrize(
    ("fields", "kind", "scope", "code"),
    [
        (["personalizations.0.to.0.email"], "refused", "recipient", "invalid_recipient"),
        (["personalizations.to"], "refused", "recipient", "invalid_recipient"),
        (["personalizations.12.cc"], "refused", "recipient", "invalid_recipient"),
        (["from.email"], "unsent", "account", "invalid_sender"),
        (["from"], "unsent", "account", "invalid_sender"),
        (["reply_to.email"], "unsent", "account", "invalid_sender"),
        (["content.0.value"], "refused", "content", "http_400"),
        (["subject"], "refused", "content", "http_400"),
        (["personalizations.0.custom_args"], "refused", "content", "http_400"),
        (["personalizations.0.topic"], "refused", "content", "http_400"),
        (["fromage"], "refused", "content", "http_400"),
        ([None], "refused", "content", "http_400"),
        ([7, ["to"], "personalizations.0.to"], "refused", "recipient", "invalid_recipient"),
        ([], "refused", "content", "http_400"),
    ],
)
def test_a_400_says_which_field(fields: list[object], kind: str, scope: str, code: str) -> None:
    outcome = outcome_of(Response(400, {}, errors(*fields)))
    assert outcome == Outcome(kind=OutcomeKind(kind), scope=Scope(scope), code=code)


def test_acceptance_brings_the_id() -> None:
    assert outcome_of(Response(202, {"x-message-id": "abc"}, b"")).provider_id == "abc"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"x-ratelimit-reset": RESET, **DATE}, 30),
        ({"x-ratelimit-reset": RESET}, None),  # two clocks are never compared
        ({"retry-after": "7"}, 7),
        ({"retry-after": "7", "x-ratelimit-reset": RESET, **DATE}, 7),
        ({"retry-after": "Sun, 22 Nov 2026 12:01:00 GMT", **DATE}, 60),
        ({"retry-after": "Sun, 22 Nov 2026 11:00:00 GMT", **DATE}, 0),
        ({"retry-after": "99999999999999999999", **DATE}, None),
        ({"retry-after": "86400"}, 3600),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "٣"}, None),
        ({"x-ratelimit-reset": "9999999999", **DATE}, 3600),
        ({"x-ratelimit-reset": RESET, "date": "yesterday"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [429, 503])
def test_the_wait_it_asks_for(headers: dict[str, str], seconds: int | None, status: int) -> None:
    if status != 429 and "retry-after" not in headers:
        seconds = None  # every answer names the next reset; only a limit that was hit has to wait for it
    expected = None if seconds is None else timedelta(seconds=seconds)
    assert outcome_of(Response(status, headers, b"")).retry_after == expected


BAD, ANOTHER = ("refused", "recipient", "invalid_recipient"), ("unsent", "batch", "another_refused")
UNKNOWN_ONE = ("unsent", "batch", "refused_together")
CONTENT = ("refused", "content", "http_400")


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (["personalizations.1.to.0.email"], [ANOTHER, BAD, ANOTHER]),
        (["personalizations.0.to", "personalizations.2.cc"], [BAD, ANOTHER, BAD]),
        (["personalizations.2.substitutions"], [ANOTHER, ANOTHER, CONTENT]),
        (["personalizations.1"], [ANOTHER, CONTENT, ANOTHER]),
        (["personalizations"], [UNKNOWN_ONE] * 3),
        (["personalizations.to"], [UNKNOWN_ONE] * 3),
        (["personalizations.3.to"], [UNKNOWN_ONE] * 3),
        (["personalizations.99999999.to"], [UNKNOWN_ONE] * 3),
        (["content.0.value"], [UNKNOWN_ONE] * 3),
        ([], [UNKNOWN_ONE] * 3),
        (["from.email"], [("unsent", "account", "invalid_sender")] * 3),
    ],
)
def test_a_400_to_several_says_who_is_at_fault(fields: list[object], expected: list[tuple[str, str, str]]) -> None:
    outcomes = outcomes_of(Response(400, {}, errors(*fields)), 3)
    assert [(one.kind, one.scope, one.code) for one in outcomes] == expected


@pytest.mark.parametrize(("status", "kind", "scope", "code"), [row for row in ROWS + UNKNOWN if row[1] != "accepted"])
def test_other_answers_to_several_are_of_each_unless_a_single_one_may_be_at_fault(
    status: int, kind: str, scope: str, code: str
) -> None:
    expected = UNKNOWN_ONE if kind == "refused" else (kind, scope, code)
    outcomes = outcomes_of(Response(status, {}, b""), 2)
    assert [(one.kind, one.scope, one.code) for one in outcomes] == [expected] * 2


def test_several_are_accepted_under_one_id_with_their_places() -> None:
    accepted = Response(202, {"x-message-id": "abc"}, b"")
    assert [one.provider_id for one in outcomes_of(accepted, 2)] == ["abc#0", "abc#1"]
    assert [one.provider_id for one in outcomes_of(accepted, 1)] == ["abc"]
    assert [one.kind for one in outcomes_of(Response(202, {}, b""), 2)] == ["accepted"] * 2


def test_no_answer_is_an_outcome_too() -> None:
    assert outcome_of_failure(NotSent("dns")) == Outcome(kind=OutcomeKind.UNSENT, scope=Scope.ROUTE, code="dns")
    assert outcome_of_failure(Unknown("timeout")) == Outcome(
        kind=OutcomeKind.IN_DOUBT, scope=Scope.ROUTE, code="timeout"
    )
