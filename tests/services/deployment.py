"""The installed service in a process of its own, and everything outside it."""

import asyncio
import json
import os
import signal
import sys
from datetime import timedelta
from pathlib import Path

import psycopg
from attrs import define, field
from confluent_kafka import Consumer, Producer

from fn_notifications.adapters.kafka.settings import KafkaSettings
from fn_notifications.adapters.kafka.topics import TOPICS_OUT, TopicSpec, create_topics
from fn_notifications.entrypoints.embedded import free_port
from fn_notifications.simulator.server import Simulator

SAMPLES = Path(__file__).parents[1] / "data/samples"
SECRET = "a-secret-of-the-test-suite-that-is-long-enough-for-anybody"
CLI = (sys.executable, "-m", "fn_notifications.entrypoints.cli.main")


@define
class Deployment:
    """Everything outside the service, and the service's own process when it runs."""

    database: str
    kafka: str
    simulator: Simulator
    directory: Path
    topics: tuple[str, ...]
    port: int = field(factory=free_port)
    more: dict[str, str] = field(factory=dict)
    process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def log(self) -> Path:
        return self.directory / "service.log"

    @property
    def environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "ENVIRONMENT": "test",
            "SECRET_KEY_BASE": SECRET,
            "PORT": str(self.port),
            "PUBLIC_HOST": "127.0.0.1",
            "DATABASE_URL": self.database,
            "KAFKA_HOSTS": self.kafka,
            "KAFKA_GROUP_ID": f"group-{self.topics[0]}",
            "KAFKA_TOPICS": ",".join(self.topics),
            "INTAKE_START": "earliest",
            "CONTACT_GRACE": "0",
            "EMAIL_ADAPTER": "sendgrid",
            "SMS_ADAPTER": "twilio",
            "WHATSAPP_ADAPTER": "twilio",
            "FROM_EMAIL": "notifications@example.com",
            "SENDGRID_API_KEY": self.simulator.sendgrid_api_key,
            "SENDGRID_BASE_URL": self.simulator.base_url,
            "SENDGRID_WEBHOOK_PUBLIC_KEY": self.simulator.sendgrid_public_key,
            "TWILIO_ACCOUNT_SID": self.simulator.twilio_account_sid,
            "TWILIO_AUTH_TOKEN": self.simulator.twilio_auth_token,
            "TWILIO_BASE_URL": self.simulator.base_url,
            "TWILIO_PHONE_NUMBER": "+15005550006",
            "TWILIO_WHATSAPP_NUMBER": "+15005550006",
            "LOG_LEVEL": "debug",
            **self.more,
        }

    async def command(self, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
        """Run a command of the service to its end. Returns what it printed; fails when its code is none of these."""
        process = await asyncio.create_subprocess_exec(
            *CLI,
            *arguments,
            env=self.environment,
            cwd=self.directory,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        assert process.returncode in codes, err.decode()
        return out.decode()

    async def prepare(self) -> None:
        """The schema, and every topic."""
        await self.command("migrate")
        own = [TopicSpec(topic, 3, timedelta(days=1)) for topic in self.topics]
        await create_topics(KafkaSettings(bootstrap=self.kafka), (*own, *TOPICS_OUT))

    async def start(self) -> None:
        """Start the service and wait until it answers."""
        with self.log.open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *CLI, "serve", env=self.environment, cwd=self.directory, stdout=log, stderr=log
            )
        await until(self._answers, within=30)

    async def _answers(self) -> bool:
        assert self.process is not None
        assert self.process.returncode is None, self.log.read_text()
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self.port)
        except OSError:
            return False
        writer.close()
        return True

    async def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it and wait for its end."""
        if self.process and self.process.returncode is None:
            self.process.send_signal(number)
            await asyncio.wait_for(self.process.wait(), 60)

    def publish(self, events, topic: str | None = None) -> None:
        """Publish values, acknowledged."""
        producer = Producer({"bootstrap.servers": self.kafka, "acks": "all"})
        for event in events:
            value = event if isinstance(event, bytes) else json.dumps(event).encode()
            producer.produce(topic or self.topics[0], value, key=b"in-order")
        assert producer.flush(30) == 0

    def consume(self, topic: str, count: int, within: float = 30, *, own: bool = False) -> list[bytes]:
        """The first `count` values of a topic; `own`: of those that name a topic of this deployment."""
        consumer = Consumer(
            {"bootstrap.servers": self.kafka, "group.id": f"test-{topic}-{self.port}", "auto.offset.reset": "earliest"}
        )
        consumer.subscribe([topic])
        values: list[bytes] = []
        try:
            for _ in range(int(within * 2)):
                new = [message.value() for message in consumer.consume(count, 0.5) if not message.error()]
                values += [value for value in new if not own or any(one.encode() in value for one in self.topics)]
                if len(values) >= count:
                    break
        finally:
            consumer.close()
        return values

    async def query(self, statement: str):
        """Rows of a statement."""
        async with await psycopg.AsyncConnection.connect(self.database, autocommit=True) as connection:
            return await (await connection.execute(statement)).fetchall()

    async def settled(self, taken_in: int) -> bool:
        """Whether so many events are accounted for and nothing is left to do."""
        told = json.loads(await self.command("ledger", "--json", codes=(0, 1)))
        return told["events"]["in"] >= taken_in and told["settled"] and not self.simulator.reporting


async def until(condition, *, within: float = 180) -> None:
    """Wait for a condition with a deadline."""
    async with asyncio.timeout(within):
        while not await condition():  # noqa: ASYNC110 - another process's state: nobody here can signal it
            await asyncio.sleep(0.05)
