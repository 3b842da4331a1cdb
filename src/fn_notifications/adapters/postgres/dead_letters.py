"""Events that could not be used, kept with their bytes sealed, and told to the outside without them."""

import base64
from collections.abc import Sequence
from typing import Any, Final

from fn_notifications.adapters.postgres.changes import SHARDS
from fn_notifications.adapters.postgres.pool import Connection, execute
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.application.outward import DEAD_LETTER
from fn_notifications.application.ports.intake import DeadEvent
from fn_notifications.domain.identity import record_identity, shard_of

_STORE: Final = """
WITH letters AS (
    INSERT INTO dead_letters
        (tenant, identity, reason, detail, topic, partition, "offset", at, written_at, value, envelope)
    SELECT tenant, identity, reason, detail, topic, partition, "offset", (SELECT fn_now()), written_at, value, envelope
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
"""


async def store_dead(connection: Connection, seals: Seals, tenant: str, dead: Sequence[DeadEvent]) -> None:
    """Keep them. A record that is dead already does not die twice."""
    partitions = {(one.original.position.topic, one.original.position.partition) for one in dead}
    await execute(
        connection,
        _STORE,
        letters=[_row(seals, tenant, one) for one in dead],
        shards=[
            {"topic": topic, "partition": partition, "shard": shard_of(tenant, f"{topic}-{partition}") % SHARDS}
            for topic, partition in sorted(partitions)
        ],
        topic=DEAD_LETTER,
    )


def _row(seals: Seals, tenant: str, dead: DeadEvent) -> dict[str, Any]:
    original, at = dead.original, dead.original.position
    identity = record_identity(at.topic, at.partition, at.offset, original.timestamp, original.value)
    envelope = {
        "key": None if original.key is None else base64.b64encode(original.key).decode(),
        "headers": [[name, base64.b64encode(value).decode()] for name, value in original.headers],
    }
    place = ("dead_letters", tenant, identity.hex())
    return {
        "tenant": tenant,
        "identity": identity,
        "reason": dead.reason,
        "detail": dead.detail,
        "topic": at.topic,
        "partition": at.partition,
        "offset": at.offset,
        "written_at": original.timestamp,
        "value": seals.seal(original.value, *place, "value"),
        "envelope": seals.seal_json(envelope, *place, "envelope"),
    }
