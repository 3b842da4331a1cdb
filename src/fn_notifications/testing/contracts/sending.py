"""What every `Sender` keeps to. Subclass, provide the `subject` fixture, and pytest runs the rules."""

import asyncio
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import pytest
from attrs import frozen

from fn_notifications.application.ports.sending import Content, Delivered, Mailbox, Message, Sender
from fn_notifications.domain.address import EMAIL, Address, Channel
from fn_notifications.domain.outcome import Outcome, OutcomeKind, Scope
from fn_notifications.testing.waiting import eventually

KINDS: Final[Mapping[str, OutcomeKind]] = MappingProxyType(
    {
        "accept": OutcomeKind.ACCEPTED,
        "reject": OutcomeKind.REFUSED,
        "unauthorised": OutcomeKind.UNSENT,
        "ratelimited": OutcomeKind.UNSENT,
        "throttled": OutcomeKind.UNSENT,
        "unavailable": OutcomeKind.UNSENT,
        "error500": OutcomeKind.IN_DOUBT,
        "reset-before": OutcomeKind.IN_DOUBT,
        "reset-after": OutcomeKind.IN_DOUBT,
    }
)
"""The words a scripted subject's addresses stand for, and what each must come to."""


@frozen(kw_only=True)
class Subject:
    """A sender under test, and the provider behind it as the test sees it."""

    sender: Sender
    channel: Channel
    mailbox: Mailbox
    """What the provider received, refused messages too."""
    address: Callable[[str], Address]
    """An address that makes the provider do what the word says; "accept" when it can do nothing else."""
    requests: Callable[[], int]
    """How many requests the provider has had."""
    hasty: Sender
    """The same sender with a deadline of about a second; `sender` is patient."""
    unreachable: Sender
    """The same sender with nobody at the other end."""


def message(subject: Subject, number: int, word: str = "accept") -> Message:
    """A message that can be told from any other."""
    return Message(
        attempt_id=f"{number:032x}-1-1",
        channel=subject.channel,
        to=subject.address(word),
        content=Content(
            text=f"Text {number}: a wallet was found ✓",
            subject=f"Subject {number}" if subject.channel == EMAIL else None,
            html=f"<p>Text <b>{number}</b></p>" if subject.channel == EMAIL else None,
        ),
        notification_type="match_detected",
    )


def _received(subject: Subject, one: Message) -> list[Delivered]:
    return [kept for kept in subject.mailbox.messages() if kept.attempt_id == one.attempt_id]


class SenderContract:
    """Rules for any sender, even one that cannot fail."""

    async def test_nothing_in_nothing_out(self, subject: Subject) -> None:
        """An empty batch asks for nothing and sends nothing."""
        assert list(await subject.sender.send([])) == []
        assert (list(subject.mailbox.messages()), subject.requests()) == ([], 0)

    async def test_a_message_arrives_as_it_was(self, subject: Subject) -> None:
        """Address, text, subject and HTML come out as they went in."""
        one = message(subject, 1)
        await subject.sender.send([one])
        (kept,) = subject.mailbox.messages()
        assert (kept.to, kept.channel, kept.answer) == (one.to.value, subject.channel, "accepted")
        assert (kept.text, kept.subject, kept.html) == (one.content.text, one.content.subject, one.content.html)

    async def test_every_message_arrives_once_under_its_attempt(self, subject: Subject) -> None:
        """Our id travels with each message; one request carries one message."""
        batch = [message(subject, number) for number in range(20)]
        outcomes = await subject.sender.send(batch)
        assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED] * 20
        assert [len(_received(subject, one)) for one in batch] == [1] * 20
        assert subject.requests() == 20

    async def test_the_provider_names_each_message(self, subject: Subject) -> None:
        """Two accepted messages never share the provider's id."""
        outcomes = await subject.sender.send([message(subject, number) for number in range(5)])
        assert len({outcome.provider_id for outcome in outcomes} - {None}) == 5

    async def test_the_same_text_again_is_another_message(self, subject: Subject) -> None:
        """A sender remembers nothing: whether to repeat is decided elsewhere."""
        await subject.sender.send([message(subject, 1)])
        await subject.sender.send([message(subject, 1)])
        assert len(_received(subject, message(subject, 1))) == 2

    async def test_nothing_personal_is_shown(self, subject: Subject) -> None:
        """Neither address nor text is in the repr of an outcome, a message or the sender."""
        one = message(subject, 1)
        shown = f"{await subject.sender.send([one])!r} {one!r} {subject.sender!r} {subject.sender}"
        assert one.to.value not in shown
        assert one.content.text not in shown


