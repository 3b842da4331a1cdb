"""Twilio's answers, row by row: the expectations are written out here, not read from the table."""

import json
from datetime import timedelta

import pytest

from fn_notifications.adapters.transport.http import Response
from fn_notifications.adapters.twilio.answers import CODES, STATUSES, outcome_of
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope

CODE_ROWS = [
    (401, 20003, "unsent", "account"),
    (429, 20429, "unsent", "route"),
    (400, 20500, "in_doubt", "route"),
    (400, 21211, "refused", "recipient"),
    (400, 21408, "unsent", "destination"),
    (400, 21606, "unsent", "route"),
    (400, 21610, "opted_out", "recipient"),
    (429, 21611, "unsent", "route"),
    (400, 21612, "refused", "recipient"),
    (400, 21614, "refused", "recipient"),
    (400, 21617, "refused", "content"),
    (400, 21654, "refused", "content"),
    (400, 21659, "unsent", "route"),
    (400, 30001, "unsent", "route"),
    (400, 30002, "unsent", "account"),
    (400, 30003, "unsent", "recipient"),
    (400, 30004, "refused", "recipient"),
    (400, 30005, "refused", "recipient"),
    (400, 30006, "refused", "recipient"),
    (400, 30007, "refused", "content"),
    (400, 30008, "unsent", "recipient"),
    (400, 30034, "unsent", "destination"),
    (400, 30036, "unsent", "route"),
    (400, 30047, "unsent", "recipient"),
    (400, 30610, "unsent", "destination"),
    (400, 63001, "unsent", "route"),
    (400, 63003, "refused", "recipient"),
    (400, 63005, "refused", "content"),
    (400, 63007, "unsent", "route"),
    (400, 63013, "refused", "content"),
    (400, 63014, "opted_out", "recipient"),
    (400, 63016, "refused", "content"),
    (429, 63018, "unsent", "route"),
    (400, 63021, "refused", "content"),
    (400, 63024, "refused", "recipient"),
    (400, 63032, "refused", "recipient"),
    (400, 63049, "refused", "recipient"),
    (429, 63119, "unsent", "route"),
]
PAUSES = {30610: 3600, 63018: 3600, 63119: 3600}

STATUS_ROWS = [
    (201, "accepted", "recipient", None),
    (401, "unsent", "account", "http_401"),
    (403, "unsent", "account", "http_403"),
    (404, "unsent", "account", "http_404"),
    (405, "unsent", "route", "http_405"),
    (429, "unsent", "route", "rate_limited"),
    (503, "unsent", "route", "unavailable"),
]
UNKNOWN = [
    (200, "in_doubt", "route", "http_200"),
    (204, "in_doubt", "route", "http_204"),
    (302, "unsent", "route", "http_302"),
    (400, "refused", "content", "http_400"),
    (418, "refused", "content", "http_418"),
    (500, "in_doubt", "route", "http_500"),
    (502, "in_doubt", "route", "http_502"),
    (504, "in_doubt", "route", "http_504"),
    (999, "in_doubt", "route", "http_999"),
]


def answer(status: int, code: object, **headers: str) -> Response:
    return Response(status, headers, json.dumps({"code": code, "message": "free text", "status": status}).encode())


def test_every_row_is_tested() -> None:
    assert {row[1] for row in CODE_ROWS} == set(CODES)
    assert {row[0] for row in STATUS_ROWS} == set(STATUSES)
    assert set(PAUSES) == {code for code, (_, _, pause) in CODES.items() if pause}


@pytest.mark.parametrize(("status", "code", "kind", "scope"), CODE_ROWS)
def test_a_code_is_an_outcome(status: int, code: int, kind: str, scope: str) -> None:
    pause = timedelta(seconds=PAUSES[code]) if code in PAUSES else None
    expected = Outcome(kind=OutcomeKind(kind), scope=Scope(scope), code=str(code), retry_after=pause)
    assert outcome_of(answer(status, code)) == expected


@pytest.mark.parametrize(("status", "kind", "scope", "code"), STATUS_ROWS + UNKNOWN)
@pytest.mark.parametrize(
    "body", [b"", b"<html>" + b"x" * 70_000, b"[7]", b'{"code": "21610"}', b'{"code": true}', b'{"code": -1}', b"\xff"]
)
def test_a_status_is_an_outcome_whatever_the_body(status: int, kind: str, scope: str, code: str, body: bytes) -> None:
    assert outcome_of(Response(status, {}, body)) == Outcome(kind=OutcomeKind(kind), scope=Scope(scope), code=code)


@pytest.mark.parametrize(
    ("status", "kind", "scope"),
    [(400, "refused", "content"), (401, "unsent", "account"), (403, "unsent", "account"), (429, "unsent", "route")],
)
def test_an_unknown_code_is_judged_by_its_status_and_kept(status: int, kind: str, scope: str) -> None:
    expected = Outcome(kind=OutcomeKind(kind), scope=Scope(scope), code="29999")
    assert outcome_of(answer(status, 29999)) == expected


@pytest.mark.parametrize("code", [21211, 21610, 20429])
def test_a_code_in_a_server_error_proves_nothing(code: int) -> None:
    assert outcome_of(answer(500, code)).kind is OutcomeKind.IN_DOUBT


def test_acceptance_brings_the_sid() -> None:
    assert outcome_of(Response(201, {}, b'{"sid": "SM0123"}')).provider_id == "SM0123"


@pytest.mark.parametrize("body", [b'{"sid": 7}', b'{"sid": "a b"}', b'{"sid": "%s"}' % (b"S" * 65), b"{}", b"{", b""])
def test_acceptance_without_a_readable_sid_is_still_acceptance(body: bytes) -> None:
    assert outcome_of(Response(201, {}, body)) == Outcome(kind=OutcomeKind.ACCEPTED)


def test_what_the_answer_asks_for_wins_over_the_tables_pause() -> None:
    assert outcome_of(answer(429, 20429, **{"retry-after": "5"})).retry_after == timedelta(seconds=5)
    assert outcome_of(answer(429, 63018, **{"retry-after": "5"})).retry_after == timedelta(seconds=5)
    assert outcome_of(answer(400, 21211, **{"retry-after": "5"})).retry_after is None
