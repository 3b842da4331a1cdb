"""Twilio's webhooks: what is believed, what became of a message, what people text back."""

import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import sha1
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.adapters.twilio.webhook import STATUSES, TwilioWebhook
from fn_notifications.domain.address import SMS, WHATSAPP, Channel, PhoneNumber
from fn_notifications.domain.receipts import ReceiptKind

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
URL = "https://notify.example.com/api/webhooks/twilio/status?attempt=0190-1-1"
WEBHOOK = TwilioWebhook.with_tokens(["primary", "secondary"])


def form(**more: str) -> dict[str, str]:
    return {"MessageSid": "SM01", "MessageStatus": "delivered", "To": "+15005550100", "From": "+15005550006", **more}


def body(fields: Mapping[str, str]) -> bytes:
    return urlencode(fields).encode()


def signature(fields: Mapping[str, str], url: str = URL, token: str = "primary") -> str:
    signed = url + "".join(name + fields[name] for name in sorted(fields))
    return b64encode(hmac.digest(token.encode(), signed.encode(), sha1)).decode()


@pytest.mark.parametrize("token", ["primary", "secondary"])
@pytest.mark.parametrize(
    "fields",
    [form(), form(ErrorMessage=""), form(Body="  two  spaces & ünïcode + plus\r\n"), form(Aaa="1", zzz="2"), {}],
)
def test_a_genuine_request_is_believed(fields: dict[str, str], token: str) -> None:
    assert WEBHOOK.verify(body(fields), url=URL, signature=signature(fields, token=token))


def test_a_foreign_token_is_not_believed() -> None:
    assert not WEBHOOK.verify(body(form()), url=URL, signature=signature(form(), token="other"))
    assert not TwilioWebhook.with_tokens([]).verify(body(form()), url=URL, signature=signature(form()))


@pytest.mark.parametrize(
    "altered",
    [
        form(MessageStatus="failed"),
        form(ErrorCode="21610"),
        {name: value for name, value in form().items() if name != "From"},
        form(To="+15005550101"),
    ],
)
def test_an_altered_form_is_not_believed(altered: dict[str, str]) -> None:
    assert not WEBHOOK.verify(body(altered), url=URL, signature=signature(form()))


@pytest.mark.parametrize(
    "url", [URL.replace("https", "http"), URL.replace("0190", "0191"), URL.split("?", maxsplit=1)[0], URL + "&x=1"]
)
def test_another_url_is_not_believed(url: str) -> None:
    assert not WEBHOOK.verify(body(form()), url=url, signature=signature(form()))


@pytest.mark.parametrize("wrong", ["", "x", "é", "=" * 28, signature(form())[:-1], signature(form()) + "="])
def test_a_malformed_signature_is_not_believed(wrong: str) -> None:
    assert not WEBHOOK.verify(body(form()), url=URL, signature=wrong)


@pytest.mark.parametrize("wrong", [b"\xff\xfe=1", b"&".join(b"a%d=1" % n for n in range(500))])
def test_a_malformed_form_is_not_believed(wrong: bytes) -> None:
    assert not WEBHOOK.verify(wrong, url=URL, signature=signature(form()))


@given(st.binary(), st.text())
def test_no_body_is_odd_enough_to_raise(odd: bytes, text: str) -> None:
    assert not WEBHOOK.verify(odd, url=URL, signature=text)


EXPECTED = {
    "accepted": ReceiptKind.ACCEPTED,
    "scheduled": ReceiptKind.ACCEPTED,
    "queued": ReceiptKind.ACCEPTED,
    "sending": ReceiptKind.ACCEPTED,
    "sent": ReceiptKind.ACCEPTED,
    "partially_delivered": ReceiptKind.ACCEPTED,
    "delivered": ReceiptKind.DELIVERED,
    "read": ReceiptKind.OPENED,
    "undelivered": ReceiptKind.FAILED,
    "failed": ReceiptKind.FAILED,
    "canceled": ReceiptKind.FAILED,
}


def test_every_status_is_tested() -> None:
    assert set(EXPECTED) == set(STATUSES)


@pytest.mark.parametrize(("status", "kind"), EXPECTED.items())
def test_a_status_is_a_receipt(status: str, kind: ReceiptKind) -> None:
    (receipt,) = WEBHOOK.parse_status(body(form(MessageStatus=status)), url=URL, now=NOW).receipts
    assert (receipt.kind, receipt.key, receipt.at, receipt.provider) == (kind, f"SM01:{status}", NOW, "twilio")
    assert (receipt.attempt_id, receipt.provider_id, receipt.code) == ("0190-1-1", "SM01", None)
    assert (receipt.channel, receipt.address) == (SMS, PhoneNumber("+15005550100"))


def test_whatsapp_is_known_by_its_prefix() -> None:
    whatsapp = body(form(To="whatsapp:+15005550100", From="whatsapp:+15005550006"))
    (receipt,) = WEBHOOK.parse_status(whatsapp, url=URL, now=NOW).receipts
    assert (receipt.channel, receipt.address) == (WHATSAPP, PhoneNumber("+15005550100"))