class BatchSenderContract:
    """Rules for a sender whose provider takes several messages in one request, at least twenty."""

    async def test_one_request_carries_many(self, subject: Subject) -> None:
        """Each arrives as it was, once, under its own attempt and with a name of its own."""
        batch = [message(subject, number, f"person-{number}") for number in range(20)]
        outcomes = await subject.sender.send(batch)
        assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED] * 20
        assert len({outcome.provider_id for outcome in outcomes} - {None}) == 20
        assert subject.requests() == 1
        for one in batch:
            kept = [(kept.to, kept.subject, kept.text, kept.html) for kept in _received(subject, one)]
            assert kept == [(one.to.value, one.content.subject, one.content.text, one.content.html)]

    async def test_nobody_is_twice_in_one_request(self, subject: Subject) -> None:
        """Two messages to one address go by two requests, each with its own outcome."""
        words = ["person-1", "person-2", "person-1"]
        batch = [message(subject, number, word) for number, word in enumerate(words)]
        outcomes = await subject.sender.send(batch)
        assert [outcome.kind for outcome in outcomes] == [OutcomeKind.ACCEPTED] * 3
        assert [len(_received(subject, one)) for one in batch] == [1] * 3
        assert subject.requests() == 2

    async def test_a_refused_one_fails_no_other(self, subject: Subject) -> None:
        """Who is at fault fails for good; the others were not sent, lose no try, and go without it."""
        batch = [message(subject, n, word) for n, word in enumerate(["person-1", "reject", "person-2", "reject+1"])]
        first, bad, second, worse = await subject.sender.send(batch)
        assert (bad.kind, worse.kind) == (OutcomeKind.REFUSED, OutcomeKind.REFUSED)
        for outcome in (first, second):
            assert (outcome.kind, outcome.scope) == (OutcomeKind.UNSENT, Scope.BATCH)
            _assert_speaks_in_tokens(outcome)
        assert subject.requests() == 1
        again = await subject.sender.send([batch[0], batch[2]])
        assert [outcome.kind for outcome in again] == [OutcomeKind.ACCEPTED] * 2
        assert [kept.answer == "accepted" for kept in _received(subject, batch[0])] == [False, True]

    async def test_a_fault_of_nobody_in_particular_fails_nobody(self, subject: Subject) -> None:
        """Nobody can tell who is at fault until it stands alone."""
        batch = [message(subject, n, word) for n, word in enumerate(["person-1", "reject-content", "person-2"])]
        outcomes = await subject.sender.send(batch)
        assert {(outcome.kind, outcome.scope) for outcome in outcomes} == {(OutcomeKind.UNSENT, Scope.BATCH)}
        (alone,) = await subject.sender.send([batch[1]])
        assert (alone.kind, subject.requests()) == (OutcomeKind.REFUSED, 2)

    async def test_a_request_without_an_answer_is_a_doubt_about_each(self, subject: Subject) -> None:
        """All of them may have been taken."""
        words = ["person-1", "reset-after", "person-2"]
        outcomes = await subject.sender.send([message(subject, number, word) for number, word in enumerate(words)])
        assert [outcome.kind for outcome in outcomes] == [OutcomeKind.IN_DOUBT] * 3
        assert subject.requests() == 1

    async def test_being_told_to_wait_is_said_to_each(self, subject: Subject) -> None:
        """The way is not free: nobody is at fault."""
        words = ["person-1", "ratelimited", "person-2"]
        outcomes = await subject.sender.send([message(subject, number, word) for number, word in enumerate(words)])
        assert {(outcome.kind, outcome.scope) for outcome in outcomes} == {(OutcomeKind.UNSENT, Scope.ROUTE)}
        assert all(outcome.retry_after for outcome in outcomes)

    async def test_outcomes_of_several_requests_keep_the_order_of_the_messages(self, subject: Subject) -> None:
        """Whichever request a message went by, its outcome is in its place."""
        words = ["person-1", "person-1", "reject", "person-1"]
        outcomes = await subject.sender.send([message(subject, number, word) for number, word in enumerate(words)])
        kinds = [OutcomeKind.UNSENT, OutcomeKind.ACCEPTED, OutcomeKind.REFUSED, OutcomeKind.ACCEPTED]
        assert [outcome.kind for outcome in outcomes] == kinds


