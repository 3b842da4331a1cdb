"""Held events in PostgreSQL, with their bytes sealed."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from fn_notifications.adapters.postgres.dead_letters import opened_original, sealed_original
from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.adapters.postgres.rows import Row
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.application.ports.intake import Event, Hold, Original, Position
from fn_notifications.application.ports.quarantine import Held, Tally, Wanted
from fn_notifications.application.ports.vault import VaultError
from fn_notifications.domain.reasons import Reason

_STORE: Final = """
INSERT INTO quarantine
    (tenant, identity, user_id, type, reason, event_at, held_at, topic, partition, "offset", written_at, value,
     envelope)
SELECT tenant, identity, user_id, type, reason, event_at, %(now)s::timestamptz, topic, partition, "offset", written_at,
       value, envelope
FROM json_populate_recordset(NULL::quarantine, %(held)s)
ON CONFLICT (tenant, identity, user_id, type) DO NOTHING
RETURNING 1
"""

_LOCK: Final = """
SELECT q.id
FROM json_to_recordset(%(ids)s) AS i (tenant text, id bigint)
CROSS JOIN LATERAL (
    SELECT q.id FROM quarantine q WHERE q.tenant = i.tenant AND q.id = i.id AND q.outcome IS NULL
    FOR NO KEY UPDATE
) AS q
"""

_SETTLE: Final = """
UPDATE quarantine SET outcome = %(outcome)s, settled_at = (SELECT fn_now()), value = NULL, envelope = NULL
WHERE ctid = ANY (ARRAY(
    SELECT q.ctid
    FROM json_to_recordset(%(ids)s) AS i (tenant text, id bigint)
    CROSS JOIN LATERAL (
        SELECT q.ctid FROM quarantine q WHERE q.tenant = i.tenant AND q.id = i.id AND q.outcome IS NULL
        FOR NO KEY UPDATE
    ) AS q))
"""

_FITTING: Final = """
    q.tenant = %(tenant)s
    AND (%(type)s = '' OR q.type = %(type)s) AND (%(user_id)s = '' OR q.user_id = %(user_id)s)
    AND (%(reason)s = '' OR q.reason = %(reason)s)
"""

_HELD: Final = f"""
SELECT q.id, q.type, q.user_id, q.reason, q.event_at, q.held_at, q.topic, q.partition, q."offset"
FROM quarantine q
WHERE q.outcome IS NULL AND {_FITTING} AND (q.event_at, q.id) > (%(after)s::timestamptz, %(after_id)s)
ORDER BY q.event_at, q.id LIMIT %(limit)s
"""  # noqa: S608 - made of this module's own text

_OPEN: Final = """
SELECT q.*
FROM json_to_recordset(%(ids)s) AS i (tenant text, id bigint)
CROSS JOIN LATERAL (
    SELECT * FROM quarantine q WHERE q.tenant = i.tenant AND q.id = i.id AND q.outcome IS NULL LIMIT 1
) AS q
"""

# Newest by event; rows that a release has locked meanwhile are looked at again, and left alone once they are settled.
_DISCARD: Final = f"""
WITH newest AS (
    SELECT q.id, row_number() OVER (PARTITION BY q.user_id, q.type ORDER BY q.event_at DESC, q.id DESC) AS place
    FROM quarantine q WHERE q.outcome IS NULL AND {_FITTING}
), locked AS (
    SELECT q.id, q.identity, q.user_id, q.type FROM quarantine q
    WHERE q.tenant = %(tenant)s AND q.outcome IS NULL AND q.id IN (SELECT id FROM newest WHERE place > %(keep)s)
    ORDER BY q.id FOR NO KEY UPDATE
), settled AS (
    UPDATE quarantine q SET outcome = 'discarded', settled_at = (SELECT fn_now()), value = NULL, envelope = NULL
    FROM locked l WHERE q.tenant = %(tenant)s AND q.id = l.id
), told AS (
    UPDATE requests r SET outcome = 'discarded'
    FROM locked l
    WHERE r.tenant = %(tenant)s AND r.identity = l.identity AND r.user_id = l.user_id AND r.type = l.type
)
SELECT count(*) AS discarded FROM locked
"""  # noqa: S608 - made of this module's own text

_TALLY: Final = f"""
SELECT q.type, q.reason, count(*) FILTER (WHERE q.outcome IS NULL) AS held,
       count(*) FILTER (WHERE q.outcome <> 'discarded') AS released,
       count(*) FILTER (WHERE q.outcome = 'discarded') AS discarded