@pytest.mark.parametrize(
    ("code", "kinds"),
    [
        ("30003", [ReceiptKind.FAILED]),
        ("30005", [ReceiptKind.BOUNCED]),
        ("30007", [ReceiptKind.FAILED]),
        ("21610", [ReceiptKind.OPTED_OUT, ReceiptKind.OPTED_OUT]),
        ("63014", [ReceiptKind.OPTED_OUT, ReceiptKind.OPTED_OUT]),
        ("29999", [ReceiptKind.FAILED]),
    ],
)
def test_an_error_code_may_say_more(code: str, kinds: list[ReceiptKind]) -> None:
    """An opt-out is said of the number too, apart from the attempt that failed by it."""
    failed, *others = WEBHOOK.parse_status(
        body(form(MessageStatus="undelivered", ErrorCode=code)), url=URL, now=NOW
    ).receipts
    assert [failed.kind, *(other.kind for other in others)] == kinds
    assert (failed.code, failed.attempt_id, failed.suppresses) == (
        code,
        "0190-1-1",
        code in ("30005", "21610", "63014"),
    )
    for other in others:
        assert other.suppresses
        assert (other.attempt_id, other.key) == (None, "SM01:undelivered#address")


@pytest.mark.parametrize("code", ["", "soon", "-1", "999999", "٣"])
def test_a_code_that_is_none_is_left_out(code: str) -> None:
    (receipt,) = WEBHOOK.parse_status(body(form(MessageStatus="failed", ErrorCode=code)), url=URL, now=NOW).receipts
    assert receipt.code is None


@pytest.mark.parametrize("url", ["https://notify.example.com/s", "https://notify.example.com/s?attempt=a%00b"])
def test_a_callback_without_our_id_is_still_a_report(url: str) -> None:
    (receipt,) = WEBHOOK.parse_status(body(form()), url=url, now=NOW).receipts
    assert (receipt.attempt_id, receipt.provider_id) == (None, "SM01")


@pytest.mark.parametrize(
    "odd",
    [{}, form(MessageStatus="receiving"), form(MessageSid=""), form(MessageSid="a b"), form(MessageSid="x" * 200)],
)
def test_an_odd_callback_says_nothing(odd: dict[str, str]) -> None:
    reports = WEBHOOK.parse_status(body(odd), url=URL, now=NOW)
    assert (reports.receipts, reports.skipped) == ((), 1)


def inbound(text: str, **more: str) -> bytes:
    return body({"MessageSid": "SM02", "From": "+15005550100", "To": "+15005550006", "Body": text, **more})


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *(
            (word, ReceiptKind.OPTED_OUT)
            for word in ["STOP", "UNSUBSCRIBE", "END", "QUIT", "STOPALL", "REVOKE", "OPTOUT", "CANCEL"]
        ),
        *(
            (text, ReceiptKind.OPTED_OUT)
            for text in [" stop ", "Stop.", "STOP!", "opt out", "Opt-Out", "stop all", '"stop"']
        ),
        *((word, ReceiptKind.OPTED_IN) for word in ["START", "YES", "UNSTOP", "start", " Yes. "]),
        *(
            (text, None)
            for text in ["HELP", "INFO", "", "thanks", "please stop by at six", "don't stop", "stop" + " " * 90]
        ),
    ],
)
def test_the_words_people_text_back(text: str, kind: ReceiptKind | None) -> None:
    reports = WEBHOOK.parse_inbound(inbound(text), now=NOW)
    assert [receipt.kind for receipt in reports.receipts] == ([] if kind is None else [kind])
    assert reports.skipped == (kind is None)


@pytest.mark.parametrize(
    ("said", "kind"), [("STOP", ReceiptKind.OPTED_OUT), ("START", ReceiptKind.OPTED_IN), ("HELP", None)]
)
@pytest.mark.parametrize("text", ["ARRÊT", "STOP", "START"])
def test_twilios_own_verdict_wins_over_the_word(text: str, said: str, kind: ReceiptKind | None) -> None:
    reports = WEBHOOK.parse_inbound(inbound(text, OptOutType=said), now=NOW)
    assert [receipt.kind for receipt in reports.receipts] == ([] if kind is None else [kind])


@pytest.mark.parametrize(("prefix", "channel"), [("", SMS), ("whatsapp:", WHATSAPP)])
def test_a_stop_is_about_a_number_on_a_channel(prefix: str, channel: Channel) -> None:
    (receipt,) = WEBHOOK.parse_inbound(inbound("STOP", From=f"{prefix}+15005550100"), now=NOW).receipts
    assert (receipt.channel, receipt.address) == (channel, PhoneNumber("+15005550100"))
    assert (receipt.key, receipt.attempt_id, receipt.at, receipt.suppresses) == ("SM02", None, NOW, True)


@pytest.mark.parametrize("sender", ["", "12345", "whatsapp:", "BRAND"])
def test_a_stop_from_nobody_says_nothing(sender: str) -> None:
    assert WEBHOOK.parse_inbound(inbound("STOP", From=sender), now=NOW).receipts == ()


def test_nothing_personal_or_secret_is_shown() -> None:
    shown = repr(WEBHOOK) + repr(WEBHOOK.parse_inbound(inbound("STOP"), now=NOW))
    assert "primary" not in shown
    assert "+15005550100" not in shown
