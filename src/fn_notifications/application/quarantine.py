"""What an operator does about held events and dead letters: look, let go, thin, discard, try again."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from attrs import evolve, frozen

from fn_notifications.application.intake import Intake
from fn_notifications.application.ports.events import Record
from fn_notifications.application.ports.intake import DeadEvent, EventOutcome, Original
from fn_notifications.application.ports.quarantine import DeadLetters, Held, Quarantine, Tally, Wanted
from fn_notifications.application.understand import Understood, understand

_PAGE: Final = 200


@frozen(kw_only=True)
class Custody:
    """Everything that was stored instead of being said. One tenant: the intake's."""

    quarantine: Quarantine
    letters: DeadLetters
    intake: Intake

    async def held(self, wanted: Wanted, limit: int) -> Sequence[Held]:
        """What is held, the oldest event first."""
        return await self.quarantine.held(self.intake.tenant, wanted, limit)

    async def tally(self, wanted: Wanted) -> Sequence[Tally]:
        """What became of all of it that was ever held."""
        return await self.quarantine.tally(self.intake.tenant, wanted)

    async def release(self, wanted: Wanted) -> Mapping[EventOutcome, int]:
        """Take in what is held as if it came now, oldest first. Returns how many became what.

        Not held again for age or number: that was looked at. Each leaves quarantine in the transaction that stores
        what becomes of it, so after a crash the rest is still there to be released. `held` counts those that stay:
        they open with no key, nothing in the catalogue asks for them any more, or no store takes them.
        """
        outcomes: Counter[EventOutcome] = Counter()
        after: Held | None = None
        while page := await self.quarantine.held(self.intake.tenant, wanted, _PAGE, after=after):
            after = page[-1]
            events = await self._understood(page)
            outcomes[EventOutcome.HELD] += len(page) - len(events)
            if events:
                outcomes.update(await self.intake.take(events))
        return {outcome: amount for outcome, amount in outcomes.items() if amount}

    async def thin(self, wanted: Wanted, keep: int) -> tuple[int, Mapping[EventOutcome, int]]:
        """Discard all but the `keep` newest per person and type, release those. Returns how many were discarded, and
        what the others became.
        """
        discarded = await self.quarantine.discard(self.intake.tenant, wanted, keep=keep)
        return discarded, await self.release(wanted)

    async def discard(self, wanted: Wanted) -> int:
        """Never tell any of it. Returns how many."""
        return await self.quarantine.discard(self.intake.tenant, wanted)

    async def replay(self, letter: int) -> Mapping[EventOutcome, int] | None:
        """Take a dead letter in again, as if it came now; None when there is no such letter.

        Safe to repeat: what was understood once is a duplicate the next time, and what is still no event stays the
        letter it was. Raises `VaultError` when no key opens it.
        """
        original = await self.letters.opened(self.intake.tenant, letter)
        if original is None:
            return None
        outcomes = await self.intake.handle([_record(original)])
        if EventOutcome.DEAD_LETTERED not in outcomes:
            await self.letters.replayed(self.intake.tenant, letter)
        return outcomes

    async def _understood(self, page: Sequence[Held]) -> list[Understood]:
        originals = await self.quarantine.opened(self.intake.tenant, [one.id for one in page])
        return [
            event
            for one in page
            if one.id in originals
            for event in _part(one, understand(_record(originals[one.id]), self.intake.catalogue, self.intake.tenant))
        ]


def _part(held: Held, event: Understood | DeadEvent) -> Iterator[Understood]:
    """What an event means for the one person it is held for, if it still means anything."""
    if isinstance(event, DeadEvent):
        return
    mine = tuple(one for one in event.requests if (one.user.user_id, one.type) == (held.user_id, held.type))
    if mine or held.type == event.envelope.type:
        yield evolve(event, requests=mine, direct=True, released=held.id)


def _record(original: Original) -> Record:
    return Record(
        topic=original.position.topic,
        partition=original.position.partition,
        offset=original.position.offset,
        timestamp=original.timestamp,
        value=original.value,
        key=original.key,
        headers=original.headers,
    )
