"""Storing planned events in PostgreSQL: one transaction for all that a batch comes to."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from attrs import define, field, frozen

from fn_notifications.adapters.postgres.aggregates import sealed_place, store_time
from fn_notifications.adapters.postgres.dead_letters import store_dead
from fn_notifications.adapters.postgres.dedup import Held, lock_keys, write_keys
from fn_notifications.adapters.postgres.people import PostgresPeople
from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.adapters.postgres.queue import awaits_contact, new_place
from fn_notifications.adapters.postgres.rows import delivery_row, notification_row, packed_decisions
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.application.ports.intake import (
    Batch,
    DeadEvent,
    DeadReason,
    Event,
    EventOutcome,
    Proposal,
    Report,
)
from fn_notifications.domain.deduplication import Kept, duplicate_of
from fn_notifications.domain.lifecycle import OPEN, RELEASING
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.reasons import Reason

Lane = tuple[str, str]
"""User id and channel."""

_IDENTIFY: Final = """
INSERT INTO event_identities (tenant, identity, digest, at)
SELECT tenant, identity, digest, (SELECT fn_now()) FROM json_populate_recordset(NULL::event_identities, %(events)s)
ON CONFLICT (tenant, identity) DO NOTHING
RETURNING identity
"""

_KNOWN: Final = """
SELECT e.identity, e.digest
FROM json_populate_recordset(NULL::event_identities, %(events)s) AS i
CROSS JOIN LATERAL (
    SELECT * FROM event_identities e WHERE e.tenant = i.tenant AND e.identity = i.identity LIMIT 1
) AS e
"""

_LANES: Final = """
SELECT i.user_id, i.channel, q.waiting, coalesce(p.reachable, false) AS reachable
FROM json_to_recordset(%(lanes)s) AS i (tenant text, user_id text, channel text)
CROSS JOIN LATERAL (
    SELECT count(*) AS waiting FROM due q
    WHERE q.tenant = i.tenant AND q.user_id = i.user_id AND q.channel = i.channel
) AS q
LEFT JOIN LATERAL (
    SELECT p.lookup IS NOT NULL AS reachable FROM contact_points p
    WHERE p.tenant = i.tenant AND p.user_id = i.user_id AND p.channel = i.channel LIMIT 1
) AS p ON true
"""

_NOTIFICATIONS: Final = """
INSERT INTO notifications
    (tenant, id, user_id, type, priority, event_at, created_at, expires_at, catalogue, identity, key, explicit,
     language, timezone, correlation_id, sealed)
SELECT tenant, id, user_id, type, priority, event_at, created_at, expires_at, catalogue, identity, key, explicit,
       language, timezone, correlation_id, sealed
