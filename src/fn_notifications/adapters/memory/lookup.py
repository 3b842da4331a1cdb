"""Asking the provider in memory what it did with a message."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from attrs import frozen

from fn_notifications.adapters.memory.sending import MemoryMailbox, provider_id
from fn_notifications.application.ports.lookup import NOTHING, UNANSWERED, Knowledge, Known, Question
from fn_notifications.application.ports.sending import Delivered
from fn_notifications.domain.events import Evidence

STATUSES: Final[Mapping[str | None, Evidence]] = MappingProxyType(
    {None: Evidence.ACCEPTED, "delivered": Evidence.DELIVERED, "failed": Evidence.UNDELIVERED}
)
"""What a message's last status proves (see `MemoryMailbox.report`)."""


def _always() -> bool:
    return True


@frozen(eq=False)
class MemoryLookup:
    """Answers from what a mailbox received, while `reachable` says so."""

    _mailbox: MemoryMailbox
    _reachable: Callable[[], bool] = _always

    async def ask(self, questions: Sequence[Question]) -> Sequence[Knowledge]:
        """See `Lookup.ask`."""
        await asyncio.sleep(0)
        if not self._reachable():
            return [UNANSWERED] * len(questions)
        taken = {
            provider_id(number): message
            for number, message in enumerate(self._mailbox.messages(), start=1)
            if message.answer == "accepted"
        }
        return [_answer(question, taken) for question in questions]


def _answer(question: Question, taken: Mapping[str, Delivered]) -> Knowledge:
    fitting = (
        [id_ for id_ in taken if id_ == question.provider_id]
        if question.provider_id
        else [id_ for id_, message in taken.items() if _fits(question, id_, message)]
    )
    if len(fitting) != 1:
        return NOTHING
    evidence = STATUSES.get(taken[fitting[0]].status, Evidence.ACCEPTED)
    return Knowledge(known=Known.FOUND, evidence=evidence, provider_id=fitting[0])


def _fits(question: Question, id_: str, message: Delivered) -> bool:
    return message.channel == question.channel and question.may_be(
        provider_id=id_, to=message.to, text=message.text, at=message.at
    )
