"""Kafka at its worst: rebalances, members thrown out, offsets gone, brokers away. Rows 26, 27, 30 and 33."""

import asyncio
import json
import threading
from datetime import timedelta

import pytest
from attrs import define, evolve, field
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic
from tests.campaigns.rebalances import PARTITIONS, PROTOCOLS, Load, campaign, topic_of
from tests.services.kafka import ApacheKafka
from tests.services.stores import memory_stores
from tests.services.streams import KafkaSubject

from fn_notifications import EMAIL, NotificationType
from fn_notifications.adapters.kafka.embedded import EmbeddedBroker
from fn_notifications.adapters.kafka.source import KafkaSource, counted, open_source
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.zones.tz import zone
from fn_notifications.application.errors import Unavailable
from fn_notifications.application.intake import Intake
from fn_notifications.application.ports.intake import EventOutcome
from fn_notifications.application.relay import Relay
from fn_notifications.domain.catalogue import Policy
from fn_notifications.entrypoints.library import MemoryEngine
from fn_notifications.entrypoints.parts import load_catalogue
from fn_notifications.entrypoints.service import IntakeStep
from fn_notifications.testing.contracts.stores import Stores
from fn_notifications.testing.waiting import eventually


@pytest.fixture(params=PROTOCOLS)
def stream(request: pytest.FixtureRequest, kafka: ApacheKafka) -> KafkaSubject:
    """A topic of six partitions on Apache Kafka, read by one of the protocols."""
    subject = KafkaSubject(bootstrap=kafka.bootstrap, go_down=kafka.kill, come_up=kafka.start, partitions=PARTITIONS)
    return topic_of(kafka.bootstrap, subject).with_options(group_protocol=request.param)


@pytest.fixture
def admin(kafka: ApacheKafka) -> AdminClient:
    return AdminClient({"bootstrap.servers": kafka.bootstrap, "log_level": 0})


@define
class Consuming:
    """The service's intake over memory stores, as often as it is started."""

    stores: Stores = field(factory=memory_stores)
    telemetry: MemoryTelemetry = field(factory=MemoryTelemetry)

    def step(self, source: KafkaSource) -> IntakeStep:
        intake = Intake(
            catalogue=load_catalogue(),
            people=self.stores.people,
            store=self.stores.intake,
            policy=Policy(zones=zone),
            telemetry=self.telemetry,
            chance=lambda: 0.5,
        )
        return IntakeStep(source, intake, lambda: None)

    async def counts(self) -> tuple[int, int]:
        """How many events are stored, and how many came again."""
        events = (await self.stores.history.ledger("default")).events
        repeated = events.get(EventOutcome.DUPLICATE, 0)
        return sum(events.values()) - repeated, repeated

    async def take_in(self, stream: KafkaSubject, expected: int, *, known: tuple[str, ...] = (), **more) -> None:
        """A life of the service: until as many events as expected were taken in, repeated ones too."""
        before = sum(await self.counts())
        settings = stream.settings("g", **more)
        async with open_source(settings, counted(self.telemetry), known=known) as source, asyncio.timeout(60):
            step = self.step(source)
            while sum(await self.counts()) - before < expected:
                await step()


@pytest.fixture
def consuming() -> Consuming:
    return Consuming()


@pytest.mark.external
async def test_fault_26_rebalances_under_load_lose_nothing(stream: KafkaSubject) -> None:
    """A share of the campaign: members come, go and break off while events flow."""
    figures = await campaign(stream, memory_stores(), count=3, seed=26)
    assert figures.rebalances == 3
    assert (figures.stored, figures.lost) == (figures.produced, 0)
    assert sum(await stream.committed()) == figures.produced


async def test_fault_26_the_embedded_broker_rebalances_too(embedded_broker: EmbeddedBroker) -> None:
    subject = KafkaSubject(
        bootstrap=embedded_broker.bootstrap,
        go_down=embedded_broker.go_down,
        come_up=embedded_broker.come_up,
        partitions=PARTITIONS,
    ).with_options(session_timeout=3.0, group_protocol="classic")
    embedded_broker.create_topic(subject.topic, subject.partitions)
    figures = await campaign(subject, memory_stores(), count=2, seed=26)
    assert (figures.rebalances, figures.lost) == (2, 0)


