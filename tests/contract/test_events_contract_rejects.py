"""The event contracts catch adapters that break them: each planted fault must fail the rule it breaks."""

import asyncio
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import pytest
from attrs import evolve
from tests.services.streams import MemorySubject

from fn_notifications.adapters.memory.events import MemoryStream
from fn_notifications.application.errors import Refused, Unavailable
from fn_notifications.application.ports.events import EventPublisher, EventSource, Outgoing, Record
from fn_notifications.testing.contracts.events import EventPublisherContract, EventSourceContract


class Planted:
    """A sound adapter to spoil: what is not overridden is the sound one's."""

    def __init__(self, sound: Any, stream: MemoryStream) -> None:
        self.sound = sound
        self.stream = stream

    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        taken: Sequence[Record] = await self.sound.take(limit, wait)
        return taken

    async def done(self, records: Sequence[Record]) -> None:
        await self.sound.done(records)

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        await self.sound.publish(messages)

    def set_committed(self, record: Record, offset: int) -> None:
        self.sound._committed[record.topic, record.partition] = offset


class TimesOut(Planted):
    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        records = await super().take(limit, wait)
        if not records:
            raise TimeoutError
        return records


class DropsHeaders(Planted):
    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        return [evolve(record, headers=()) for record in await super().take(limit, wait)]

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        await super().publish([evolve(message, headers=()) for message in messages])


class DecodesValues(Planted):
    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        records = await super().take(limit, wait)
        return [evolve(record, value=record.value.decode(errors="replace").encode()) for record in records]

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        await super().publish([evolve(each, value=each.value.strip(b"\x00")) for each in messages])


class TellsLocalTime(Planted):
    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        records = await super().take(limit, wait)
        return [evolve(record, timestamp=record.timestamp.replace(tzinfo=None)) for record in records]


class Reorders(Planted):
    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        return list(reversed(await super().take(limit, wait)))

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        shuffled = list(messages)
        random.Random(1).shuffle(shuffled)
        await super().publish(shuffled)


class IgnoresTheLimit(Planted):
    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        return await super().take(limit * 2, wait)


class CutsToTheLimit(Planted):
    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        return (await super().take(limit * 2, wait))[:limit]


class StoresAtTake(Planted):
    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        records = await super().take(limit, wait)
        await self.done(records)
        return records


class ForgetsDone(Planted):
    async def done(self, records: Sequence[Record]) -> None:
        pass


class StoresTheLastItself(Planted):
    async def done(self, records: Sequence[Record]) -> None:
        for record in records:
            self.set_committed(record, record.offset)


class StoresWhateverItIsTold(Planted):
    async def done(self, records: Sequence[Record]) -> None:
        for record in records:
            self.set_committed(record, record.offset + 1)


class ObjectsToMovedPartitions(Planted):
    async def done(self, records: Sequence[Record]) -> None:
        if any((record.topic, record.partition) not in self.sound._next for record in records):
            raise Unavailable("not mine")
        await super().done(records)


class LosesWhatACancelledTakeHad(Planted):
    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        records = await super().take(limit, wait)
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return records


class DiesInAnOutage(Planted):
    dead = False

    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        self.dead = self.dead or self.stream._room is not None
        return [] if self.dead else await super().take(limit, wait)


class LosesThePartitionsBeginning(Planted):
    async def take(self, limit: int, wait: float) -> Sequence[Record]:
        records = await super().take(limit, wait)
        await self.done([record for record in records if record.offset == 0])
        return [record for record in records if record.offset]


class SwallowsFailures(Planted):
    async def publish(self, messages: Sequence[Outgoing]) -> None:
        try:
            await super().publish(messages)
        except Unavailable:
            return


class RaisesItsOwnErrors(Planted):
    async def publish(self, messages: Sequence[Outgoing]) -> None:
        try:
            await super().publish(messages)
        except Unavailable:
            raise ConnectionError from None


