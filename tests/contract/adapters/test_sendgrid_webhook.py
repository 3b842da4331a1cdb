"""SendGrid's Event Webhook: what is believed, and what each event says."""

import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.adapters.sendgrid.webhook import KINDS, SendGridWebhook
from fn_notifications.application.errors import Misconfigured
from fn_notifications.domain.address import EMAIL, EmailAddress
from fn_notifications.domain.receipts import Receipt, ReceiptKind

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
KEY, OTHER = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
BODY = b'[{"event": "delivered"}]\r\n'


def public(key) -> str:
    return b64encode(key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).decode()


def signed(body: bytes = BODY, at: datetime = NOW, key=KEY) -> dict[str, str]:
    timestamp = str(int(at.timestamp()))
    signature = key.sign(timestamp.encode() + body, ec.ECDSA(SHA256()))
    return {"signature": b64encode(signature).decode(), "timestamp": timestamp}


WEBHOOK = SendGridWebhook.with_keys([public(KEY)])


def test_a_genuine_request_is_believed() -> None:
    assert WEBHOOK.verify(BODY, **signed(), now=NOW)


def test_either_key_may_sign_while_rotating() -> None:
    rotating = SendGridWebhook.with_keys([public(KEY), public(OTHER)])
    assert rotating.verify(BODY, **signed(), now=NOW)
    assert rotating.verify(BODY, **signed(key=OTHER), now=NOW)


def test_a_foreign_key_is_not_believed() -> None:
    assert not WEBHOOK.verify(BODY, **signed(key=OTHER), now=NOW)
    assert not SendGridWebhook.with_keys([]).verify(BODY, **signed(), now=NOW)


@pytest.mark.parametrize("body", [BODY.strip(), BODY + b" ", BODY.replace(b"delivered", b"dropped  "), b"", b"\xff"])
def test_an_altered_body_is_not_believed(body: bytes) -> None:
    assert not WEBHOOK.verify(body, **signed(), now=NOW)


@pytest.mark.parametrize(
    ("age", "believed"),
    [
        (timedelta(hours=24, minutes=59), True),
        (timedelta(hours=25, seconds=1), False),
        (timedelta(minutes=-4), True),
        (timedelta(minutes=-6), False),
    ],
)
def test_age_counts(age: timedelta, believed: bool) -> None:
    assert WEBHOOK.verify(BODY, **signed(at=NOW - age), now=NOW) is believed


def test_the_age_limit_can_be_tightened() -> None:
    old = signed(at=NOW - timedelta(minutes=6))
    assert not WEBHOOK.verify(BODY, **old, now=NOW, max_age=timedelta(minutes=5))


def test_another_timestamp_is_not_believed() -> None:
    later = {**signed(), "timestamp": str(int(NOW.timestamp()) + 1)}
    assert not WEBHOOK.verify(BODY, **later, now=NOW)


@pytest.mark.parametrize("signature", ["", "?", "AAAA", "é", "=", "A" * 10_000, None])
def test_a_malformed_signature_is_not_believed(signature: str | None) -> None:
    signature = signed()["signature"][:-4] if signature is None else signature
    assert not WEBHOOK.verify(BODY, signature=signature, timestamp=signed()["timestamp"], now=NOW)


@pytest.mark.parametrize("timestamp", ["", "now", "-1", "1.5", "٣", "9" * 40, "\ud800", "0"])
def test_a_malformed_timestamp_is_not_believed(timestamp: str) -> None:
    assert not WEBHOOK.verify(BODY, signature=signed()["signature"], timestamp=timestamp, now=NOW)


@pytest.mark.parametrize("key", ["", "nonsense", pytest.param(public(rsa.generate_private_key(65537, 2048)), id="RSA")])
def test_a_key_that_is_none_stops_the_start(key: str) -> None:
    with pytest.raises(Misconfigured):
        SendGridWebhook.with_keys([key])


def event(kind: str, **more: object) -> dict[str, object]:
    return {
        "email": "Ada@Example.COM",
        "timestamp": int(NOW.timestamp()),
        "event": kind,
        "sg_event_id": "ev-1",
        "sg_message_id": "14c5d75ce93.dfd.64b469.filter0001.16648.5515E0B88.0",
        "attempt_id": "0190-1-1",
        **more,
    }


def receipts(*entries: object) -> tuple[Receipt, ...]:
    return WEBHOOK.parse(json.dumps(entries).encode()).receipts


EXPECTED = {
    "processed": ReceiptKind.ACCEPTED,
    "deferred": ReceiptKind.DEFERRED,
    "delivered": ReceiptKind.DELIVERED,
    "bounce": ReceiptKind.BOUNCED,
    "dropped": ReceiptKind.DROPPED,
    "open": ReceiptKind.OPENED,
    "click": ReceiptKind.CLICKED,
    "spamreport": ReceiptKind.COMPLAINED,
    "unsubscribe": ReceiptKind.UNSUBSCRIBED,
    "group_unsubscribe": ReceiptKind.UNSUBSCRIBED,
}


def test_every_kind_is_tested() -> None:
    assert set(EXPECTED) == set(KINDS)


@pytest.mark.parametrize(("kind", "expected"), EXPECTED.items())
def test_an_event_is_a_receipt(kind: str, expected: ReceiptKind) -> None:
    (receipt,) = receipts(event(kind))
    assert (receipt.kind, receipt.key, receipt.at, receipt.provider) == (expected, "ev-1", NOW, "sendgrid")
    assert (receipt.attempt_id, receipt.provider_id) == ("0190-1-1", "14c5d75ce93.dfd.64b469")
    assert (receipt.channel, receipt.address) == (EMAIL, EmailAddress("Ada@example.com"))