@pytest.mark.external
async def test_fault_27_a_member_thrown_out_in_a_rebalance_skips_nothing(
    stream: KafkaSubject, consuming: Consuming
) -> None:
    """It stops polling with a batch in hand while another joins, misses its interval and wakes up when all is moved:
    what it then reports as done counts for nothing, or is what was stored.
    """
    load = Load(stream.topic)
    await stream.write(load.more())
    awake = threading.Event()
    hasty = {"session_timeout": 1.0, "max_poll_interval": 1.0}
    async with stream.source("g", **hasty) as zombie:
        batch = [*await _some(zombie)]
        sleeping = asyncio.ensure_future(zombie._thread.run(awake.wait))
        async with stream.source("g", **hasty) as heir:
            step = consuming.step(heir)
            async with asyncio.timeout(60):
                while len(heir.assigned) < PARTITIONS or (await consuming.counts())[0] < load.produced:
                    await step()
            awake.set()
            await sleeping
            await zombie.done(batch[: len(batch) // 2])
            await stream.write(load.more())
            back = consuming.step(zombie)
            async with asyncio.timeout(60):
                while (await consuming.counts())[0] < load.produced or not zombie.assigned:
                    await asyncio.gather(_patiently(step), _patiently(back))
    await consuming.take_in(stream, 0)
    assert (await consuming.counts())[0] == load.produced
    assert sum(await stream.committed()) == load.produced


@pytest.mark.external
async def test_fault_33_what_aged_out_is_counted_and_the_rest_is_stored(
    stream: KafkaSubject, admin: AdminClient, consuming: Consuming
) -> None:
    """Retention was faster than we were: what is left is taken in, and how much is missing is said."""
    load = Load(stream.topic)
    await stream.write(load.more())
    await consuming.take_in(stream, 100)
    gone = {number: offset + 3 for number, offset in enumerate(await stream.committed())}
    await stream.write(load.more())
    await stream.write(load.more())
    await _delete_before(stream, admin, gone)
    await consuming.take_in(stream, 200 - 3 * PARTITIONS)
    assert await consuming.counts() == (300 - 3 * PARTITIONS, 0)
    assert consuming.telemetry.total("intake.resets", topic=stream.topic) == PARTITIONS
    assert consuming.telemetry.total("intake.aged_out", topic=stream.topic) == 3 * PARTITIONS


@pytest.mark.external
async def test_fault_33_a_group_that_forgot_its_offsets_begins_at_the_beginning(
    stream: KafkaSubject, admin: AdminClient, consuming: Consuming, caplog: pytest.LogCaptureFixture
) -> None:
    """Offsets expire when a group is away for long. A topic that was read before is not new, so `now` has no say."""
    load = Load(stream.topic)
    await stream.write(load.more())
    await consuming.take_in(stream, 100)
    await asyncio.wrap_future(admin.delete_consumer_groups([stream.group_id("g")])[stream.group_id("g")])
    await stream.write(load.more())
    known = await consuming.stores.history.taken_from("default", [stream.topic])
    await consuming.take_in(stream, 200, known=tuple(known), intake_start="now")
    assert await consuming.counts() == (200, 100)
    assert consuming.telemetry.total("intake.resets", topic=stream.topic) == PARTITIONS
    assert "no offset at all any more" in caplog.text


@pytest.mark.external
async def test_fault_33_a_topic_made_anew_is_taken_in_from_its_beginning(
    stream: KafkaSubject, admin: AdminClient, consuming: Consuming
) -> None:
    """Its first offsets were used before, by other events."""
    load = Load(stream.topic)
    await stream.write(load.more())
    await consuming.take_in(stream, 100)
    await asyncio.wrap_future(admin.delete_topics([stream.topic])[stream.topic])
    fresh = NewTopic(stream.topic, num_partitions=PARTITIONS)
    await eventually(lambda: admin.create_topics([fresh])[stream.topic].exception() is None, within=30)
    await stream.write(load.more()[:50])
    await consuming.take_in(stream, 50)
    assert await consuming.counts() == (150, 0)


@pytest.mark.external
async def test_fault_30_events_follow_in_order_once_the_broker_is_back(kafka_stream: KafkaSubject) -> None:
    """Meanwhile requests are accepted and messages sent; afterwards each change is there, under its own id."""
    type_ = NotificationType(name="invoice", channels=(EMAIL,), required=("order",))
    engine = MemoryEngine(types=(type_,), templates={"invoice": {"subject": "Invoice", "text": "For {order}."}})
    await engine.notifications.set_preferences("ana", {"email": "ana@example.com"})

    async def send(numbers: range) -> None:
        for number in numbers:
            await engine.notifications.send("ana", "invoice", {"order": str(number)}, id_=str(number))
        await engine.run()

    handed: list[str] = []

    class Renamed:
        """Puts every event into the one topic this test has."""

        def __init__(self, inner) -> None:
            self.inner = inner

        async def publish(self, messages) -> None:
            handed.extend(json.loads(one.value)["id"] for one in messages)
            await self.inner.publish([evolve(one, topic=kafka_stream.topic) for one in messages])

    async with kafka_stream.publisher() as publisher:
        relay = Relay(
            log=engine.store.eventlog, publisher=Renamed(publisher), telemetry=MemoryTelemetry(), reader="one", batch=7
        )
        await send(range(10))
        assert await relay.once() == 7
        async with kafka_stream.outage():
            await send(range(10, 30))
            for _ in range(2):
                with pytest.raises(Unavailable):
                    await relay.once()
        async with asyncio.timeout(60):
            while not (await engine.store.history.unsettled(timedelta())).settled:
                await _patiently(relay.once)
    assert len(engine.mailbox.messages()) == 30
    events = [json.loads(record.value) for record in await kafka_stream.read()]
    assert list(dict.fromkeys(event["id"] for event in events)) == list(dict.fromkeys(handed))
    assert len(set(handed)) == 30 < len(handed)


async def _some(source: KafkaSource):
    async with asyncio.timeout(30):
        while not (records := await source.take(50, 0.1)):
            continue
    return records


async def _patiently(step) -> None:
    try:
        await step()
    except Unavailable:
        return


async def _delete_before(stream: KafkaSubject, admin: AdminClient, offsets: dict[int, int]) -> None:
    places = [TopicPartition(stream.topic, number, offset) for number, offset in offsets.items()]
    for answer in admin.delete_records(places).values():
        await asyncio.wrap_future(answer)
