"""Events that could not be used, kept with their bytes sealed, and told to the outside without them."""

import base64
from collections.abc import Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.adapters.postgres.rows import Row
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.application.outward import DEAD_LETTER
from fn_notifications.application.ports.eventlog import SHARDS
from fn_notifications.application.ports.intake import DeadEvent, Original, Position
from fn_notifications.domain.identity import record_identity, shard_of

_STORE: Final = """
WITH letters AS (
    INSERT INTO dead_letters
        (tenant, identity, reason, detail, topic, partition, "offset", at, written_at, value, envelope)
    SELECT tenant, identity, reason, detail, topic, partition, "offset", %(now)s::timestamptz, written_at, value,
           envelope
    FROM json_populate_recordset(NULL::dead_letters, %(letters)s)
    ON CONFLICT (tenant, identity) DO NOTHING
    RETURNING *
)
INSERT INTO event_log (shard, id, topic, key, at, data)
SELECT s.shard, 'dead-letter-' || l.id, %(topic)s, l.topic || '-' || l.partition, l.at,
       jsonb_build_object('id', l.id, 'reason', l.reason, 'topic', l.topic, 'partition', l.partition,
                          'offset', l."offset")
FROM letters l
JOIN json_to_recordset(%(shards)s) AS s (topic text, partition integer, shard smallint)
  ON s.topic = l.topic AND s.partition = l.partition
ORDER BY l.id
RETURNING 1
"""


_READ: Final = "SELECT * FROM dead_letters WHERE tenant = %(tenant)s AND id = %(id)s"

_REPLAYED: Final = """
UPDATE dead_letters SET replayed_at = (SELECT fn_now())
WHERE tenant = %(tenant)s AND id = %(id)s AND replayed_at IS NULL
"""


@frozen
class PostgresDeadLetters:
    """The DeadLetters port."""

    database: Database
    seals: Seals

    async def opened(self, tenant: str, letter: int) -> Original | None:
        """See the port."""

        async def work(connection: Connection) -> Original | None:
            rows = await fetch(connection, _READ, tenant=tenant, id=letter)
            return opened_original(self.seals, rows[0], *_place(tenant, rows[0].identity)) if rows else None

        return await self.database.run(work, snapshot=True)

    async def replayed(self, tenant: str, letter: int) -> None:
        """See the port."""

        async def work(connection: Connection) -> None:
            await execute(connection, _REPLAYED, tenant=tenant, id=letter)

        await self.database.run(work)


async def store_dead(
    connection: Connection, seals: Seals, tenant: str, dead: Sequence[DeadEvent], now: datetime
) -> int:
    """Keep them. A record that is dead already does not die twice. Returns how many there were to keep."""
    if not dead:
        return 0
    partitions = {(one.original.position.topic, one.original.position.partition) for one in dead}
    rows = await fetch(
        connection,
        _STORE,
        now=now.isoformat(),
        letters=[_row(seals, tenant, one) for one in dead],
        shards=[
            {"topic": topic, "partition": partition, "shard": shard_of(tenant, f"{topic}-{partition}") % SHARDS}
            for topic, partition in sorted(partitions)
        ],
        topic=DEAD_LETTER,
    )
    return len(rows)


def _row(seals: Seals, tenant: str, dead: DeadEvent) -> dict[str, Any]:
    original, at = dead.original, dead.original.position
    identity = record_identity(at.topic, at.partition, at.offset, original.timestamp, original.value)
    return {
        "tenant": tenant,
        "identity": identity,
        "reason": dead.reason,
        "detail": dead.detail,
        **sealed_original(seals, original, *_place(tenant, identity)),
    }


def sealed_original(seals: Seals, original: Original, *place: str) -> dict[str, Any]:
    """The columns that keep an event as it came, sealed for this place."""
    at = original.position
    return {
        "topic": at.topic,
        "partition": at.partition,
        "offset": at.offset,
        "written_at": original.timestamp,
        "value": seals.seal(original.value, *place, "value"),
        "envelope": seals.seal_json(_envelope_of(original), *place, "envelope"),
    }


def _envelope_of(original: Original) -> dict[str, Any]:
    """What came with the bytes: key and headers, as JSON."""
    return {
        "key": None if original.key is None else base64.b64encode(original.key).decode(),
        "headers": [[name, base64.b64encode(value).decode()] for name, value in original.headers],
    }


def opened_original(seals: Seals, row: Row, *place: str) -> Original:
    """A row's event as it came. Raises `VaultError` when no key opens it for this place."""
    envelope = seals.open_json(row.envelope, *place, "envelope")
    return Original(
        position=Position(topic=row.topic, partition=row.partition, offset=row.offset),
        timestamp=row.written_at,
        value=seals.open(row.value, *place, "value"),
        key=None if envelope["key"] is None else base64.b64decode(envelope["key"]),
        headers=tuple((name, base64.b64decode(value)) for name, value in envelope["headers"]),
    )


def _place(tenant: str, identity: bytes) -> tuple[str, ...]:
    return "dead_letters", tenant, identity.hex()
