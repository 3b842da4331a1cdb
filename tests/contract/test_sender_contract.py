"""Every sender keeps the same rules: in memory, the local mailbox, and the real adapters against the simulator."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from attrs import evolve

from fn_notifications.adapters.local.sender import LocalMailbox, LocalSender
from fn_notifications.adapters.memory.sending import NUMBERS, SCRIPT, MemoryMailbox, MemorySender
from fn_notifications.adapters.sendgrid.sender import SendGridSender
from fn_notifications.adapters.sendgrid.settings import SendGridSettings
from fn_notifications.adapters.transport.aiohttp import open_transport
from fn_notifications.adapters.transport.http import HttpTransport
from fn_notifications.adapters.twilio.sender import TwilioSender
from fn_notifications.adapters.twilio.settings import TwilioSettings
from fn_notifications.domain.address import EMAIL, SMS, WHATSAPP, Address, Channel, EmailAddress, PhoneNumber
from fn_notifications.simulator.behaviour import EMAILS, PHONES
from fn_notifications.simulator.server import Simulator
from fn_notifications.testing.contracts.sending import (
    BatchSenderContract,
    ScriptedSenderContract,
    SenderContract,
    Subject,
)

NOWHERE = "http://127.0.0.1:1"
PATIENT, HASTY = 60.0, 1.0


def now() -> datetime:
    return datetime(2026, 11, 22, 12, tzinfo=UTC)


def email(word: str) -> EmailAddress:
    return EmailAddress(f"{word}@example.com")


PHONE = {word: PhoneNumber(number) for number, word in NUMBERS.items()}


def phone(word: str) -> PhoneNumber:
    return PHONE.get(word, PhoneNumber("+15005550100"))


def addresses(channel: Channel):
    def address(word: str) -> Address:
        return email(word) if channel == EMAIL else phone(word)

    return address


@pytest.fixture
async def simulator() -> AsyncIterator[Simulator]:
    async with Simulator() as running:
        yield running


@pytest.fixture
async def transport() -> AsyncIterator[HttpTransport]:
    async with open_transport() as opened:
        yield opened


class TestLocal(SenderContract):
    @pytest.fixture(params=[EMAIL, WHATSAPP])
    def subject(self, request: pytest.FixtureRequest) -> Subject:
        mailbox = LocalMailbox()
        sender = LocalSender(mailbox, request.param, now)
        return Subject(
            sender=sender,
            channel=request.param,
            mailbox=mailbox,
            address=addresses(request.param),
            requests=lambda: len(mailbox.messages()),
            hasty=sender,
            unreachable=sender,
        )


class TestMemory(ScriptedSenderContract):
    @pytest.fixture(params=[EMAIL, SMS])
    def subject(self, request: pytest.FixtureRequest) -> Subject:
        mailbox = MemoryMailbox()
        sender = MemorySender(mailbox, request.param, now, PATIENT)
        return Subject(
            sender=sender,
            channel=request.param,
            mailbox=mailbox,
            address=addresses(request.param),
            requests=lambda: len(mailbox.messages()),
            hasty=MemorySender(mailbox, request.param, now),
            unreachable=sender,
        )


class TestMemoryTogether(BatchSenderContract):
    @pytest.fixture
    def subject(self) -> Subject:
        mailbox = MemoryMailbox()
        sender = MemorySender(mailbox, EMAIL, now, PATIENT, 1000)
        return Subject(
            sender=sender,
            channel=EMAIL,
            mailbox=mailbox,
            address=email,
            requests=lambda: len(sender.calls),
            hasty=sender,
            unreachable=sender,
        )


def sendgrid(simulator: Simulator, transport: HttpTransport, *, batch: int) -> Subject:
    settings = SendGridSettings(
        api_key=simulator.sendgrid_api_key,
        from_email=EmailAddress("hello@example.com"),
        base_url=simulator.base_url,
        batch=batch,
        deadline=PATIENT,
    )
    return Subject(
        sender=SendGridSender(settings, transport),
        channel=EMAIL,
        mailbox=simulator,
        address=email,
        requests=lambda: simulator.requests_total,
        hasty=SendGridSender(evolve(settings, deadline=HASTY), transport),
        unreachable=SendGridSender(evolve(settings, base_url=NOWHERE), transport),
    )


class TestSendGrid(ScriptedSenderContract):
    @pytest.fixture
    def subject(self, simulator: Simulator, transport: HttpTransport) -> Subject:
        return sendgrid(simulator, transport, batch=1)


class TestSendGridTogether(BatchSenderContract):
    @pytest.fixture
    def subject(self, simulator: Simulator, transport: HttpTransport) -> Subject:
        return sendgrid(simulator, transport, batch=1000)


class TestTwilio(ScriptedSenderContract):
    @pytest.fixture(params=[SMS, WHATSAPP])
    def subject(self, request: pytest.FixtureRequest, simulator: Simulator, transport: HttpTransport) -> Subject:
        settings = TwilioSettings(
            account_sid=simulator.twilio_account_sid,
            auth_token=simulator.twilio_auth_token,
            phone_number=PhoneNumber("+15005550006"),
            whatsapp_number=PhoneNumber("+15005550006"),
            status_callback_url="http://127.0.0.1:1/api/webhooks/twilio/status",
            base_url=simulator.base_url,
            deadline=PATIENT,
        )
        return Subject(
            sender=TwilioSender(settings, request.param, transport),
            channel=request.param,
            mailbox=simulator,
            address=phone,
            requests=lambda: simulator.requests_total,
            hasty=TwilioSender(evolve(settings, deadline=HASTY), request.param, transport),
            unreachable=TwilioSender(evolve(settings, base_url=NOWHERE), request.param, transport),
        )


def test_the_memory_sender_and_the_simulator_read_addresses_alike() -> None:
    """A word or number that stands for something in memory stands for something in the simulator."""
    assert set(SCRIPT) - {"optout", "unreachable"} <= set(EMAILS)
    assert {number for number, word in NUMBERS.items() if word != "unreachable"} <= set(PHONES)
