"""Writing down what became of deliveries, with everything that follows: attempts, queue, event log, released keys."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from fn_notifications.adapters.postgres.aggregates import Whole
from fn_notifications.adapters.postgres.dedup import Held, lock_keys, write_keys
from fn_notifications.adapters.postgres.pool import Connection, execute, fetch
from fn_notifications.adapters.postgres.queue import Place, new_place
from fn_notifications.adapters.postgres.rows import attempt_row, delivery_row, key_row, packed_change, packed_overruled
from fn_notifications.application.changes import overruled, second_thoughts
from fn_notifications.application.outward import Transition, transitions
from fn_notifications.application.ports.deliveries import Begun
from fn_notifications.application.ports.eventlog import SHARDS
from fn_notifications.application.ports.history import Change
from fn_notifications.domain import events as e
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.identity import shard_of
from fn_notifications.domain.lifecycle import RELEASING
from fn_notifications.domain.notification import Notification

# Every row is found through a primary key, whatever the statistics: upserts have no plan to go wrong, and what is
# deleted is looked up first.
_WRITE: Final = """
WITH changed AS (
    INSERT INTO deliveries
        (tenant, notification_id, no, channel, expires_at, status, rest, due_at, reason, resends, version, changes)
    SELECT tenant, notification_id, no, channel, expires_at, status, rest, due_at, reason, resends, version, changes
    FROM json_populate_recordset(NULL::deliveries, %(deliveries)s)
    ON CONFLICT (tenant, notification_id, no) DO UPDATE SET
        status = excluded.status, rest = excluded.rest, due_at = excluded.due_at, reason = excluded.reason,
        resends = excluded.resends, version = excluded.version,
        changes = CASE WHEN excluded.changes IS NULL THEN deliveries.changes
                       ELSE coalesce(deliveries.changes, '[]') || excluded.changes END
), tried AS (
    INSERT INTO attempts
        (tenant, notification_id, delivery_no, no, id, route, started_at, epoch, evidence, scope, code, provider_id,
         answered_at, digest)
    SELECT tenant, notification_id, delivery_no, no, id, route, started_at, epoch, evidence, scope, code, provider_id,
           answered_at, digest
    FROM json_populate_recordset(NULL::attempts, %(attempts)s)
    ON CONFLICT (tenant, notification_id, delivery_no, no) DO UPDATE SET
        evidence = excluded.evidence, scope = excluded.scope, code = excluded.code,
        provider_id = excluded.provider_id, answered_at = excluded.answered_at, digest = excluded.digest
), moved AS (
    INSERT INTO due AS q
        (tenant, notification_id, no, user_id, channel, priority, rank, due_at, expires_at, status, awaits_contact,
         ready, lease_until, token, worker)
    SELECT tenant, notification_id, no, user_id, channel, priority, rank, due_at, expires_at, status, awaits_contact,
           ready, lease_until, token, worker
    FROM json_populate_recordset(NULL::due, %(places)s)
    ON CONFLICT (tenant, notification_id, no) DO UPDATE SET
        due_at = excluded.due_at, status = excluded.status, awaits_contact = excluded.awaits_contact,
        ready = excluded.ready, lease_until = excluded.lease_until, worker = excluded.worker
), settled AS (
    DELETE FROM due WHERE ctid = ANY (ARRAY(
        SELECT q.ctid
        FROM json_to_recordset(%(settled)s) AS i (tenant text, notification_id uuid, no smallint)
        CROSS JOIN LATERAL (
            SELECT q.ctid FROM due q
            WHERE q.tenant = i.tenant AND q.notification_id = i.notification_id AND q.no = i.no LIMIT 1
        ) AS q))
)
INSERT INTO event_log (shard, tenant, notification_id, no, version, status, attempts, at, topic, key, data)
SELECT shard, tenant, notification_id, no, version, status, attempts, at, topic, key, data
FROM json_populate_recordset(NULL::event_log, %(log)s)
"""

_LOCK_NOTIFICATIONS: Final = """
SELECT FROM json_to_recordset(%(ids)s) AS i (tenant text, id uuid)
CROSS JOIN LATERAL (
    SELECT FROM notifications n WHERE n.tenant = i.tenant AND n.id = i.id FOR NO KEY UPDATE
) AS n
"""

_STATUSES: Final = """
SELECT i.tenant, i.id, d.status
FROM json_to_recordset(%(ids)s) AS i (tenant text, id uuid)
CROSS JOIN LATERAL (
    SELECT d.status FROM deliveries d WHERE d.tenant = i.tenant AND d.notification_id = i.id OFFSET 0
) AS d
"""


@frozen(kw_only=True)
class Changed:
    """One delivery's change, under lock."""

    notification: Notification
    states: tuple[Delivery, ...]
    """The delivery before it, and after each of its events."""
    place: Place | None
    """Before it; None when it was settled already."""
    events: tuple[e.Event, ...] = ()
    freed: bool = False
    """Whether whoever leased it is done with it."""
    late: tuple[Change, ...] = ()
    """Answers that came when their lease was lost."""

    @property
    def before(self) -> Delivery:
        """As it was found."""
        return self.states[0]

    @property
    def after(self) -> Delivery:
        """As it is now."""
        return self.states[-1]

    def then(self, events: tuple[e.Event, ...], *, freed: bool = False) -> "Changed":
        """The same with more events."""
        return Changed(
            notification=self.notification,
            states=(*self.states[:-1], *self.after.states(events)),
            place=self.place,
            events=(*self.events, *events),
            freed=self.freed or freed,
            late=self.late,
        )

    def place_after(self, now: datetime) -> Place:
        """Where the delivery, which is queued, stands from now on."""
        if self.place is None:
            return new_place(self.notification, self.after, now)
        return self.place.moved(self.after, now, freed=self.freed)


