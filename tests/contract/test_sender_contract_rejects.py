"""The sender contract catches senders that break it: each planted fault must fail the rule it breaks."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

import pytest
from attrs import evolve, frozen

from fn_notifications.adapters.memory.sending import NUMBERS, MemoryMailbox, MemorySender
from fn_notifications.application.ports.sending import Message, Sender
from fn_notifications.domain.address import EMAIL, SMS, EmailAddress, PhoneNumber
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope
from fn_notifications.testing.contracts.sending import BatchSenderContract, ScriptedSenderContract, Subject

PHONE = {word: PhoneNumber(number) for number, word in NUMBERS.items()}


@frozen
class Planted:
    """A sound sender to spoil."""

    sound: Sender


class RetriesTwice(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = await self.sound.send(messages)
        again = [m for m, outcome in zip(messages, outcomes, strict=True) if outcome.kind is OutcomeKind.IN_DOUBT]
        return outcomes if not again else await self.sound.send(again)


class RaisesOn429(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = await self.sound.send(messages)
        if any(outcome.code == "rate_limited" for outcome in outcomes):
            raise RuntimeError("too many requests")
        return outcomes


class LosesOrder(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return sorted(await self.sound.send(messages), key=lambda outcome: outcome.kind)


class ForgetsOne(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return (await self.sound.send(messages))[:19]


class SwallowsCancellation(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        try:
            return await self.sound.send(messages)
        except asyncio.CancelledError:
            return [Outcome(kind=OutcomeKind.IN_DOUBT, code="cancelled") for _ in messages]


class CallsDoubtARefusal(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = await self.sound.send(messages)
        return [evolve(one, kind=OutcomeKind.REFUSED) if one.kind is OutcomeKind.IN_DOUBT else one for one in outcomes]


class LosesTheAttempt(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return await self.sound.send([evolve(message, attempt_id="0" * 32 + "-1-1") for message in messages])


class TellsTheAddress(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = await self.sound.send(messages)
        return [evolve(one, provider_id=m.to.value) for m, one in zip(messages, outcomes, strict=True)]


class SpeaksInSentences(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return [evolve(one, code="the provider was not happy") for one in await self.sound.send(messages)]


class SkipsRepeats(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        known = {kept.attempt_id for kept in self.sound._mailbox.messages()}
        return await self.sound.send([message for message in messages if message.attempt_id not in known])


class ForgetsToWait(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return [evolve(one, retry_after=None) for one in await self.sound.send(messages)]


class SendsOneByOne(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return [outcome for message in messages for outcome in await self.sound.send([message])]


class GivesAllOneName(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return [evolve(one, provider_id=one.provider_id and "one") for one in await self.sound.send(messages)]


class SendsNobodyTwo(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        people = {message.to: message for message in reversed(messages)}
        outcomes = dict(zip(people, await self.sound.send(list(people.values())), strict=True))
        return [outcomes[message.to] for message in messages]


class FailsTheOthersToo(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = await self.sound.send(messages)
        return [evolve(one, kind=OutcomeKind.REFUSED) if one.scope is Scope.BATCH else one for one in outcomes]


class SendsTheOthersAgain(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        outcomes = list(await self.sound.send(messages))
        left = [place for place, one in enumerate(outcomes) if one.code == "another_refused"]
        for place, outcome in zip(left, await self.sound.send([messages[place] for place in left]), strict=True):
            outcomes[place] = outcome
        return outcomes


class BlamesTheFirst(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        first, *others = await self.sound.send(messages)
        return [evolve(first, kind=OutcomeKind.REFUSED) if first.code == "refused_together" else first, *others]


class HearsForTheFirst(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        first, *others = await self.sound.send(messages)
        return [first, *(Outcome(kind=OutcomeKind.UNSENT, scope=Scope.BATCH, code="silence") for _ in others)]


class MixesRequestsUp(Planted):
    async def send(self, messages: Sequence[Message]) -> Sequence[Outcome]:
        return sorted(await self.sound.send(messages), key=lambda outcome: outcome.code or "")


CONTRACT = ScriptedSenderContract()
BATCHES = BatchSenderContract()


@pytest.mark.parametrize(
    ("planted", "rule"),
    [
        (RetriesTwice, lambda subject: CONTRACT.test_every_answer_is_an_outcome(subject, "error500")),
        (RaisesOn429, lambda subject: CONTRACT.test_every_answer_is_an_outcome(subject, "throttled")),
        (LosesOrder, CONTRACT.test_outcomes_keep_the_order_of_the_messages),
        (ForgetsOne, CONTRACT.test_every_message_arrives_once_under_its_attempt),
        (SwallowsCancellation, CONTRACT.test_cancellation_is_passed_on),
        (CallsDoubtARefusal, lambda subject: CONTRACT.test_taken_without_an_answer_is_in_doubt(subject, "reset-after")),
        (LosesTheAttempt, CONTRACT.test_every_message_arrives_once_under_its_attempt),
        (TellsTheAddress, CONTRACT.test_nothing_personal_is_shown),
        (SpeaksInSentences, lambda subject: CONTRACT.test_every_answer_is_an_outcome(subject, "reject")),
        (SkipsRepeats, CONTRACT.test_the_same_text_again_is_another_message),
        (ForgetsToWait, CONTRACT.test_being_told_to_wait_is_about_the_route),
    ],
)
async def test_a_broken_sender_fails_its_rule(planted: Callable[[Sender], Sender], rule) -> None:
    """The sound sender passes the same rule, so it is the planted fault that fails it."""
    await rule(subject_of(lambda sound: sound))
    with pytest.raises((AssertionError, RuntimeError)):
        await rule(subject_of(planted))


@pytest.mark.parametrize(
    ("planted", "rule"),
    [
        (SendsOneByOne, BATCHES.test_one_request_carries_many),
        (GivesAllOneName, BATCHES.test_one_request_carries_many),
        (LosesTheAttempt, BATCHES.test_one_request_carries_many),
        (SendsNobodyTwo, BATCHES.test_nobody_is_twice_in_one_request),
        (FailsTheOthersToo, BATCHES.test_a_refused_one_fails_no_other),
        (SendsTheOthersAgain, BATCHES.test_a_refused_one_fails_no_other),
        (BlamesTheFirst, BATCHES.test_a_fault_of_nobody_in_particular_fails_nobody),
        (HearsForTheFirst, BATCHES.test_a_request_without_an_answer_is_a_doubt_about_each),
        (HearsForTheFirst, BATCHES.test_being_told_to_wait_is_said_to_each),
        (MixesRequestsUp, BATCHES.test_outcomes_of_several_requests_keep_the_order_of_the_messages),
    ],
)
async def test_a_broken_sender_of_batches_fails_its_rule(planted: Callable[[Sender], Sender], rule) -> None:
    """Likewise."""
    await rule(subject_of_batches(lambda sound: sound))
    with pytest.raises(AssertionError):
        await rule(subject_of_batches(planted))


def subject_of_batches(spoil: Callable[[Sender], Sender]) -> Subject:
    mailbox = MemoryMailbox()
    sound = MemorySender(mailbox, EMAIL, lambda: datetime(2026, 11, 22, tzinfo=UTC), 0.5, 1000)
    sender = spoil(sound)
    return Subject(
        sender=sender,
        channel=EMAIL,
        mailbox=mailbox,
        address=lambda word: EmailAddress(f"{word}@example.com"),
        requests=lambda: len(sound.calls),
        hasty=sender,
        unreachable=sender,
    )


def subject_of(spoil: Callable[[Sender], Sender]) -> Subject:
    mailbox = MemoryMailbox()
    sender = spoil(MemorySender(mailbox, SMS, lambda: datetime(2026, 11, 22, tzinfo=UTC), 0.5))
    return Subject(
        sender=sender,
        channel=SMS,
        mailbox=mailbox,
        address=lambda word: PHONE.get(word, PhoneNumber("+15005550100")),
        requests=lambda: len(mailbox.messages()),
        hasty=sender,
        unreachable=sender,
    )