@pytest.mark.parametrize(
    ("more", "hard", "code"),
    [
        ({"type": "bounce", "status": "5.1.1"}, True, "5.1.1"),
        ({"type": "blocked", "status": "4.7.1"}, False, "4.7.1"),
        ({"type": "blocked"}, False, "blocked"),
        ({"type": "bounce", "status": "550 no such user ada@example.com"}, True, "bounced"),
        ({}, True, "bounced"),
    ],
)
def test_a_bounce_is_hard_unless_blocked(more: dict[str, str], hard: bool, code: str) -> None:
    (receipt,) = receipts(event("bounce", **more))
    assert (receipt.hard, receipt.suppresses, receipt.code) == (hard, hard, code)


@pytest.mark.parametrize(
    ("reason", "code", "about_address"),
    [
        ("Bounced Address", "bounced_address", ReceiptKind.BOUNCED),
        ("Spam Reporting Address", "spam_reporting_address", ReceiptKind.COMPLAINED),
        ("Unsubscribed Address", "unsubscribed_address", ReceiptKind.UNSUBSCRIBED),
        ("Invalid", "invalid_address", None),
        ("Spam Content", "spam_content", None),
        ("Invalid SMTPAPI header", "invalid_header", None),
        ("Recipient List over Package Quota", "over_quota", None),
        ("something new", "dropped", None),
        (None, "dropped", None),
        (7, "dropped", None),
    ],
)
def test_a_drop_says_why_and_may_suppress(reason: object, code: str, about_address: ReceiptKind | None) -> None:
    """The attempt failed; what is said of the address stands apart, and claims nothing about the attempt."""
    dropped, *others = receipts(event("dropped", reason=reason, type="blocked"))
    assert (dropped.kind, dropped.code, dropped.attempt_id, dropped.suppresses) == (
        ReceiptKind.DROPPED,
        code,
        "0190-1-1",
        False,
    )
    assert [other.kind for other in others] == ([] if about_address is None else [about_address])
    for other in others:
        assert other.suppresses
        assert (other.attempt_id, other.key, other.address) == (None, "ev-1#address", dropped.address)


def test_a_drop_without_a_readable_address_suppresses_nobody() -> None:
    assert len(receipts(event("dropped", reason="Bounced Address", email="no address"))) == 1


@pytest.mark.parametrize(
    ("message_id", "provider_id"),
    [
        ("Ld3v2JmDQ5K0vM-6Bpt0rg.recvd-6c8d9d-abcde-1-6532-1A.0", "Ld3v2JmDQ5K0vM-6Bpt0rg"),
        ("14c5d75ce93.dfd.64b469.filter0001.1", "14c5d75ce93.dfd.64b469"),
        ("plain", "plain"),
    ],
)
def test_the_message_id_is_the_one_that_answered_the_request(message_id: str, provider_id: str) -> None:
    assert receipts(event("open", sg_message_id=message_id))[0].provider_id == provider_id


def test_what_others_send_through_the_account_has_no_attempt() -> None:
    foreign = event("delivered")
    del foreign["attempt_id"], foreign["sg_message_id"], foreign["email"]
    (receipt,) = receipts(foreign)
    assert (receipt.attempt_id, receipt.provider_id, receipt.address) == (None, None, None)


@pytest.mark.parametrize(
    "odd",
    [
        7,
        None,
        "text",
        [],
        {},
        event("group_resubscribe"),
        event("account_status_change"),
        event(["open"]),
        event("open", timestamp="soon"),
        event("open", timestamp=10**30),
        event("open", timestamp=None),
        event("open", timestamp=float("inf")),
        event("open", sg_event_id=""),
        event("open", sg_event_id=None),
        event("open", sg_event_id="a\x00b"),
        event("open", sg_event_id="a" * 300),
        event("open", attempt_id={"a": 1}),
        event("open", sg_message_id="\ud800"),
    ],
)
def test_an_odd_entry_is_skipped_and_counted_not_its_neighbours(odd: object) -> None:
    reports = WEBHOOK.parse(json.dumps([event("open"), odd, event("click")]).encode())
    assert [one.kind for one in reports.receipts] == [ReceiptKind.OPENED, ReceiptKind.CLICKED]
    assert reports.skipped == 1


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"null", b"\xff\xfe", b"[" * 100_000])
def test_a_body_that_is_no_list_holds_nothing(body: bytes) -> None:
    assert (WEBHOOK.parse(body).receipts, WEBHOOK.parse(body).skipped) == ((), 1)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@given(st.lists(st.dictionaries(st.sampled_from(list(event("open", type="", reason="", status=""))), JSON)))
def test_no_entry_is_odd_enough_to_raise(entries: list[dict[str, object]]) -> None:
    reports = WEBHOOK.parse(json.dumps([{**entry, "event": "dropped"} for entry in entries]).encode())
    assert len(reports.receipts) + reports.skipped >= len(entries)


@given(st.binary())
def test_no_body_is_odd_enough_to_raise(body: bytes) -> None:
    WEBHOOK.parse(body)
    assert not WEBHOOK.verify(body + b"x", **signed(body), now=NOW)


def test_no_address_is_shown() -> None:
    assert "example" not in repr(WEBHOOK.parse(json.dumps([event("bounce", reason="ada@example.com")]).encode()))