class ScriptedSenderContract(SenderContract):
    """Rules for a sender whose provider can be made to refuse, stall and break."""

    @pytest.mark.parametrize("word", KINDS)
    async def test_every_answer_is_an_outcome(self, subject: Subject, word: str) -> None:
        """Whatever the provider does, `send` returns what it means, after exactly one request."""
        (outcome,) = await subject.sender.send([message(subject, 1, word)])
        assert outcome.kind is KINDS[word]
        assert subject.requests() == 1
        _assert_speaks_in_tokens(outcome)

    async def test_outcomes_keep_the_order_of_the_messages(self, subject: Subject) -> None:
        """One outcome per message, in its place, whichever came back first."""
        words = ["accept", "reject", "accept", "ratelimited", "reset-before", "accept", "error500", "unavailable"] * 4
        outcomes = await subject.sender.send([message(subject, n, word) for n, word in enumerate(words)])
        assert [outcome.kind for outcome in outcomes] == [KINDS[word] for word in words]
        assert subject.requests() == len(words)

    async def test_being_told_to_wait_is_about_the_route(self, subject: Subject) -> None:
        """A 429 blames no message, and the wait it asks for is passed on."""
        asked, silent = await subject.sender.send(
            [message(subject, 1, "ratelimited"), message(subject, 2, "throttled")]
        )
        assert (asked.scope, silent.scope) == (Scope.ROUTE, Scope.ROUTE)
        assert asked.retry_after is not None
        assert silent.retry_after is None

    async def test_bad_credentials_stop_the_account_not_the_message(self, subject: Subject) -> None:
        """What would fail every message costs none of them a try."""
        (outcome,) = await subject.sender.send([message(subject, 1, "unauthorised")])
        assert outcome.scope is Scope.ACCOUNT
        assert not outcome.spends

    @pytest.mark.parametrize("word", ["reset-after", "hang"])
    async def test_taken_without_an_answer_is_in_doubt(self, subject: Subject, word: str) -> None:
        """The provider has it, we do not know: neither failed nor sent again."""
        one = message(subject, 1, word)
        (outcome,) = await subject.hasty.send([one])
        assert (outcome.kind, subject.requests()) == (OutcomeKind.IN_DOUBT, 1)
        assert [kept.answer for kept in _received(subject, one)] == ["accepted"]

    async def test_nobody_there_is_proof_of_not_sent(self, subject: Subject) -> None:
        """A refused connection costs no try and leaves no doubt."""
        (outcome,) = await subject.unreachable.send([message(subject, 1, "unreachable")])
        assert (outcome.kind, outcome.scope) == (OutcomeKind.UNSENT, Scope.ROUTE)
        assert not subject.mailbox.messages()

    async def test_cancellation_is_passed_on(self, subject: Subject) -> None:
        """A cancelled call ends as cancelled, and the sender can be used again."""
        call = asyncio.create_task(subject.sender.send([message(subject, 1, "hang")]))
        await eventually(subject.mailbox.messages)
        call.cancel()
        await asyncio.wait([call])
        assert call.cancelled()
        (outcome,) = await subject.sender.send([message(subject, 2)])
        assert outcome.kind is OutcomeKind.ACCEPTED
        assert subject.requests() == 2


def _assert_speaks_in_tokens(outcome: Outcome) -> None:
    """A refusal says why, and says it in a short token: codes end in metrics and in `explain`."""
    assert outcome.kind is OutcomeKind.ACCEPTED or outcome.code
    assert outcome.code is None or (outcome.code.replace("_", "").isalnum() and len(outcome.code) <= 40)
