"""Storing planned events in PostgreSQL: one transaction for all that a batch comes to."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import asdict, define, field, frozen

from fn_notifications.adapters.postgres.aggregates import sealed_place, store_time
from fn_notifications.adapters.postgres.changes import log_row
from fn_notifications.adapters.postgres.dead_letters import store_dead
from fn_notifications.adapters.postgres.dedup import Held, lock_keys, write_keys
from fn_notifications.adapters.postgres.people import PostgresPeople
from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.adapters.postgres.quarantine import settle, still_held, store_held
from fn_notifications.adapters.postgres.queue import awaits_contact
from fn_notifications.adapters.postgres.ranks import Lane, take_turns
from fn_notifications.adapters.postgres.reach import Reach
from fn_notifications.adapters.postgres.received import add_received, correct_received
from fn_notifications.adapters.postgres.rows import Row, delivery_row, notification_row, packed_decisions
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.application.outward import planned
from fn_notifications.application.ports.intake import (
    Batch,
    DeadEvent,
    DeadReason,
    Event,
    EventOutcome,
    Report,
    Volume,
)
from fn_notifications.application.sieve import Flow, Sieve, flow_of
from fn_notifications.application.taken import taken
from fn_notifications.domain.deduplication import Kept
from fn_notifications.domain.lifecycle import OPEN
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.quarantine import REMEMBERED

_IDENTIFY: Final = """
INSERT INTO event_identities (tenant, identity, digest, at)
SELECT tenant, identity, digest, %(now)s::timestamptz FROM json_populate_recordset(NULL::event_identities, %(events)s)
ON CONFLICT (tenant, identity) DO NOTHING
RETURNING identity
"""

_KNOWN: Final = """
SELECT e.identity, e.digest, ARRAY(
    SELECT coalesce(r.notification_id, r.duplicate_of) FROM requests r
    WHERE r.tenant = i.tenant AND r.identity = i.identity AND coalesce(r.notification_id, r.duplicate_of) IS NOT NULL
    ORDER BY r.user_id, r.type
) AS became
FROM json_populate_recordset(NULL::event_identities, %(events)s) AS i
CROSS JOIN LATERAL (
    SELECT * FROM event_identities e WHERE e.tenant = i.tenant AND e.identity = i.identity LIMIT 1
) AS e
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
), turned AS (
    INSERT INTO turns AS t (channel, priority, tenant, type, last, furthest)
    SELECT channel, priority, tenant, type, last, furthest FROM json_populate_recordset(NULL::turns, %(turns)s)
    ON CONFLICT (channel, priority, tenant, type) DO UPDATE SET
        last = excluded.last, furthest = greatest(t.furthest, excluded.furthest)
), logged AS (
    INSERT INTO event_log (shard, tenant, notification_id, no, version, status, attempts, at)
    SELECT shard, tenant, notification_id, no, version, status, attempts, at
    FROM json_populate_recordset(NULL::event_log, %(log)s)
)
INSERT INTO intake
    (tenant, topic, partition, first_offset, last_offset, at, counts, events, identities, dead_letters, held, made)
SELECT tenant, topic, partition, first_offset, last_offset, %(now)s::timestamptz, counts, events, identities,
       dead_letters, held, made
FROM json_populate_recordset(NULL::intake, %(intake)s)
"""

_VOLUMES: Final = """
INSERT INTO volumes AS v (tenant, type, hour, amount, recent)
SELECT tenant, type, date_trunc('hour', %(now)s::timestamptz), amount, '{}'
FROM json_populate_recordset(NULL::volumes, %(volumes)s)
ON CONFLICT (tenant, type) DO UPDATE SET
    recent = CASE WHEN v.hour >= excluded.hour THEN v.recent ELSE (
        array_fill(0::bigint, ARRAY[least(extract(epoch FROM excluded.hour - v.hour)::int / 3600, %(most)s) - 1])
        || v.amount || v.recent)[1:%(most)s] END,
    amount = CASE WHEN v.hour >= excluded.hour THEN v.amount + excluded.amount ELSE excluded.amount END,
    hour = greatest(v.hour, excluded.hour)
RETURNING v.type, v.amount, v.recent
"""

# A row may be there: of what was held, or of an event whose identity was forgotten. The latest counts, but a recorded
# repetition is counted as one and stays.
_REQUESTS: Final = """
INSERT INTO requests (tenant, identity, user_id, type, notification_id, duplicate_of, outcome, decisions)
SELECT tenant, identity, user_id, type, notification_id, duplicate_of, outcome, decisions
FROM json_populate_recordset(NULL::requests, %(requests)s)
ON CONFLICT (tenant, identity, user_id, type) DO UPDATE SET
    notification_id = excluded.notification_id, duplicate_of = excluded.duplicate_of, outcome = excluded.outcome,
    decisions = excluded.decisions
