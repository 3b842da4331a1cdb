"""Every mailbox against the one contract, and the contract against broken ones."""

from datetime import UTC, datetime

import pytest

from fn_notifications.adapters.local.sender import LocalMailbox, LocalSender
from fn_notifications.adapters.memory.sending import MemoryMailbox, MemorySender
from fn_notifications.adapters.sendgrid.sender import SendGridSender
from fn_notifications.adapters.sendgrid.settings import SendGridSettings
from fn_notifications.adapters.transport.aiohttp import open_transport
from fn_notifications.application.ports.sending import Content, Message, Sender
from fn_notifications.domain.address import EMAIL, EmailAddress
from fn_notifications.simulator.server import Simulator
from fn_notifications.testing.contracts.mailbox import MailboxContract, Subject

ANA = EmailAddress("ana@example.com")


def now() -> datetime:
    return datetime(2026, 11, 22, 12, tzinfo=UTC)


def subject_of(mailbox, sender: Sender) -> Subject:
    sent = iter(range(1000))

    async def send(text: str) -> object:
        content = Content(subject="Hello", text=text)
        id_ = f"{'0' * 32}-1-{next(sent)}"
        message = Message(attempt_id=id_, channel=EMAIL, to=ANA, content=content, notification_type="t")
        return await sender.send([message])

    return Subject(mailbox=mailbox, send=send)


class TestLocalMailbox(MailboxContract):
    @pytest.fixture
    def subject(self):
        mailbox = LocalMailbox()
        return subject_of(mailbox, LocalSender(mailbox, EMAIL, now))


class TestMemoryMailbox(MailboxContract):
    @pytest.fixture
    def subject(self):
        mailbox = MemoryMailbox()
        return subject_of(mailbox, MemorySender(mailbox, EMAIL, now))


class TestSimulator(MailboxContract):
    @pytest.fixture
    async def subject(self):
        async with Simulator() as simulator, open_transport() as transport:
            settings = SendGridSettings(
                api_key=simulator.sendgrid_api_key,
                from_email=EmailAddress("notifications@example.com"),
                base_url=simulator.base_url,
            )
            yield subject_of(simulator, SendGridSender(settings, transport))


class Backwards(MemoryMailbox):
    def messages(self):
        return super().messages()[::-1]


class Living(MemoryMailbox):
    def messages(self):
        return self._received


class Forgetful(MemoryMailbox):
    def messages(self):
        seen = super().messages()
        self._received.clear()
        return seen


@pytest.mark.parametrize("broken", [Backwards, Living, Forgetful])
async def test_the_contract_rejects(broken):
    failed = []
    for name in dir(MailboxContract):
        if name.startswith("test_"):
            mailbox = broken()
            try:
                await getattr(MailboxContract(), name)(subject_of(mailbox, MemorySender(mailbox, EMAIL, now)))
            except AssertionError:
                failed.append(name)
    assert failed
