"""Many calls at once: in order, all cancelled together, none abandoned because another broke."""

import asyncio

import pytest

from fn_notifications.adapters.transport.calls import call_each
from fn_notifications.application.ports.sending import Content, Message
from fn_notifications.domain.address import SMS, PhoneNumber
from fn_notifications.domain.outcome import Outcome, OutcomeKind
from fn_notifications.testing.waiting import eventually

MESSAGES = [
    Message(
        attempt_id=str(number),
        channel=SMS,
        to=PhoneNumber("+15005550100"),
        content=Content(text="Hi"),
        notification_type="welcome",
    )
    for number in range(5)
]


def accepted(message: Message) -> Outcome:
    return Outcome(kind=OutcomeKind.ACCEPTED, provider_id=message.attempt_id)


async def test_outcomes_keep_the_order_whoever_answers_first() -> None:
    async def last_first(message: Message) -> Outcome:
        for _ in range(10 - int(message.attempt_id)):
            await asyncio.sleep(0)
        return accepted(message)

    assert await call_each(MESSAGES, last_first) == [accepted(message) for message in MESSAGES]


async def test_a_broken_call_is_raised_after_the_others_ended() -> None:
    ended = []

    async def first_breaks(message: Message) -> Outcome:
        if message.attempt_id == "0":
            raise ZeroDivisionError
        await asyncio.sleep(0)
        ended.append(message.attempt_id)
        return accepted(message)

    with pytest.raises(ZeroDivisionError):
        await call_each(MESSAGES, first_breaks)
    assert ended == ["1", "2", "3", "4"]


async def test_cancelling_cancels_every_call() -> None:
    begun, cancelled = [], []

    async def hang(message: Message) -> Outcome:
        begun.append(message.attempt_id)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.append(message.attempt_id)
            raise
        return accepted(message)

    calls = asyncio.create_task(call_each(MESSAGES, hang))
    await eventually(lambda: len(begun) == 5)
    calls.cancel()
    with pytest.raises(asyncio.CancelledError):
        await calls
    assert cancelled == begun
