"""The embedded broker forgets everything with each start, and nobody calls that a loss."""

import asyncio
import json
import logging
from pathlib import Path

import pytest

from fn_notifications.adapters.kafka.backlog import publish_as_read
from fn_notifications.application.ports.events import Outgoing
from fn_notifications.application.ports.telemetry import Silent
from fn_notifications.entrypoints.bootstrap import bootstrap
from fn_notifications.entrypoints.embedded import embedded
from fn_notifications.entrypoints.parts import kafka_of
from fn_notifications.entrypoints.settings import Embed, load_settings

pytestmark = pytest.mark.external
TOPIC = "events"


@pytest.fixture
def settings(postgres_url, tmp_path):
    environ = {"DATABASE_URL": postgres_url, "KAFKA_TOPICS": TOPIC, "INTAKE_START": "earliest", "ROLE": "intake"}
    return load_settings(environ, cwd=tmp_path, embed=Embed.MISSING)


async def _taken_in(settings, directory: Path, name: str) -> None:
    event = Outgoing(topic=TOPIC, key=b"k", value=json.dumps({"type": "no.such", "id": name, "data": {}}).encode())
    async with embedded(settings, directory) as parts, bootstrap(parts.settings, Silent()) as service:
        before = (await service.stores.history.ledger("default")).taken_in
        running = asyncio.create_task(service.run())
        await publish_as_read(kafka_of(parts.settings), [event])
        async with asyncio.timeout(60):
            while (await service.stores.history.ledger("default")).taken_in == before:
                assert not running.done()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


async def test_its_topics_are_new_each_time(settings, tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "fn_notifications.adapters.kafka"):
        await _taken_in(settings, tmp_path, "one")
        await _taken_in(settings, tmp_path, "two")
    assert [record.getMessage() for record in caplog.records if record.name.endswith("source")] == []
