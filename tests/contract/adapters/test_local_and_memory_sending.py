"""What the mailboxes on this machine do beside the sender contract."""

from datetime import UTC, datetime, timedelta

import pytest

from fn_notifications.adapters.local.sender import LocalMailbox, LocalSender
from fn_notifications.adapters.memory.sending import NUMBERS, SCRIPT, MemoryMailbox, MemorySender
from fn_notifications.application.ports.sending import Content, Message
from fn_notifications.domain.address import EMAIL, SMS, EmailAddress, PhoneNumber
from fn_notifications.domain.outcome import OutcomeKind

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def message(to: EmailAddress | PhoneNumber, text: str = "Hi") -> Message:
    channel = EMAIL if isinstance(to, EmailAddress) else SMS
    return Message(attempt_id="a-1-1", channel=channel, to=to, content=Content(text=text), notification_type="welcome")


async def test_the_local_mailbox_keeps_the_newest_and_shares_its_numbers() -> None:
    mailbox = LocalMailbox(keep=2)
    email, sms = LocalSender(mailbox, EMAIL, lambda: NOW), LocalSender(mailbox, SMS, lambda: NOW)
    for number, sender in enumerate([email, sms, email]):
        (outcome,) = await sender.send([message(EmailAddress("ada@example.com"), str(number))])
        assert outcome.provider_id == f"local-{number + 1}"
    assert [(kept.text, kept.channel, kept.at) for kept in mailbox.messages()] == [("1", SMS, NOW), ("2", EMAIL, NOW)]


@pytest.mark.parametrize("word", SCRIPT)
async def test_a_word_is_its_outcome(word: str) -> None:
    sender = MemorySender(MemoryMailbox(), EMAIL, lambda: NOW)
    (outcome,) = await sender.send([message(EmailAddress(f"{word}@example.com"))])
    assert outcome == SCRIPT[word]


@pytest.mark.parametrize("number", NUMBERS)
async def test_a_number_stands_for_its_word(number: str) -> None:
    sender = MemorySender(MemoryMailbox(), SMS, lambda: NOW)
    (outcome,) = await sender.send([message(PhoneNumber(number))])
    assert outcome == SCRIPT[NUMBERS[number].removesuffix("-once")]


async def test_once_is_once_per_address() -> None:
    sender = MemorySender(MemoryMailbox(), EMAIL, lambda: NOW)
    kinds = []
    for name in ("unavailable-once@example.com", "Unavailable-once@example.com", "unavailable-once@example.com"):
        (outcome,) = await sender.send([message(EmailAddress(name))])
        kinds.append(outcome.kind)
    assert kinds == [OutcomeKind.UNSENT, OutcomeKind.ACCEPTED, OutcomeKind.ACCEPTED]


@pytest.mark.parametrize(
    ("name", "seconds"), [("ratelimited", 1), ("ratelimited+30", 30), ("ratelimited-once+5", 5), ("throttled+5", None)]
)
async def test_the_address_says_how_long_to_wait(name: str, seconds: int | None) -> None:
    sender = MemorySender(MemoryMailbox(), EMAIL, lambda: NOW)
    (outcome,) = await sender.send([message(EmailAddress(f"{name}@example.com"))])
    assert outcome.retry_after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("name", ["rejected", "ada", "reject+tag", "reject.", "REJECT"])
async def test_anybody_else_is_accepted(name: str) -> None:
    sender = MemorySender(MemoryMailbox(), EMAIL, lambda: NOW)
    (outcome,) = await sender.send([message(EmailAddress(f"{name}@example.com"))])
    assert outcome.kind is OutcomeKind.ACCEPTED