FROM json_populate_recordset(NULL::notifications, %(notifications)s)
ON CONFLICT (tenant, id) DO NOTHING
RETURNING id
"""

_REST: Final = """
WITH delivered AS (
    INSERT INTO deliveries
        (tenant, notification_id, no, channel, expires_at, status, rest, due_at, reason, resends, version)
    SELECT tenant, notification_id, no, channel, expires_at, status, rest, due_at, reason, resends, version
    FROM json_populate_recordset(NULL::deliveries, %(deliveries)s)
), queued AS (
    INSERT INTO due
        (tenant, notification_id, no, user_id, channel, priority, rank, due_at, expires_at, status, awaits_contact,
         ready)
    SELECT tenant, notification_id, no, user_id, channel, priority, rank, due_at, expires_at, status, awaits_contact,
           ready
    FROM json_populate_recordset(NULL::due, %(places)s)
), asked AS (
    INSERT INTO requests (tenant, identity, user_id, type, notification_id, duplicate_of, outcome, decisions)
    SELECT tenant, identity, user_id, type, notification_id, duplicate_of, outcome, decisions
    FROM json_populate_recordset(NULL::requests, %(requests)s)
    ON CONFLICT (tenant, identity, user_id, type) DO NOTHING
)
INSERT INTO intake (tenant, topic, partition, first_offset, last_offset, at, counts)
SELECT tenant, topic, partition, first_offset, last_offset, (SELECT fn_now()), counts
FROM json_populate_recordset(NULL::intake, %(intake)s)
"""


@frozen
class PostgresIntake:
    """The IntakeStore port."""

    database: Database
    seals: Seals
    people: PostgresPeople

    async def store(self, batch: Batch) -> Report:
        """See the port. A batch whose commit stays unknown is stored again: its events are duplicates then, and a
        profile it changed is a conflict. A record that is dead already does not die twice.
        """

        async def work(connection: Connection) -> Report:
            return await _Storing(connection=connection, seals=self.seals, people=self.people, batch=batch).report()

        return await self.database.run(work)


@define(kw_only=True)
class _Storing:
    """One transaction on its way."""

    connection: Connection
    seals: Seals
    people: PostgresPeople
    batch: Batch
    kept: dict[Held, tuple[Kept, ...]] = field(factory=dict)
    changed_keys: set[Held] = field(factory=set)
    stored: dict[UUID, Notification] = field(factory=dict)
    duplicates: dict[UUID, UUID] = field(factory=dict)
    dead: list[DeadEvent] = field(factory=list)

    async def report(self) -> Report:
        """Store the batch and say what became of it."""
        proposals = [proposal for event in self.batch.events for proposal in event.proposals]
        waiting = {one.notification.user for one in proposals if any(map(awaits_contact, one.notification.deliveries))}
        await self.people.store(self.connection, self.batch.profiles, waiting)
        now = await store_time(self.connection)
        fresh, digests = await self._identify()
        await self._lock_keys(fresh, now)
        for event in fresh:
            for proposal in event.proposals:
                self._keep(proposal)
        await self._store_notifications()
        seen: set[bytes] = set()
        fresh_identities = {event.identity for event in fresh}
        outcomes = []
        for event in self.batch.events:
            first = event.identity in fresh_identities and event.identity not in seen
            seen.add(event.identity)
            outcomes.append(self._outcome(event, digests[event.identity], first=first))
        self.dead.extend(self.batch.dead)
        outcomes += [EventOutcome.DEAD_LETTERED] * len(self.batch.dead)
        await self._store_rest(fresh, outcomes, now)
        return Report(outcomes=tuple(outcomes), notifications=tuple(self.stored), duplicates=self.duplicates)

    async def _identify(self) -> tuple[list[Event], Mapping[bytes, bytes]]:
        """The events nobody stored before, the first of each identity; and the digest that counts for every one."""
        firsts: dict[bytes, Event] = {}
        for event in self.batch.events:
            firsts.setdefault(event.identity, event)
        if not firsts:
            return [], {}
        rows = [
            {"tenant": self.batch.tenant, "identity": identity, "digest": firsts[identity].digest}
            for identity in sorted(firsts)
        ]
        new = {row.identity for row in await fetch(self.connection, _IDENTIFY, events=rows)}
        known = [row for row in rows if row["identity"] not in new]
        digests = {event.identity: event.digest for event in firsts.values()}
        if known:
            digests |= {row.identity: row.digest for row in await fetch(self.connection, _KNOWN, events=known)}
        return [event for event in firsts.values() if event.identity in new], digests

    async def _lock_keys(self, events: Iterable[Event], now: datetime) -> None:
        """Lock the keys of all proposals; a key nobody held is given to its first proposal right away."""
        first: dict[Held, tuple[Kept, ...]] = {}
        for event in events:
            for notification in (proposal.notification for proposal in event.proposals):
                if notification.key is not None:
                    first.setdefault(Held.of(notification), () if _silent(notification) else (_kept(notification),))
        if first:
            self.kept = await lock_keys(self.connection, first, now)

    def _keep(self, proposal: Proposal) -> None:
        """Decide whether this is said, or only repeats what is."""
        notification = proposal.notification
        if notification.id in self.stored or notification.id in self.duplicates:
            return
        if notification.key is not None:
            key = Held.of(notification)
            holders = self.kept[key]
            others = [one for one in holders if one.notification_id != notification.id]
            if first := duplicate_of(others, notification.event_at, proposal.window):
                self.duplicates[notification.id] = first
                return
            if len(others) == len(holders) and not _silent(notification):
                self.kept[key] = (*holders, _kept(notification))
                self.changed_keys.add(key)
        self.stored[notification.id] = notification

    async def _store_notifications(self) -> None:
        """Insert them. One that is there already, its event's identity long forgotten, is a duplicate of itself."""
        if not self.stored:
            return
        rows = [notification_row(one, self._sealed(one)) for one in self.stored.values()]
        inserted = {row.id for row in await fetch(self.connection, _NOTIFICATIONS, notifications=rows)}
        for id_ in self.stored.keys() - inserted:
            self.duplicates[id_] = id_
            del self.stored[id_]

    def _sealed(self, notification: Notification) -> bytes:
        content = {"variables": notification.variables, "metadata": notification.metadata}
        return self.seals.seal_json(content, *sealed_place(notification.user.tenant, notification.id))

    def _outcome(self, event: Event, digest: bytes, *, first: bool) -> EventOutcome:
        if event.digest != digest:
            self.dead.append(DeadEvent(reason=DeadReason.EVENT_ID_REUSED, original=event.original))
            return EventOutcome.DEAD_LETTERED
        if not first:
            return EventOutcome.DUPLICATE
        if not event.proposals:
            return EventOutcome.IGNORED
        stored = [one.notification for one in event.proposals if one.notification.id in self.stored]
        if not stored:
            return EventOutcome.DUPLICATE
        stale = all(decision.reason is Reason.STALE for one in stored for decision in one.decisions)
        return EventOutcome.STALE if stale else EventOutcome.PLANNED

    async def _store_rest(self, events: Sequence[Event], outcomes: Sequence[EventOutcome], now: datetime) -> None:
        await write_keys(self.connection, {key: self.kept[key] for key in self.changed_keys}, now)
        deliveries = [delivery for one in self.stored.values() for delivery in one.deliveries]
        await execute(
            self.connection,
            _REST,
            deliveries=[delivery_row(delivery) for delivery in deliveries],
            places=await self._place_rows(now),
            requests=[row for event in events for row in self._request_rows(event)],
            intake=_intake_rows(self.batch, outcomes),
        )
        if self.dead:
            await store_dead(self.connection, self.seals, self.batch.tenant, self.dead)

    async def _place_rows(self, now: datetime) -> list[dict[str, Any]]:
        """Places behind what each user already has waiting in each lane."""
        queued = [(one, each) for one in self.stored.values() for each in one.deliveries if each.status in OPEN]
        lanes = {(one.user.user_id, str(each.channel)) for one, each in queued}
        if not lanes:
            return []
        batch = [{"tenant": self.batch.tenant, "user_id": user, "channel": channel} for user, channel in sorted(lanes)]
        rows = {(row.user_id, row.channel): row for row in await fetch(self.connection, _LANES, lanes=batch)}
        ranks = {lane: row.waiting for lane, row in rows.items()}
        places = []
        for notification, delivery in queued:
            lane = (notification.user.user_id, str(delivery.channel))
            reachable = rows[lane].reachable
            places.append(new_place(notification, delivery, now, rank=ranks[lane], reachable=reachable).row())
            ranks[lane] += 1
        return places

    def _request_rows(self, event: Event) -> Iterable[dict[str, Any]]:
        for one in (proposal.notification for proposal in event.proposals):
            yield {
                "tenant": one.user.tenant,
                "identity": event.identity,
                "user_id": one.user.user_id,
                "type": one.type,
                "notification_id": one.id if one.id in self.stored else None,
                "duplicate_of": self.duplicates.get(one.id),
                "outcome": EventOutcome.PLANNED if one.id in self.stored else EventOutcome.DUPLICATE,
                "decisions": packed_decisions(one.decisions),
            }


def _silent(notification: Notification) -> bool:
    """Whether it says nothing on any channel: then it takes no key."""
    return all(delivery.status in RELEASING for delivery in notification.deliveries)


def _kept(notification: Notification) -> Kept:
    return Kept(notification.event_at, notification.id)


def _intake_rows(batch: Batch, outcomes: Sequence[EventOutcome]) -> list[dict[str, Any]]:
    """One row per partition: which offsets, and how many became what."""
    originals = [*(event.original for event in batch.events), *(dead.original for dead in batch.dead)]
    rows: dict[tuple[str, int], dict[str, Any]] = {}
    for original, outcome in zip(originals, outcomes, strict=True):
        at = original.position
        row = rows.setdefault(
            (at.topic, at.partition),
            {
                "tenant": batch.tenant,
                "topic": at.topic,
                "partition": at.partition,
                "first_offset": at.offset,
                "last_offset": at.offset,
                "counts": {},
            },
        )
        row["first_offset"] = min(row["first_offset"], at.offset)
        row["last_offset"] = max(row["last_offset"], at.offset)
        row["counts"][outcome] = row["counts"].get(outcome, 0) + 1
    return list(rows.values())
