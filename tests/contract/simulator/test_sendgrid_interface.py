"""The simulated SendGrid: its answers as the vendor gives them, and its reports as our adapter reads them."""

import json
from datetime import UTC, datetime

import aiohttp
import pytest

from fn_notifications.adapters.sendgrid.webhook import SIGNATURE_HEADER, TIMESTAMP_HEADER, SendGridWebhook
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.simulator.behaviour import EMAILS
from fn_notifications.testing.waiting import eventually


def mail(*to: str, **more: object) -> dict[str, object]:
    return {
        "personalizations": [
            {"to": [{"email": address}], "custom_args": {"attempt_id": f"a-1-{n}"}} for n, address in enumerate(to, 1)
        ],
        "from": {"email": "hello@example.com"},
        "subject": "Hi",
        "content": [{"type": "text/plain", "value": "Hello"}, {"type": "text/html", "value": "<p>Hello</p>"}],
        **more,
    }


@pytest.fixture
def post(simulator, session):
    async def send(document: object, key: str | None = None, *, whole: bool = True):
        answer = await session.post(
            f"{simulator.base_url}/v3/mail/send",
            headers={"Authorization": f"Bearer {key or simulator.sendgrid_api_key}"},
            data=document if isinstance(document, bytes) else json.dumps(document).encode(),
        )
        if whole:
            await answer.read()
        return answer

    return send


def receipts(simulator, door) -> list[Receipt]:
    """Everything reported so far; a post that is not signed as SendGrid signs fails the test."""
    webhook = SendGridWebhook.with_keys([simulator.sendgrid_public_key])
    found = []
    for one in door.posts:
        genuine = webhook.verify(
            one.body,
            signature=one.headers[SIGNATURE_HEADER],
            timestamp=one.headers[TIMESTAMP_HEADER],
            now=datetime.now(UTC),
        )
        assert genuine
        reports = webhook.parse(one.body)
        assert reports.skipped == 0
        found += reports.receipts
    return found


async def test_accepts_as_sendgrid_does(post, simulator) -> None:
    answer = await post(mail("ada@example.com"))
    assert (answer.status, await answer.read()) == (202, b"")
    assert len(answer.headers["X-Message-Id"]) == 22
    assert {"X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Date"} <= set(answer.headers)
    assert (simulator.tally.requests_total, simulator.tally.accepted_total) == (1, 1)


async def test_refuses_a_wrong_key(post, simulator) -> None:
    answer = await post(mail("ada@example.com"), "wrong")
    assert answer.status == 401
    assert (await answer.json())["errors"][0]["field"] is None
    assert simulator.messages() == ()


@pytest.mark.parametrize(
    ("document", "field"),
    [
        (b"{", None),
        ([], None),
        (b"[" * 100_000, None),
        (mail("ada@example.com", personalizations=[7]), None),
        (mail("ada@example.com", content=[{"value": "x"}]), None),
        (mail("ada@example.com", mail_settings=7), None),
        (mail(), "personalizations"),
        (mail("no address"), "personalizations.0.to.0.email"),
        (mail("ada@example.com", personalizations=[{}]), "personalizations.0.to.0.email"),
        (mail(*["ada@example.com"] * 1001), "personalizations"),
        (mail("ada@example.com", "Ada@example.com"), "personalizations"),
        (
            mail(personalizations=[{"to": [{"email": "a@example.com"}], "substitutions": {"-x-": "é" * 5_000}}]),
            "personalizations.0.substitutions",
        ),
        (mail("ada@example.com", **{"from": {}}), "from.email"),
        (mail("ada@example.com", subject=""), "subject"),
        (mail("ada@example.com", content=[]), "content"),
        (mail("ada@example.com", content=[{"type": "text/plain", "value": ""}]), "content.0"),
        (mail("ada@example.com", content=list(reversed(mail()["content"]))), "content"),
        (
            mail("a@example.com", personalizations=[{"to": [{"email": "a@example.com"}], "custom_args": {"a": 1}}]),
            "personalizations.0.custom_args",
        ),
    ],
)
async def test_names_the_field_that_is_wrong(post, simulator, document: object, field: str | None) -> None:
    answer = await post(document)
    assert answer.status == 400
    assert (await answer.json())["errors"][0]["field"] == field
    assert simulator.tally.refused_total == 1


@pytest.mark.parametrize("word", [word for word, one in EMAILS.items() if one.status])
async def test_a_refusing_address_is_refused_and_kept(post, simulator, word: str) -> None:
    answer = await post(mail(f"{word}@example.com"))
    (kept,) = simulator.messages()
    assert answer.status == EMAILS[word].status
    assert kept.answer == f"http_{answer.status}"
    assert (simulator.tally.accepted_total, simulator.tally.refused_total) == (0, 1)


async def test_says_how_long_to_wait_when_the_address_does(post) -> None:
    answer = await post(mail("ratelimited+30@example.com"))
    assert answer.headers["Retry-After"] == "30"
    silent = await post(mail("throttled@example.com"))
    assert not {"Retry-After", "X-RateLimit-Reset"} & set(silent.headers)


async def test_once_is_once_per_address(post) -> None:
    statuses = [(await post(mail(to))).status for to in ["unavailable-once@example.com"] * 3]
    assert statuses == [503, 202, 202]
    assert (await post(mail("unavailable-once@example.org"))).status == 503


async def test_one_refusing_recipient_refuses_the_batch(post, simulator) -> None:
    answer = await post(mail("ada@example.com", "reject@example.com", "slow@example.com"))
    assert answer.status == 400
    assert simulator.tally.accepted_total == 0


