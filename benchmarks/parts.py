"""Everything around the service for a measurement, and the service as a process of its own whose CPU can be read."""

import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

from attrs import define, field
from tests.services.deployment import Deployment
from tests.services.postgres import postgres_server

from fn_notifications.adapters.kafka.embedded import EmbeddedBroker
from fn_notifications.simulator.server import Simulator

USERS = 500
_TICKS = os.sysconf("SC_CLK_TCK")


def events(count: int) -> list[dict]:
    """As many `post.created`, each of another post, for the users in turn."""
    now = datetime.now(UTC).isoformat()
    return [
        {
            "event_type": "post.created",
            "event_id": f"bench-{number}",
            "timestamp": now,
            "source_service": "fn-posts",
            "data": {
                "user_id": f"user-{number % USERS}",
                "post_id": f"post-{number}",
                "title": "Blue umbrella with a wooden handle",
                "location": {"address": "Alexanderplatz", "latitude": 52.52, "longitude": 13.4},
            },
        }
        for number in range(count)
    ]


def people() -> str:
    """Preferences of every user, as JSON lines."""
    return "\n".join(
        json.dumps({"user_id": f"user-{number}", "email": f"user-{number}@example.com"}) for number in range(USERS)
    )


@define
class Parts:
    """A deployment on embedded parts."""

    deployment: Deployment
    started: dict[str, float] = field(factory=dict)

    async def count(self, statement: str) -> int:
        """The first number of the first row."""
        return int((await self.deployment.query(statement))[0][0])

    def cpu(self) -> float:
        """CPU seconds the service has used."""
        assert self.deployment.process is not None
        return cpu_of(self.deployment.process.pid)


def cpu_of(pid: int) -> float:
    """CPU seconds of a process, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def memory_of(pid: int) -> tuple[float, float]:
    """Resident MB of a process: now, and at its highest."""
    lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return tuple(int(lines[name].split()[0]) / 1024 for name in ("VmRSS", "VmHWM"))


@asynccontextmanager
async def parts(**more: str) -> AsyncIterator[Parts]:
    """Database, broker and providers in this process, people stored, the service not yet started."""
    with postgres_server() as postgres, EmbeddedBroker() as broker, tempfile.TemporaryDirectory() as folder:
        broker.create_topic("events", 4)
        async with Simulator() as simulator:
            deployment = Deployment(
                database=postgres.fresh_database(),
                kafka=broker.bootstrap,
                simulator=simulator,
                directory=Path(folder),
                topics=("events",),
                more={"LOG_LEVEL": "warning", "EMAIL_POOL_MAX_CONCURRENCY": "64", **more},
            )
            simulator.sendgrid_webhook_url = f"{deployment.url}/api/webhooks/sendgrid"
            await deployment.command("migrate")
            file = deployment.directory / "people.jsonl"
            file.write_text(people(), encoding="utf-8")
            await deployment.command("preferences", str(file))
            try:
                yield Parts(deployment)
            finally:
                await deployment.stop()