class WaitsForABroadMinded(Planted):
    """Takes a refusal for an outage: whoever publishes again does so for ever."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        try:
            await super().publish(messages)
        except Refused:
            raise Unavailable("too large") from None


class FiresAndForgets(Planted):
    async def publish(self, messages: Sequence[Outgoing]) -> None:
        self.sent = asyncio.ensure_future(super().publish(messages))


class ScattersKeys(Planted):
    async def publish(self, messages: Sequence[Outgoing]) -> None:
        for number, message in enumerate(messages):
            partition = self.stream._topics[message.topic][number % 3]
            record = self.stream.append(message)
            self.stream._topics[message.topic][record.partition].pop()
            partition.append(evolve(record, partition=number % 3, offset=len(partition)))


class KnocksFirst(Planted):
    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.stream._room is not None:
            raise Unavailable("nobody there")
        await super().publish(messages)


class SharesOneBatch(Planted):
    """Passes over what comes while a batch is under way; one that was cancelled is under way for ever."""

    busy = False

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        if self.busy:
            return
        self.busy = True
        await super().publish(messages)
        self.busy = False


class GivesUpTheFirstAlone(Planted):
    """Expires messages one by one: what follows overtakes."""

    async def publish(self, messages: Sequence[Outgoing]) -> None:
        try:
            await super().publish(messages)
        except Unavailable:
            for message in messages[len(messages) // 2 :]:
                self.stream.append(message)
            raise


class PlantedSubject:
    """A sound stream with a broken adapter on it."""

    patience = 0.3

    def __init__(self, planted: type[Planted]) -> None:
        self._sound = MemorySubject()
        self._planted = planted
        self.topic = self._sound.topic
        self.write = self._sound.write
        self.read = self._sound.read
        self.outage = self._sound.outage

    @asynccontextmanager
    async def source(self, group: str) -> AsyncIterator[EventSource]:
        async with self._sound.source(group) as sound:
            yield self._planted(sound, self._sound.stream)

    @asynccontextmanager
    async def publisher(self) -> AsyncIterator[EventPublisher]:
        async with self._sound.publisher() as sound:
            yield self._planted(sound, self._sound.stream)


class OneGroupForAll(PlantedSubject):
    def source(self, group: str) -> AbstractAsyncContextManager[EventSource]:  # type: ignore[override] # same kind
        del group
        return super().source("everybody")


SOURCES = [
    (TimesOut, "a_quiet_stream_gives_nothing"),
    (DropsHeaders, "records_arrive_as_they_were_written"),
    (DecodesValues, "records_arrive_as_they_were_written"),
    (TellsLocalTime, "records_arrive_as_they_were_written"),
    (Reorders, "a_partition_keeps_its_order"),
    (IgnoresTheLimit, "take_keeps_to_its_limit"),
    (CutsToTheLimit, "take_keeps_to_its_limit"),
    (StoresAtTake, "what_was_not_done_comes_again"),
    (ForgetsDone, "what_was_done_does_not_come_again"),
    (StoresTheLastItself, "what_was_done_does_not_come_again"),
    (StoresAtTake, "a_restart_resumes_between_batches"),
    (StoresWhateverItIsTold, "done_again_changes_nothing"),
    (LosesWhatACancelledTakeHad, "a_cancelled_take_loses_nothing"),
    (StoresWhateverItIsTold, "done_of_a_moved_partition_is_passed_over"),
    (ObjectsToMovedPartitions, "done_of_a_moved_partition_is_passed_over"),
    (LosesThePartitionsBeginning, "members_that_come_and_go_lose_nothing"),
    (DiesInAnOutage, "an_outage_is_quiet_and_passes"),
]
PUBLISHERS = [
    (DropsHeaders, "messages_arrive_as_they_were"),
    (DecodesValues, "messages_arrive_as_they_were"),
    (FiresAndForgets, "acknowledged_is_written"),
    (Reorders, "equal_keys_keep_their_order"),
    (ScattersKeys, "equal_keys_share_a_partition"),
    (KnocksFirst, "nothing_in_nothing_out"),
    (SharesOneBatch, "callers_do_not_disturb_each_other"),
    (SwallowsFailures, "an_outage_is_unavailable_and_passes"),
    (RaisesItsOwnErrors, "an_outage_is_unavailable_and_passes"),
    (GivesUpTheFirstAlone, "an_outage_is_unavailable_and_passes"),
    (SharesOneBatch, "a_cancelled_batch_can_be_published_again"),
    (WaitsForABroadMinded, "a_message_that_is_too_large_is_refused"),
]


async def holds(contract: type, rule: str, subject: PlantedSubject) -> bool:
    try:
        await getattr(contract(), f"test_{rule}")(subject)
    except (Exception, pytest.fail.Exception):  # noqa: BLE001 - whatever stops a rule, it does not hold
        return False
    return True


@pytest.mark.parametrize(("planted", "rule"), SOURCES)
async def test_the_source_contract_rejects(planted: type[Planted], rule: str) -> None:
    assert await holds(EventSourceContract, rule, PlantedSubject(Planted))
    assert not await holds(EventSourceContract, rule, PlantedSubject(planted))


async def test_the_source_contract_rejects_a_group_for_all() -> None:
    assert not await holds(EventSourceContract, "groups_do_not_share", OneGroupForAll(Planted))


@pytest.mark.parametrize(("planted", "rule"), PUBLISHERS)
async def test_the_publisher_contract_rejects(planted: type[Planted], rule: str) -> None:
    assert await holds(EventPublisherContract, rule, PlantedSubject(Planted))
    assert not await holds(EventPublisherContract, rule, PlantedSubject(planted))


def test_every_rule_has_its_fault() -> None:
    """A rule that nothing planted breaks may be one that cannot fail."""
    rules = {name for name in dir(EventSourceContract) if name.startswith("test_")}
    assert rules == {f"test_{rule}" for _, rule in SOURCES} | {"test_groups_do_not_share"}
    rules = {name for name in dir(EventPublisherContract) if name.startswith("test_")}
    assert rules == {f"test_{rule}" for _, rule in PUBLISHERS}