async def test_a_batch_is_a_message_each(post, simulator) -> None:
    await post(mail("a@example.com", "b@example.com"))
    assert [(kept.to, kept.attempt_id) for kept in simulator.messages()] == [
        ("a@example.com", "a-1-1"),
        ("b@example.com", "a-1-2"),
    ]


async def test_a_batch_says_to_each_what_its_substitutions_say(post, simulator) -> None:
    people = [
        {"to": [{"email": "a@example.com"}], "subject": "For -who-", "substitutions": {"-who-": "Ada", "-what-": "X"}},
        {"to": [{"email": "b@example.com"}], "substitutions": {"-what-": "a -who-", "-who-": "Bo"}},
    ]
    content = [{"type": "text/plain", "value": "-what-"}, {"type": "text/html", "value": "<p>-what-</p>"}]
    await post(mail(personalizations=people, content=content))
    assert [(kept.subject, kept.text, kept.html) for kept in simulator.messages()] == [
        ("For Ada", "X", "<p>X</p>"),
        ("Hi", "a Bo", "<p>a Bo</p>"),
    ]


async def test_every_bad_recipient_of_a_batch_is_named(post) -> None:
    answer = await post(mail("ada@example.com", "reject@example.com", "slow@example.com", "reject+1@example.com"))
    fields = [error["field"] for error in (await answer.json())["errors"]]
    assert fields == ["personalizations.1.to.0.email", "personalizations.3.to.0.email"]


async def test_the_sandbox_delivers_and_reports_nothing(post, simulator, door) -> None:
    answer = await post(mail("ada@example.com", mail_settings={"sandbox_mode": {"enable": True}}))
    await post(mail("bob@example.com"))
    await eventually(lambda: len(receipts(simulator, door)) == 2)
    assert answer.status == 200
    assert {receipt.address.value for receipt in receipts(simulator, door)} == {"bob@example.com"}


async def test_late_but_whole(post) -> None:
    assert (await post(mail("slow@example.com"))).status == 202


@pytest.mark.parametrize(("word", "accepted"), [("reset-before", 0), ("reset-after", 1)])
async def test_a_reset_is_a_reset(post, simulator, word: str, accepted: int) -> None:
    with pytest.raises((aiohttp.ClientOSError, aiohttp.ServerDisconnectedError)):
        await post(mail(f"{word}@example.com"))
    assert simulator.tally.accepted_total == accepted


async def test_a_dribble_never_ends(post) -> None:
    answer = await post(mail("dribble@example.com"), whole=False)
    assert (answer.status, answer.content_length) == (202, None)
    assert await answer.content.readexactly(3) == b"   "
    answer.close()


REPORTS = {
    "ada": [ReceiptKind.ACCEPTED, ReceiptKind.DELIVERED],
    "defer": [ReceiptKind.ACCEPTED, ReceiptKind.DEFERRED, ReceiptKind.DELIVERED],
    "bounce": [ReceiptKind.ACCEPTED, ReceiptKind.BOUNCED],
    "block": [ReceiptKind.ACCEPTED, ReceiptKind.BOUNCED],
    "drop": [ReceiptKind.DROPPED, ReceiptKind.BOUNCED],
    "drop-spam": [ReceiptKind.DROPPED, ReceiptKind.COMPLAINED],
    "drop-unsubscribed": [ReceiptKind.DROPPED, ReceiptKind.UNSUBSCRIBED],
    "spam": [ReceiptKind.ACCEPTED, ReceiptKind.DELIVERED, ReceiptKind.COMPLAINED],
    "unsubscribe": [ReceiptKind.ACCEPTED, ReceiptKind.DELIVERED, ReceiptKind.UNSUBSCRIBED],
    "open": [ReceiptKind.ACCEPTED, ReceiptKind.DELIVERED, ReceiptKind.OPENED, ReceiptKind.CLICKED],
}


@pytest.mark.parametrize(("word", "kinds"), REPORTS.items())
async def test_reports_come_signed_and_carry_our_id(post, simulator, door, word: str, kinds: list[ReceiptKind]) -> None:
    answer = await post(mail(f"{word}@example.com"))
    await eventually(lambda: len(receipts(simulator, door)) == len(kinds))
    found = receipts(simulator, door)
    assert [receipt.kind for receipt in found] == kinds
    assert {receipt.provider_id for receipt in found} == {answer.headers["X-Message-Id"]}
    assert found[0].attempt_id == "a-1-1"
    assert len({receipt.key for receipt in found}) == len(kinds)


async def test_the_last_report_shows_in_the_mailbox(post, simulator) -> None:
    await post(mail("bounce@example.com"))
    await eventually(lambda: simulator.messages()[0].status == "bounce")


async def test_reports_are_batched(post, simulator, door) -> None:
    await post(mail(*[f"n{n}@example.com" for n in range(200)]))
    await eventually(lambda: len(receipts(simulator, door)) == 400)
    assert len(door.posts) == 1


async def test_a_refused_report_comes_again_signed_alike(post, simulator, door) -> None:
    door.answers = [500, 401]
    await post(mail("ada@example.com"))
    await eventually(lambda: simulator.tally.reports_total == 2)
    assert len({one.body for one in door.posts}) == 1
    assert len(door.posts) == 3


async def test_a_report_nobody_takes_is_given_up(post, simulator, door) -> None:
    door.answers = [503] * 3
    await post(mail("ada@example.com"))
    await eventually(lambda: simulator.tally.reports_lost_total == 2)
    assert len(door.posts) == 3


async def test_silence_is_silent(post, simulator, door) -> None:
    await post(mail("silent@example.com"))
    await post(mail("ada@example.com"))
    await eventually(lambda: len(receipts(simulator, door)) == 2)
    assert simulator.messages()[0].status is None