FROM quarantine q WHERE {_FITTING} GROUP BY q.type, q.reason ORDER BY q.type, q.reason
"""  # noqa: S608 - made of this module's own text


@frozen
class PostgresQuarantine:
    """The Quarantine port."""

    database: Database
    seals: Seals

    async def held(self, tenant: str, wanted: Wanted, limit: int, *, after: Held | None = None) -> Sequence[Held]:
        """See the port."""

        async def work(connection: Connection) -> Sequence[Held]:
            rows = await fetch(
                connection,
                _HELD,
                limit=limit,
                after=after.event_at.isoformat() if after else "-infinity",
                after_id=after.id if after else 0,
                **_named(tenant, wanted),
            )
            return [_held(row) for row in rows]

        return await self.database.run(work, snapshot=True)

    async def opened(self, tenant: str, ids: Collection[int]) -> Mapping[int, Original]:
        """See the port."""

        async def work(connection: Connection) -> Mapping[int, Original]:
            rows = await fetch(connection, _OPEN, ids=_ids(tenant, ids))
            return {row.id: original for row in rows if (original := self._original(row))}

        return await self.database.run(work, snapshot=True) if ids else {}

    async def discard(self, tenant: str, wanted: Wanted, *, keep: int = 0) -> int:
        """See the port."""

        async def work(connection: Connection) -> int:
            (row,) = await fetch(connection, _DISCARD, keep=keep, **_named(tenant, wanted))
            discarded: int = row.discarded
            return discarded

        return await self.database.run(work)

    async def tally(self, tenant: str, wanted: Wanted) -> Sequence[Tally]:
        """See the port."""

        async def work(connection: Connection) -> Sequence[Tally]:
            return [
                Tally(
                    type=row.type,
                    reason=Reason(row.reason),
                    held=row.held,
                    released=row.released,
                    discarded=row.discarded,
                )
                for row in await fetch(connection, _TALLY, **_named(tenant, wanted))
            ]

        return await self.database.run(work, snapshot=True)

    def _original(self, row: Row) -> Original | None:
        try:
            return opened_original(self.seals, row, *_place(row.tenant, row.identity, row.user_id, row.type))
        except VaultError:
            return None


async def store_held(
    connection: Connection, seals: Seals, tenant: str, held: Sequence[tuple[Event, Hold]], now: datetime
) -> int:
    """Put these into quarantine, in the caller's transaction. Returns how many were not there already."""
    if not held:
        return 0
    rows = [_row(seals, tenant, event, hold) for event, hold in held]
    return len(await fetch(connection, _STORE, held=rows, now=now.isoformat()))


async def still_held(connection: Connection, tenant: str, ids: Iterable[int | None]) -> set[int | None]:
    """Lock those of these that are held, in their order: nobody else settles them until the transaction ends."""
    ordered = sorted({id_ for id_ in ids if id_ is not None})
    if not ordered:
        return set()
    return {row.id for row in await fetch(connection, _LOCK, ids=_ids(tenant, ordered))}


async def settle(connection: Connection, tenant: str, outcomes: Mapping[int, str]) -> None:
    """Say what became of those of these that are held still, which are locked."""
    for outcome in sorted(set(outcomes.values())):
        ids = [id_ for id_, each in outcomes.items() if each == outcome]
        await execute(connection, _SETTLE, outcome=outcome, ids=_ids(tenant, ids))


def _ids(tenant: str, ids: Iterable[int]) -> list[dict[str, Any]]:
    return [{"tenant": tenant, "id": id_} for id_ in ids]


def _named(tenant: str, wanted: Wanted) -> dict[str, str]:
    return {
        "tenant": tenant,
        "type": wanted.type or "",
        "user_id": wanted.user_id or "",
        "reason": wanted.reason or "",
    }


def _held(row: Row) -> Held:
    return Held(
        id=row.id,
        type=row.type,
        user_id=row.user_id,
        reason=Reason(row.reason),
        event_at=row.event_at,
        held_at=row.held_at,
        position=Position(topic=row.topic, partition=row.partition, offset=row.offset),
    )


def _row(seals: Seals, tenant: str, event: Event, hold: Hold) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "identity": event.identity,
        "user_id": hold.user.user_id,
        "type": hold.type,
        "reason": hold.reason,
        "event_at": hold.event_at,
        **sealed_original(seals, event.original, *_place(tenant, event.identity, hold.user.user_id, hold.type)),
    }


def _place(tenant: str, identity: bytes, user_id: str, type_: str) -> tuple[str, ...]:
    return "quarantine", tenant, identity.hex(), user_id, type_