def as_begun(begun: Begun, place: Place | None) -> Changed:
    """A delivery under lock that is as it was when its call went out."""
    return Changed(notification=begun.notification, states=(begun.delivery,), place=place)


def unchanged(whole: Whole, key: DeliveryKey, place: Place | None) -> Changed:
    """A delivery under lock, before anything happens to it."""
    before = next(delivery for delivery in whole.deliveries if delivery.key.no == key.no)
    return Changed(notification=whole.notification, states=(before,), place=place)


async def write(connection: Connection, changes: Sequence[Changed], now: datetime, *, reported: bool = False) -> None:
    """Write changes down, one per delivery. Keys are released where nothing was said after all.

    `reported`: reports made them, which are kept too.
    """
    if not changes:
        return
    queued, settled = list[Changed](), list[Changed]()
    for one in changes:
        (queued if one.after.queued else settled).append(one)
    await execute(
        connection,
        _WRITE,
        deliveries=[delivery_row(one.after, _packed_changes(one, reported=reported)) for one in changes],
        attempts=[row for one in changes for row in _attempt_rows(one)],
        places=[one.place_after(now).row() for one in queued],
        settled=[key_row(one.after.key) for one in settled],
        log=[row for one in changes for row in _log_rows(one)],
    )
    ended = {(one.before.key.tenant, one.notification.id): one.notification for one in changes if _ended(one)}
    if ended:
        await _release_keys(connection, [ended[key] for key in sorted(ended)], now)


def log_row(one: Transition, notification: Notification) -> dict[str, Any]:
    """An event for the log, in its user's shard."""
    return {
        **key_row(one.key),
        "shard": shard_of(notification.user.tenant, notification.user.user_id) % SHARDS,
        "version": one.version,
        "status": one.status,
        "attempts": one.attempts,
        "at": one.at,
        "topic": one.topic,
        "key": one.user_id,
        "data": one.told or None,
    }


def _packed_changes(one: Changed, *, reported: bool) -> list[Any]:
    thoughts = (*one.late, *second_thoughts(one.before.key.no, one.events))
    known = overruled(one.states, one.events, reported=reported)
    return [*map(packed_change, thoughts), *map(packed_overruled, known)]


def _attempt_rows(one: Changed) -> list[dict[str, Any]]:
    known = one.before.attempts
    return [
        attempt_row(one.after.key, attempt)
        for index, attempt in enumerate(one.after.attempts)
        if index >= len(known) or known[index] is not attempt
    ]


def _log_rows(one: Changed) -> list[dict[str, Any]]:
    return [log_row(each, one.notification) for each in transitions(one.notification, one.states, one.events)]


def _ended(one: Changed) -> bool:
    return one.notification.key is not None and one.after.status in RELEASING and one.before.status not in RELEASING


async def _release_keys(connection: Connection, notifications: Collection[Notification], now: datetime) -> None:
    """Let go of the keys of those whose every delivery ended unsaid.

    The notifications are locked first: of two siblings that end at once, the second sees the first.
    """
    ids = [{"tenant": one.user.tenant, "id": one.id} for one in notifications]
    await execute(connection, _LOCK_NOTIFICATIONS, ids=ids)
    rows = await fetch(connection, _STATUSES, ids=ids)
    said = {(row.tenant, row.id) for row in rows if row.status not in RELEASING}
    silent = {one.id: one for one in notifications if (one.user.tenant, one.id) not in said}
    keys = {Held.of(one) for one in silent.values()}
    if not keys:
        return
    kept = await lock_keys(connection, dict.fromkeys(keys, ()), now)
    left = {key: tuple(one for one in holders if one.notification_id not in silent) for key, holders in kept.items()}
    await write_keys(connection, left, now)
