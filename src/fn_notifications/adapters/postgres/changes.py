"""Writing down what became of deliveries, with everything that follows: attempts, queue, event log, released keys."""

from collections.abc import Collection, Iterator, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import frozen

from fn_notifications.adapters.postgres.aggregates import Whole
from fn_notifications.adapters.postgres.dedup import Held, lock_keys, write_keys
from fn_notifications.adapters.postgres.pool import Connection, execute, fetch
from fn_notifications.adapters.postgres.queue import Place, new_place
from fn_notifications.adapters.postgres.rows import (
    answer_row,
    attempt_row,
    key_row,
    packed_change,
    packed_overruled,
    sparse,
    standing_row,
)
from fn_notifications.application.changes import overruled, second_thoughts
from fn_notifications.application.outward import Transition, transitions
from fn_notifications.application.ports.deliveries import Begun
from fn_notifications.application.ports.eventlog import SHARDS
from fn_notifications.application.ports.history import Change
from fn_notifications.domain import events as e
from fn_notifications.domain.delivery import Delivery, DeliveryKey
from fn_notifications.domain.identity import shard_in
from fn_notifications.domain.lifecycle import RELEASING
from fn_notifications.domain.notification import Notification

# A row is an event; the last of a delivery also says how that stands then, and its place in the queue. What is there
# already is locked, and found through its primary key, whatever the statistics: an upsert has no plan to go wrong (each
# is a conflict, so what else it would insert is never seen), and what is deleted is looked up first.
_WRITE: Final = """
WITH given AS MATERIALIZED (
    SELECT * FROM json_to_recordset(%(changes)s) AS i (
        tenant text, notification_id uuid, no smallint, version integer, status text,
        shard smallint, attempts smallint, at timestamptz, topic text, key text, data jsonb,
        attempt_no smallint, id text, route text, started_at timestamptz, epoch bigint,
        evidence smallint, scope text, code text, provider_id text, answered_at timestamptz, digest text,
        rest text, delivery_due_at timestamptz, reason text, resends smallint, changes jsonb,
        due_at timestamptz, awaits_contact boolean, ready boolean, lease_until timestamptz, worker text,
        user_id text, channel text, priority smallint, rank bigint, expires_at timestamptz
    )
), changed AS (
    INSERT INTO deliveries
        (tenant, notification_id, no, channel, expires_at, status, rest, due_at, reason, resends, version, changes)
    SELECT tenant, notification_id, no, '', '-infinity', status, rest, delivery_due_at, reason, resends, version,
           changes
    FROM given WHERE rest IS NOT NULL
    ON CONFLICT (tenant, notification_id, no) DO UPDATE SET
        status = excluded.status, rest = excluded.rest, due_at = excluded.due_at, reason = excluded.reason,
        resends = excluded.resends, version = excluded.version,
        changes = CASE WHEN excluded.changes IS NULL THEN deliveries.changes
                       ELSE coalesce(deliveries.changes, '[]') || excluded.changes END
), tried AS (
    INSERT INTO attempts
        (tenant, notification_id, delivery_no, no, id, route, started_at, epoch, evidence, scope, code, provider_id,
         answered_at, digest)
    SELECT tenant, notification_id, no, attempt_no, id, route, started_at, epoch, evidence, scope, code, provider_id,
           answered_at, digest
    FROM given WHERE route IS NOT NULL
), answered AS (
    INSERT INTO attempts
        (tenant, notification_id, delivery_no, no, route, started_at, epoch, evidence, scope, code, provider_id,
         answered_at, digest)
    SELECT tenant, notification_id, no, attempt_no, '', '-infinity', 0, evidence, scope, code, provider_id,
           answered_at, digest
    FROM given WHERE attempt_no IS NOT NULL AND route IS NULL
    ON CONFLICT (tenant, notification_id, delivery_no, no) DO UPDATE SET
        evidence = excluded.evidence, scope = excluded.scope, code = excluded.code,
        provider_id = excluded.provider_id, answered_at = excluded.answered_at, digest = excluded.digest
), moved AS (
    INSERT INTO due
        (tenant, notification_id, no, user_id, channel, priority, rank, due_at, expires_at, status, awaits_contact,
         ready, lease_until, worker)
    SELECT tenant, notification_id, no, coalesce(user_id, ''), coalesce(channel, ''), coalesce(priority, 0),
           coalesce(rank, 0), due_at, coalesce(expires_at, '-infinity'), status, awaits_contact, ready, lease_until,
           worker
    FROM given WHERE ready IS NOT NULL
    ON CONFLICT (tenant, notification_id, no) DO UPDATE SET
        due_at = excluded.due_at, status = excluded.status, awaits_contact = excluded.awaits_contact,
        ready = excluded.ready, lease_until = excluded.lease_until, worker = excluded.worker
), settled AS (
    DELETE FROM due WHERE ctid = ANY (ARRAY(
        SELECT q.ctid
        FROM given g
        CROSS JOIN LATERAL (
            SELECT q.ctid FROM due q
            WHERE q.tenant = g.tenant AND q.notification_id = g.notification_id AND q.no = g.no LIMIT 1
        ) AS q
        WHERE g.rest IS NOT NULL AND g.ready IS NULL))
)
INSERT INTO event_log (shard, tenant, notification_id, no, version, status, attempts, at, topic, key, data)
SELECT shard, tenant, notification_id, no, version, status, attempts, at, topic, key, data
FROM given WHERE at IS NOT NULL
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
    rows = [row for one in changes for row in _rows(one, now, reported=reported)]
    await execute(connection, _WRITE, changes=rows)
    ended = {(one.before.key.tenant, one.notification.id): one.notification for one in changes if _ended(one)}
    if ended:
        await _release_keys(connection, [ended[key] for key in sorted(ended)], now)


def log_row(one: Transition) -> dict[str, Any]:
    """An event for the log, in its user's shard."""
    row = {
        **key_row(one.key),
        "version": one.version,
        "status": one.status,
        "shard": shard_in(one.key.notification_id) % SHARDS,
        "attempts": one.attempts,
        "at": one.at,
    }
    if one.topic:
        row |= {"topic": one.topic, "key": one.user_id, "data": one.told}
    return row


def _rows(one: Changed, now: datetime, *, reported: bool) -> Iterator[dict[str, Any]]:
    """What changed, of which there is no more than one attempt for each event."""
    after = one.after
    rows = [log_row(each) for each in transitions(one.notification, one.states, one.events)]
    if not rows:
        rows = [{**key_row(after.key), "version": after.version, "status": after.status}]
    for row, attempt in zip(rows, _attempt_rows(one), strict=False):
        row.update(attempt)
    rows[-1] |= standing_row(after, _packed_changes(one, reported=reported))
    if after.queued:
        place = one.place
        rows[-1] |= place.moved(after, now, freed=one.freed) if place else new_place(one.notification, after, now).row()
    return map(sparse, rows)


def _packed_changes(one: Changed, *, reported: bool) -> list[Any]:
    thoughts = (*one.late, *second_thoughts(one.before.key.no, one.events))
    known = overruled(one.states, one.events, reported=reported)
    return [*map(packed_change, thoughts), *map(packed_overruled, known)]


def _attempt_rows(one: Changed) -> list[dict[str, Any]]:
    """Those that changed, and all of those that are new."""
    known, attempts = one.before.attempts, one.after.attempts
    changed = [answer_row(now) for was, now in zip(known, attempts, strict=False) if now is not was]
    return changed + [attempt_row(one.after.key, attempt) for attempt in attempts[len(known) :]]


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
