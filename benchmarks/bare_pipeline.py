"""The yardstick of `pipeline`: from events in Kafka to published results, by hand.

Beside what the bare dispatcher promises: an event that comes twice makes one notification, offsets are committed after
the rows, and an outcome is published at least once. One statement per batch again, and calls that block (Kafka's) in a
thread of their own.
"""

import argparse
import asyncio
from typing import Any, Final
from uuid import NAMESPACE_OID, uuid5

import orjson
from attrs import frozen
from confluent_kafka import Consumer, Message, Producer

from benchmarks.bare_dispatch import Connection, arguments, connect, dispatch_of, until_stopped

_STORE: Final = """
WITH said AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%s) AS i (id uuid, user_id text, variables json)
), fresh AS (
    INSERT INTO notification (id, user_id, type, variables)
    SELECT id, user_id, 'post_confirmation', variables FROM said
    ON CONFLICT (id) DO NOTHING RETURNING id, user_id
)
INSERT INTO delivery (id, user_id) SELECT id, user_id FROM fresh
"""

_TAKE: Final = """
DELETE FROM event WHERE position = ANY (ARRAY(SELECT position FROM event ORDER BY position LIMIT %s FOR UPDATE))
RETURNING position, topic, key, data::text
"""

_BATCH: Final = 500
_WAIT: Final = 0.1
_IDLE: Final = 0.02


@frozen(kw_only=True)
class Intake:
    """Events to rows."""

    database: str
    consumer: Consumer

    async def run(self) -> None:
        """Until cancelled."""
        async with await connect(self.database) as connection:
            while True:
                messages = await asyncio.to_thread(self.consumer.consume, _BATCH, _WAIT)
                if messages:
                    rows = [_row(message) for message in messages]
                    await connection.execute(_STORE, (orjson.dumps(rows).decode(),), prepare=True)
                    self.consumer.commit(asynchronous=True)


@frozen(kw_only=True)
class Relay:
    """Outcomes to Kafka. What is read is deleted in the same transaction, which ends when all of it is acknowledged."""

    database: str
    producer: Producer

    async def run(self) -> None:
        """Until cancelled."""
        async with await connect(self.database) as connection:
            while True:
                if not await self._round(connection):
                    await asyncio.sleep(_IDLE)

    async def _round(self, connection: Connection) -> int:
        async with connection.transaction():
            rows = await (await connection.execute(_TAKE, (_BATCH,), prepare=True)).fetchall()
            if rows:
                await asyncio.to_thread(self._publish, sorted(rows))
        return len(rows)

    def _publish(self, rows: list[tuple[Any, ...]]) -> None:
        for _, topic, key, data in rows:
            self.producer.produce(topic, data, key=key)
        if self.producer.flush(30):
            raise TimeoutError("Kafka does not acknowledge")


def _row(message: Message) -> dict[str, Any]:
    event = orjson.loads(message.value() or b"")
    data = event["data"]
    return {
        "id": uuid5(NAMESPACE_OID, event["event_id"]).hex,
        "user_id": data["user_id"],
        "variables": {"item": data["title"], "place": data["location"]["address"]},
    }


async def _run(told: argparse.Namespace) -> None:
    consumer = Consumer(
        {
            "bootstrap.servers": told.kafka,
            "group.id": f"bare-{told.topic}",
            "auto.offset.reset": "earliest",
            "enable.auto.commit": False,
        }
    )
    consumer.subscribe([told.topic])
    producer = Producer({"bootstrap.servers": told.kafka, "acks": "all", "linger.ms": 1})
    try:
        async with asyncio.TaskGroup() as group:
            group.create_task(Intake(database=told.database, consumer=consumer).run())
            group.create_task(dispatch_of(told).run())
            group.create_task(Relay(database=told.database, producer=producer).run())
    finally:
        consumer.close()


if __name__ == "__main__":
    parser = arguments()
    parser.add_argument("--kafka", required=True)
    parser.add_argument("--topic", required=True)
    until_stopped(_run(parser.parse_args()))