WHERE requests.duplicate_of IS NULL
RETURNING duplicate_of
"""


@frozen
class PostgresIntake:
    """The IntakeStore port."""

    database: Database
    seals: Seals
    people: PostgresPeople
    _lanes: Reach[Lane, int] = field(factory=Reach, init=False)
    """Where each lane had got to."""

    async def store(self, batch: Batch) -> Report:
        """See the port. A batch whose commit stays unknown is stored again: its events are duplicates then, and a
        profile it changed is a conflict. A record that is dead already does not die twice.
        """

        async def work(connection: Connection) -> Report:
            storing = _Storing(
                connection=connection, seals=self.seals, people=self.people, lanes=self._lanes, batch=batch
            )
            return await storing.report()

        return await self.database.run(work, often=True)


@define(kw_only=True)
class _Storing:
    """One transaction on its way."""

    connection: Connection
    seals: Seals
    people: PostgresPeople
    lanes: Reach[Lane, int]
    batch: Batch
    dead: list[DeadEvent] = field(factory=list)

    async def report(self) -> Report:
        """Store the batch and say what became of it."""
        proposals = [proposal for event in self.batch.events for proposal in event.proposals]
        waiting = {one.notification.user for one in proposals if any(map(awaits_contact, one.notification.deliveries))}
        await self.people.store(self.connection, self.batch.profiles, waiting)
        now = await store_time(self.connection)
        held = await still_held(self.connection, self.batch.tenant, [one.released for one in self.batch.events])
        fresh, known = await self._identify(now)
        new = [*(event for event in self.batch.events if event.released in held), *fresh]
        asked = Counter(flow for event in new for one in event.proposals if (flow := flow_of(one)))
        sieve = await self._sieve(new, asked, now)
        sieve.sift(new)
        await self._store_notifications(sieve)
        outcomes = self._outcomes(sieve, new, known)
        self.dead.extend(self.batch.dead)
        outcomes += [EventOutcome.DEAD_LETTERED] * len(self.batch.dead)
        held_now = await self._store_held(sieve, outcomes)
        await write_keys(self.connection, sieve.keys, now)
        await correct_received(self.connection, asked, sieve.received, sieve.told, now)
        volumes = await self._count(sieve.asked(new), now)
        await self._store_rest(sieve, new, outcomes, identities=len(fresh), held=held_now)
        return Report(
            outcomes=tuple(outcomes),
            notifications=tuple(sieve.stored),
            duplicates=sieve.duplicates,
            repeated={identity: tuple(row.became) for identity, row in known.items()},
            holds=tuple(hold for _, hold in sieve.held.values()),
            volumes=volumes,
        )

    async def _identify(self, now: datetime) -> tuple[list[Event], Mapping[bytes, Row]]:
        """The events nobody stored before, the first of each identity; and what is known of the others' identities.

        Those that are released are not asked for: they were known when they were held.
        """
        firsts: dict[bytes, Event] = {}
        for event in self.batch.events:
            if event.released is None:
                firsts.setdefault(event.identity, event)
        if not firsts:
            return [], {}
        rows = [
            {"tenant": self.batch.tenant, "identity": identity, "digest": firsts[identity].digest}
            for identity in sorted(firsts)
        ]
        new = {row.identity for row in await fetch(self.connection, _IDENTIFY, events=rows, now=now.isoformat())}
        others = [row for row in rows if row["identity"] not in new]
        known = await fetch(self.connection, _KNOWN, events=others) if others else []
        return [event for event in firsts.values() if event.identity in new], {row.identity: row for row in known}

    async def _sieve(self, events: Iterable[Event], asked: Mapping[Flow, int], now: datetime) -> Sieve[Held]:
        """Lock what is to be decided on. A key nobody held is given to its first proposal right away."""
        first: dict[Held, tuple[Kept, ...]] = {}
        for proposal in (proposal for event in events for proposal in event.proposals):
            one = proposal.notification
            if one.key is not None:
                first.setdefault(Held.of(one), () if proposal.silent else (Kept(one.event_at, one.id),))
        return Sieve(
            now=now,
            key_of=Held.of,
            kept=await lock_keys(self.connection, first, now) if first else {},
            received=await add_received(self.connection, asked, now),
        )

    async def _store_notifications(self, sieve: Sieve[Held]) -> None:
        """Insert them. One that is there already, its event's identity long forgotten, is a duplicate of itself."""
        if sieve.stored:
            rows = [notification_row(one, self._sealed(one)) for one in sieve.stored.values()]
            inserted = {row.id for row in await fetch(self.connection, _NOTIFICATIONS, notifications=rows)}
            sieve.repeats_itself(sieve.stored.keys() - inserted)

    def _sealed(self, notification: Notification) -> bytes:
        content = {"variables": notification.variables, "metadata": notification.metadata}
        return self.seals.seal_json(content, *sealed_place(notification.user.tenant, notification.id))

    def _outcomes(self, sieve: Sieve[Held], new: Sequence[Event], known: Mapping[bytes, Row]) -> list[EventOutcome]:
        """Of every event, in order: the first with its identity counts, if that was not known before."""
        digests = {identity: row.digest for identity, row in known.items()}
        left = {(event.identity, event.released) for event in new}
        outcomes = []
        for event in self.batch.events:
            place = (event.identity, event.released)
            if event.released is None and digests.setdefault(event.identity, event.digest) != event.digest:
                self.dead.append(DeadEvent(reason=DeadReason.EVENT_ID_REUSED, original=event.original))
                outcomes.append(EventOutcome.DEAD_LETTERED)
            else:
                outcomes.append(sieve.outcome(event) if place in left else EventOutcome.DUPLICATE)
            left.discard(place)
        return outcomes

    async def _store_held(self, sieve: Sieve[Held], outcomes: Sequence[EventOutcome]) -> int:
        """Into quarantine and, what was released, out of it. Returns how many went in."""
        into = list(sieve.held.values())
        many = await store_held(self.connection, self.seals, self.batch.tenant, into, sieve.now)
        ended = {
            event.released: outcome
            for event, outcome in zip(self.batch.events, outcomes, strict=False)
            if event.released is not None and outcome is not EventOutcome.HELD
        }
        await settle(self.connection, self.batch.tenant, ended)
        return many

    async def _count(self, asked: Mapping[str, int], now: datetime) -> tuple[Volume, ...]:
        """Add to the volume of types, which stays locked until the transaction ends."""
        if not asked:
            return ()
        tenant = self.batch.tenant
        rows = [{"tenant": tenant, "type": type_, "amount": amount} for type_, amount in sorted(asked.items())]
        return tuple(
            Volume(type=row.type, added=asked[row.type], amount=row.amount, recent=tuple(row.recent))
            for row in await fetch(self.connection, _VOLUMES, volumes=rows, now=now.isoformat(), most=REMEMBERED)
        )

    async def _store_rest(
        self,
        sieve: Sieve[Held],
        events: Sequence[Event],
        outcomes: Sequence[EventOutcome],
        *,
        identities: int,
        held: int,
    ) -> None:
        now, stored = sieve.now, list(sieve.stored.values())
        requests = {_place(row): row for event in events for row in self._request_rows(sieve, event)}
        asked = await fetch(self.connection, _REQUESTS, requests=list(requests.values())) if requests else []
        intakes = taken(
            self.batch,
            outcomes,
            identities=identities,
            held=held,
            dead_letters=await store_dead(self.connection, self.seals, self.batch.tenant, self.dead, now),
            stored=stored,
            repeated=[row.duplicate_of for row in asked if row.duplicate_of],
        )
        queued = [(one, each) for one in stored for each in one.deliveries if each.status in OPEN]
        ranks = await take_turns(self.connection, self.batch.tenant, queued, self.lanes)
        await execute(
            self.connection,
            _REST,
            deliveries=[delivery_row(delivery) for one in stored for delivery in one.deliveries],
            places=[ranks.place(one, each, now) for one, each in queued],
            turns=ranks.turns(),
            log=[log_row(each) for one in stored for each in planned(one)],
            intake=[{"tenant": self.batch.tenant, **asdict(one)} for one in intakes],
            now=now.isoformat(),
        )

    def _request_rows(self, sieve: Sieve[Held], event: Event) -> Iterable[dict[str, Any]]:
        for hold in event.holds:
            yield self._request_row(event, hold.user.user_id, hold.type)
        for one in (proposal.notification for proposal in event.proposals):
            row = self._request_row(event, one.user.user_id, one.type)
            if sieve.duplicates.get(one.id) == one.id:
                continue  # it repeats itself, and is on record
            if one.id in sieve.stored:
                row |= {"outcome": EventOutcome.PLANNED, "notification_id": one.id}
            elif one.id in sieve.duplicates:
                row |= {"outcome": EventOutcome.DUPLICATE, "duplicate_of": sieve.duplicates[one.id]}
            yield row if row["outcome"] is EventOutcome.HELD else row | {"decisions": packed_decisions(one.decisions)}

    def _request_row(self, event: Event, user_id: str, type_: str) -> dict[str, Any]:
        """Of what is held."""
        return {
            "tenant": self.batch.tenant,
            "identity": event.identity,
            "user_id": user_id,
            "type": type_,
            "notification_id": None,
            "duplicate_of": None,
            "outcome": EventOutcome.HELD,
            "decisions": [],
        }


def _place(request: Mapping[str, Any]) -> tuple[Any, ...]:
    return request["identity"], request["user_id"], request["type"]
