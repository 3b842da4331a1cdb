"""What every `Lookup` keeps to. Subclass, provide the `subject` fixture, and pytest runs the rules."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import evolve, frozen

from fn_notifications.application.ports.lookup import LONGEST_CALL, NOTHING, SKEW, Known, Lookup, Question
from fn_notifications.domain.address import Address, Channel
from fn_notifications.domain.events import Evidence

TEXT: Final = "Your wallet was found ✓"
MINUTE: Final = timedelta(minutes=1)


@frozen(kw_only=True)
class Subject:
    """A lookup under test, and its provider as the test sees it."""

    lookup: Lookup
    channel: Channel
    ada: Address
    bea: Address
    now: Callable[[], datetime]
    """By the provider's clock."""
    take: Callable[[Address, str], Awaitable[str]]
    """Have the provider take a message; its name for it."""
    refuse: Callable[[str], Awaitable[Address]]
    """Have a message with this text refused; whom it was to."""
    unreachable: Lookup
    """The same lookup with nobody at the other end."""


def about(subject: Subject, **more: Any) -> Question:
    """What became of the message to Ada, handed over just now?"""
    question = Question(
        attempt_id=f"{1:032x}-1-1", channel=subject.channel, started_at=subject.now(), to=subject.ada, text=TEXT
    )
    return evolve(question, **more)


class LookupContract:
    """Rules for asking."""

    async def test_no_question_no_answer(self, subject: Subject) -> None:
        """An empty batch asks nothing."""
        assert list(await subject.lookup.ask([])) == []
        assert list(await subject.unreachable.ask([])) == []

    async def test_a_message_is_found_by_the_providers_name_for_it(self, subject: Subject) -> None:
        """Whatever else the question holds."""
        name = await subject.take(subject.ada, TEXT)
        (told,) = await subject.lookup.ask([about(subject, provider_id=name, to=None, text=None)])
        assert (told.known, told.provider_id) == (Known.FOUND, name)
        assert told.evidence is not None
        assert told.evidence >= Evidence.ACCEPTED

    async def test_a_name_the_provider_does_not_know_proves_nothing(self, subject: Subject) -> None:
        """Not even that it was not sent."""
        await subject.take(subject.ada, TEXT)
        assert list(await subject.lookup.ask([about(subject, provider_id="SM0unknown")])) == [NOTHING]

    async def test_without_a_name_the_one_that_fits_is_found(self, subject: Subject) -> None:
        """By address, text and time, among others."""
        name = await subject.take(subject.ada, TEXT)
        await subject.take(subject.ada, "Something else")
        await subject.take(subject.bea, TEXT)
        (told,) = await subject.lookup.ask([about(subject)])
        assert (told.known, told.provider_id) == (Known.FOUND, name)

    async def test_nothing_that_fits_proves_nothing(self, subject: Subject) -> None:
        """Another text, another person, another time; or nothing to seek it by."""
        await subject.take(subject.ada, TEXT)
        questions = [
            about(subject, text=TEXT.lower()),
            about(subject, to=subject.bea),
            about(subject, started_at=subject.now() + SKEW + MINUTE),
            about(subject, started_at=subject.now() - LONGEST_CALL - MINUTE),
            about(subject, to=None),
            about(subject, text=None),
        ]
        assert list(await subject.lookup.ask(questions)) == [NOTHING] * len(questions)

    async def test_two_that_fit_prove_nothing(self, subject: Subject) -> None:
        """Either may be another attempt's."""
        await subject.take(subject.ada, TEXT)
        await subject.take(subject.ada, TEXT)
        assert list(await subject.lookup.ask([about(subject)])) == [NOTHING]

    async def test_what_is_known_to_be_anothers_does_not_fit(self, subject: Subject) -> None:
        """The one that is left is found; if none is left, nothing is."""
        first, second = [await subject.take(subject.ada, TEXT) for _ in range(2)]
        questions = [about(subject, taken=frozenset({first})), about(subject, taken=frozenset({first, second}))]
        left, none = await subject.lookup.ask(questions)
        assert (left.known, left.provider_id) == (Known.FOUND, second)
        assert none == NOTHING

    async def test_what_was_refused_is_not_found(self, subject: Subject) -> None:
        """A provider keeps what it took."""
        to = await subject.refuse(TEXT)
        assert list(await subject.lookup.ask([about(subject, to=to)])) == [NOTHING]

    async def test_answers_keep_the_order_of_the_questions(self, subject: Subject) -> None:
        """Each its own."""
        names = [await subject.take(subject.ada, f"text {number}") for number in range(12)]
        questions = [about(subject, text=f"text {number}") for number in range(12)]
        questions[5] = about(subject, text="text never sent")
        found = [told.provider_id for told in await subject.lookup.ask(questions)]
        assert found == [*names[:5], None, *names[6:]]

    async def test_asking_changes_nothing(self, subject: Subject) -> None:
        """The same question has the same answer."""
        await subject.take(subject.ada, TEXT)
        first = list(await subject.lookup.ask([about(subject)]))
        assert list(await subject.lookup.ask([about(subject)] * 3)) == first * 3

    async def test_nobody_there_is_no_answer_and_no_error(self, subject: Subject) -> None:
        """It may be asked later."""
        answers = await subject.unreachable.ask([about(subject), about(subject, provider_id="SM1")])
        assert [told.known for told in answers] == [Known.UNANSWERED] * 2

    async def test_nothing_personal_is_shown(self, subject: Subject) -> None:
        """Neither address nor text is in the repr of a question, an answer or the lookup."""
        await subject.take(subject.ada, TEXT)
        one = about(subject)
        shown = f"{one!r} {await subject.lookup.ask([one])!r} {subject.lookup!r}"
        assert subject.ada.value not in shown
        assert TEXT not in shown
