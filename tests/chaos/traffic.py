"""What flows while things break: events into Kafka, and people who change their minds."""

import asyncio
import json
import random
from collections import Counter
from itertools import islice

from attrs import define, field
from confluent_kafka import KafkaError, Message, Producer
from tests.chaos.town import OUR_NUMBER, Person, Town
from tests.services.stage import Stage

from fn_notifications.entrypoints.providers.twilio import INBOUND

_RECENT = 30
"""How many of the latest events people are looked for in who opt out just now."""


@define
class Traffic:
    """Publishes, and opts people out and in again."""

    stage: Stage
    town: Town
    seed: int
    acknowledged: int = 0
    minds: Counter[str] = field(factory=Counter)
    """Changes of mind that the service has taken."""
    _stopped: list[Person] = field(factory=list)

    async def publish(self, rate: float, until: asyncio.Event) -> None:
        """So many values a second; returns once all are acknowledged."""
        deployment = self.stage.deployment
        producer = Producer({"bootstrap.servers": deployment.kafka, "enable.idempotence": True, "log_level": 0})
        chance = random.Random(f"{self.seed}/keys")
        values = self.town.happenings()
        published = 0
        while not until.is_set():
            for value in islice(values, max(1, round(rate / 10))):
                producer.produce(deployment.topics[0], value, key=str(chance.random()), on_delivery=self._taken)
                published += 1
            producer.poll(0)
            await asyncio.sleep(0.1)
        left = await asyncio.to_thread(producer.flush, 60)
        assert (left, self.acknowledged) == (0, published)

    def _taken(self, error: KafkaError | None, _: Message) -> None:
        self.acknowledged += error is None

    async def change_minds(self, until: asyncio.Event) -> None:
        """STOP and START by text, from people something is just being sent to."""
        chance = random.Random(f"{self.seed}/minds")
        while not until.is_set():
            await asyncio.sleep(chance.uniform(0.1, 0.6))
            if self._stopped and chance.random() < 0.4:
                await self._text(self._stopped.pop(0), "START", chance)
            elif recent := list(self.town.told.values())[-_RECENT:]:
                user, _ = min(chance.choice(recent).expected)
                person = Person(int(user.removeprefix("u-")))
                self._stopped.append(person)
                await self._text(person, "STOP", chance)

    async def _text(self, person: Person, word: str, chance: random.Random) -> None:
        prefix = "whatsapp:" if person.number % 3 == 0 and chance.random() < 0.5 else ""
        url = f"http://127.0.0.1:{self.stage.front.port}{INBOUND}"
        for _ in range(20):
            status = await self.stage.simulator.text_in(
                url, sender=prefix + person.phone, to=prefix + OUR_NUMBER, body=word
            )
            if status is not None and status // 100 == 2:
                self.minds[word.lower()] += 1
                return
            await asyncio.sleep(0.3)

    async def change_preferences(self, until: asyncio.Event) -> None:
        """People switch email off and on, by the command an operator would use."""
        chance = random.Random(f"{self.seed}/preferences")
        file = self.stage.deployment.directory / "changed.jsonl"
        while not until.is_set():
            await asyncio.sleep(chance.uniform(2, 6))
            people = chance.sample(self.town.people(), 20)
            lines = [json.dumps(person.preferences(email=chance.random() < 0.5)) for person in people]
            file.write_text("\n".join(lines))
            try:
                await self.stage.deployment.command("preferences", str(file))
            except AssertionError:  # the database is away; whether some of it was stored, the witness knows
                continue
            self.minds["preferences"] += len(people)
