"""Every lookup keeps the same rules: in memory, and Twilio's against the simulator."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from attrs import evolve

from fn_notifications.adapters.memory.lookup import MemoryLookup
from fn_notifications.adapters.memory.sending import MemoryMailbox, MemorySender
from fn_notifications.adapters.transport.aiohttp import open_transport
from fn_notifications.adapters.twilio.lookup import TwilioLookup
from fn_notifications.adapters.twilio.sender import TwilioSender
from fn_notifications.adapters.twilio.settings import TwilioSettings
from fn_notifications.application.ports.lookup import NOTHING, UNANSWERED, Known, Lookup
from fn_notifications.application.ports.sending import Content, Message, Sender
from fn_notifications.domain.address import SMS, WHATSAPP, Address, Channel, PhoneNumber
from fn_notifications.simulator.server import Simulator
from fn_notifications.testing.contracts.lookup import LookupContract, Subject

ADA, BEA = PhoneNumber("+15005550101"), PhoneNumber("+15005550102")
REFUSED = PhoneNumber("+15005550001")
NOWHERE = "http://127.0.0.1:1"


def now() -> datetime:
    return datetime.now(UTC)


def subject_of(sender: Sender, channel: Channel, *, lookup: Lookup, unreachable: Lookup) -> Subject:
    async def hand_over(to: Address, text: str) -> str:
        message = Message(
            attempt_id=f"{9:032x}-1-1", channel=channel, to=to, content=Content(text=text), notification_type="news"
        )
        (outcome,) = await sender.send([message])
        return outcome.provider_id or ""

    async def refuse(text: str) -> Address:
        await hand_over(REFUSED, text)
        return REFUSED

    return Subject(
        lookup=lookup,
        channel=channel,
        ada=ADA,
        bea=BEA,
        now=now,
        take=hand_over,
        refuse=refuse,
        unreachable=unreachable,
    )


def in_memory(kind: type[MemoryLookup] = MemoryLookup) -> Subject:
    mailbox = MemoryMailbox()
    sender = MemorySender(mailbox, SMS, now)
    return subject_of(sender, SMS, lookup=kind(mailbox), unreachable=kind(mailbox, lambda: False))


class TestMemory(LookupContract):
    @pytest.fixture
    def subject(self) -> Subject:
        return in_memory()


class TestTwilio(LookupContract):
    @pytest.fixture(params=[SMS, WHATSAPP])
    async def subject(self, request: pytest.FixtureRequest) -> AsyncIterator[Subject]:
        channel = request.param
        async with Simulator() as simulator, open_transport() as transport:
            settings = TwilioSettings(
                account_sid=simulator.twilio_account_sid,
                auth_token=simulator.twilio_auth_token,
                phone_number=PhoneNumber("+15005550006"),
                whatsapp_number=PhoneNumber("+15005550006"),
                base_url=simulator.base_url,
            )
            sender = TwilioSender(settings, channel, transport)

            yield subject_of(
                sender,
                channel,
                lookup=TwilioLookup(settings, transport),
                unreachable=TwilioLookup(evolve(settings, base_url=NOWHERE), transport),
            )


class TakesTheFirst(MemoryLookup):
    """Two that fit are one too many; it does not mind."""

    async def ask(self, questions):
        answers = []
        for one in questions:
            taken = one.taken
            while True:
                (answer,) = await super().ask([evolve(one, taken=taken)])
                ids = {f"memory-{n}" for n in range(1, 1 + len(self._mailbox.messages()))} - taken
                if answer.known is Known.FOUND or len(ids) < 2:
                    break
                taken |= {max(ids)}
            answers.append(answer)
        return answers


class ForgetsWhoseItIs(MemoryLookup):
    async def ask(self, questions):
        return await super().ask([evolve(one, taken=frozenset()) for one in questions])


class KnowsNoTime(MemoryLookup):
    async def ask(self, questions):
        return await super().ask([evolve(one, started_at=now()) for one in questions])


class TakesSilenceForProof(MemoryLookup):
    async def ask(self, questions):
        return [NOTHING if answer == UNANSWERED else answer for answer in await super().ask(questions)]


class AnswersAsTheyCome(MemoryLookup):
    async def ask(self, questions):
        return sorted(await super().ask(questions), key=lambda answer: answer.provider_id or "")


@pytest.mark.parametrize(
    ("planted", "rule"),
    [
        (TakesTheFirst, "test_two_that_fit_prove_nothing"),
        (ForgetsWhoseItIs, "test_what_is_known_to_be_anothers_does_not_fit"),
        (KnowsNoTime, "test_nothing_that_fits_proves_nothing"),
        (TakesSilenceForProof, "test_nobody_there_is_no_answer_and_no_error"),
        (AnswersAsTheyCome, "test_answers_keep_the_order_of_the_questions"),
    ],
)
async def test_a_broken_lookup_fails_its_rule(planted: type[MemoryLookup], rule: str) -> None:
    await getattr(LookupContract(), rule)(in_memory())
    with pytest.raises(AssertionError):
        await getattr(LookupContract(), rule)(in_memory(planted))
