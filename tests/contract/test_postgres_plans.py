"""Statements find their rows in tables that were empty when they were analysed and have just been filled."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from psycopg.sql import SQL, Identifier, Literal
from tests.services.stores import postgres_stores

from fn_notifications.adapters.postgres import (
    aggregates,
    beginning,
    changes,
    claiming,
    deliveries,
    eventlog,
    history,
    history_pruning,
    intake,
    people,
    points,
    quarantine,
    ranks,
    receipts,
    received,
    routes,
    storage,
    suppressions,
)
from fn_notifications.adapters.postgres.pool import Connection, fetch
from fn_notifications.adapters.postgres.rows import dumps
from fn_notifications.domain.catalogue import Priority
from fn_notifications.domain.identity import first_id_at

pytestmark = pytest.mark.external

START = datetime(2026, 6, 1, tzinfo=UTC)
ROWS = 20_000
BATCH = 200
MOST = 8_000
"""Rows. A page of the log is the most there is: one of each shard, then the oldest of them."""
PLACEHOLDER = re.compile(r"%\((\w+)\)s")

FILL = (
    """
    INSERT INTO due (notification_id, rank, due_at, expires_at, no, priority, ready, awaits_contact, tenant, user_id,
                     channel, status, lease_until)
    SELECT id, n % 7, t.now, t.now + interval '1 day', 1, n % 4, n % 2 = 0, n % 5 = 0, 'default', 'user-' || n, 'email',
           (ARRAY['pending', 'sending', 'in_doubt'])[n % 3 + 1], CASE WHEN n % 4 = 1 THEN t.now END
    FROM rows
    """,
    """
    INSERT INTO notifications (id, event_at, created_at, expires_at, priority, explicit, tenant, user_id, type,
                               catalogue, identity, sealed)
    SELECT id, t.now, t.now, t.now, 1, false, 'default', 'user-' || n, 'news', 'c', '', '' FROM rows
    """,
    """
    INSERT INTO deliveries (notification_id, expires_at, version, no, resends, tenant, channel, status, rest)
    SELECT id, t.now, 1, 1, 0, 'default', 'email', 'pending', 'pending' FROM rows
    """,
    """
    INSERT INTO attempts (notification_id, started_at, epoch, delivery_no, no, evidence, tenant, route)
    SELECT id, t.now, 1, 1, 1, 0, 'default', 'route-a' FROM rows
    """,
    """
    INSERT INTO receipts (notification_id, at, received_at, look_at, delivery_no, attempt_no, hard, applied, tenant,
                          key, provider, provider_key, kind)
    SELECT id, t.now, t.now, t.now, 1, 1, true, false, 'default', decode(md5(n::text), 'hex'), 'p', n::text, 'delivered'
    FROM rows
    """,
    """
    INSERT INTO user_preferences (tenant, user_id, version, fields) SELECT 'default', 'user-' || n, 1, '{}' FROM rows
    """,
    """
    INSERT INTO contact_points (consent_epoch, global_enabled, tenant, user_id, channel, lookup, recent)
    SELECT 1, true, 'default', 'user-' || n, 'email', decode(md5(n::text), 'hex'), '{}' FROM rows
    """,
    """
    INSERT INTO suppressions (at, lifted, tenant, channel, lookup, cause)
    SELECT t.now, false, 'default', 'email', decode(md5(n::text), 'hex'), 'stop' FROM rows
    """,
    """
    INSERT INTO event_identities (at, tenant, identity, digest)
    SELECT t.now, 'default', decode(md5(n::text), 'hex'), '' FROM rows
    """,
    """
    INSERT INTO requests (tenant, identity, user_id, type, outcome, decisions, duplicate_of)
    SELECT 'default', decode(md5(n::text), 'hex'), 'user-' || n, 'news', 'duplicate', '[]', id FROM rows
    """,
    """
    INSERT INTO received (seen, tenant, user_id, type, recent)
    SELECT t.now, 'default', 'user-' || n, 'news', ARRAY[t.now] FROM rows
    """,
    """
    INSERT INTO turns (last, furthest, priority, channel, tenant, type)
    SELECT n, n, n % 4, 'email', 'default', 'type-' || n % 40 FROM rows WHERE n <= 160 AND n % 40 = n / 4
    """,
    """
    INSERT INTO quarantine ("offset", event_at, held_at, written_at, partition, tenant, identity, user_id, type, reason,
                            topic, value, envelope)
    SELECT n, t.now, t.now, t.now, 1, 'default', decode(md5(n::text), 'hex'), 'user-' || n, 'news', 'replayed', 't',
           '', '' FROM rows
    """,
    """
    INSERT INTO event_log (at, shard, id, topic, key, data) SELECT t.now, n % 16, n, 't', 'k', '{}' FROM rows
    """,
    """
    INSERT INTO event_log (at, shard, tenant, notification_id, no, version, status, attempts)
    SELECT t.now, n % 16, 'default', id, 1, 1, 'pending', 0 FROM rows
    """,
    """
    INSERT INTO dedup_keys (seen, tenant, user_id, type, key, kept)
    SELECT t.now, 'default', 'user-' || n, 'news', decode(md5(n::text), 'hex'), '[]' FROM rows
    """,
)
"""Statements over `rows` (n, id) and `t` (now)."""

SOURCE = (
    "(SELECT n, overlay('{first}' placing lpad(to_hex(n), 12, '0') from 25)::uuid AS id "
    "FROM generate_series(1, {rows}) AS n) AS rows, "
    "(SELECT fn_now() AS now) AS t"
)


def parameters(first: UUID) -> dict[str, Any]:
    ids = [UUID(int=first.int + number) for number in range(1, BATCH + 1)]
    user = [f"user-{number}" for number in range(1, BATCH + 1)]
    key = [{"tenant": "default", "notification_id": id_, "no": 1} for id_ in ids]
    lane = [{"tenant": "default", "user_id": name, "channel": "email"} for name in user]
    queue = [{"priority": one.rank, "rank": -1} for one in Priority]
    digests = [bytes.fromhex(f"{number:032x}") for number in range(BATCH)]
    return {
        "keys": key,
        "receipts": [{**one, "key": each, "applied": True} for one, each in zip(key, digests, strict=True)],
        "ids": [{"tenant": "default", "id": id_} for id_ in ids],
        "numbers": [{"tenant": "default", "id": number} for number in range(1, BATCH + 1)],
        "leases": [{**one, "token": 1} for one in key],
        "users": lane,
        "points": lane,
        "people": [{**one, "priority": 1} for one in lane],
        "turns": [{"channel": "email", "priority": each, "tenant": "default", "type": "news"} for each in range(4)],
        "flows": [{**one, "type": "news", "seen": START, "recent": [START]} for one in lane],
        "outcome": "planned",
        "reason": "",
        "start": "-infinity",
        "after_id": 0,
        "wanted": [{"channel": one, "wanted": BATCH, "lanes": queue} for one in ("email", "sms")],
        "lanes": [{**one, "channel": "email"} for one in queue],
        "parts": [{"status": one, "after": "-infinity"} for one in ("pending", "sending", "in_doubt", "sent")],
        "since": "-infinity",
        "addresses": [{"tenant": "default", "channel": "email", "lookup": one} for one in digests],
        "events": [{"tenant": "default", "identity": one} for one in digests],
        "requests": [{"tenant": "default", "identity": one, "user_id": "user-1", "type": "news"} for one in digests],
        "changes": [{**one, "version": 2, "status": "sent", "rest": "pending", "resends": 0} for one in key],
        "profiles": [],
        "reachable": lane,
        "limit": BATCH,
        "held": key,
        "type": "news",
        "before": "2100-01-01T00:00:00Z",
        "after": str(first),
        "no": 1,
        "first": str(first),
        "last": str(UUID(int=first.int + ROWS)),
        "sample": 2000,
        "late": 300,
        "arrived": "delivered",
        "accepted": 4,
        "delivered": 6,
        "from": "2000-01-01T00:00:00Z",
        "to": "2100-01-01T00:00:00Z",
        "lease": 60,
        "worker": "w",
        "reader": "r",
        "tenant": "default",
        "id": str(ids[0]),
        "user_id": "user-1",
        "until": "infinity",
        "bound": "ffffffff-ffff-ffff-ffff-ffffffffffff",
    }


STATEMENTS = {
    "lock": aggregates._LOCK,
    "read": aggregates._READ,
    "attempts": aggregates._ATTEMPTS,
    "write": changes._WRITE,
    "lock notifications": changes._LOCK_NOTIFICATIONS,
    "statuses": changes._STATUSES,
    "promote": claiming._PROMOTE,
    "claim": claiming._CLAIM,
    "release": deliveries._RELEASE,
    "mark held": beginning._MARK_HELD,
    "wake": routes._WAKE,
    "speeds": routes._SPEEDS,
    "overdue": deliveries._OVERDUE,
    "outlived": deliveries._OUTLIVED,
    "points of users": points._OF_USERS_LOCKED,
    "points": points._LOCKED,
    "profiles": people._READ,
    "said": people._SAID,
    "lock profiles": people._LOCK,
    "write profiles": people._WRITE,
    "suppressions": suppressions._IN_FORCE,
    "points of addresses": suppressions._LOCK_POINTS,
    "known events": intake._KNOWN,
    "people in lanes": ranks._PEOPLE,
    "turns": ranks._TURNS,
    "received": received._ADD,
    "those beside": people._BESIDE,
    "held still": quarantine._LOCK.replace("%(ids)s", "%(numbers)s"),
    "no longer held": quarantine._SETTLE.replace("%(ids)s", "%(numbers)s"),
    "held events": quarantine._OPEN.replace("%(ids)s", "%(numbers)s"),
    "receipts": receipts._TAKE,
    "settle receipts": receipts._SETTLE,
    "suppress": suppressions._SUPPRESS,
    "entries": eventlog._TAKE,
    **{f"past {what}": statement for what, statement in storage._EVENTS.items()},
    "unfolded": storage._UNFOLDED,
    "past repetitions": history_pruning._REPEATS,
    "decisions": history._DECISIONS,
    "repeats": history._AROUND,
    "places of a notification": history._QUEUE,
    "recent of a user": history._RECENT_OF_USER,
}
LISTINGS = {"recent": history._RECENT, "waiting": deliveries._WAITING}
"""For people to look at: until there are statistics, a tenant is thought to be small, read whole and sorted."""


async def test_every_statement_reads_what_it_is_about(postgres_url: str) -> None:
    """And little more, neither with the statistics of the empty tables nor with new ones."""
    async with postgres_stores(postgres_url, size=1) as (stores, database):
        first = first_id_at((await stores.people.load([])).now - timedelta(minutes=1))
        async with database.transaction() as connection:
            await fill(connection, first)
            stale = {name: await rows_read(connection, one, parameters(first)) for name, one in STATEMENTS.items()}
            await connection.execute("ANALYZE")
            fresh = {
                name: await rows_read(connection, one, parameters(first))
                for name, one in (STATEMENTS | LISTINGS).items()
            }
    assert {name: read for name, read in stale.items() if read > MOST} == {}
    assert {name: read for name, read in fresh.items() if read > MOST} == {}


OFTEN = (
    "promote",
    "claim",
    "lock",
    "read",
    "attempts",
    "points",
    "points of users",
    "points of addresses",
    "profiles",
    "those beside",
    "lock profiles",
    "write profiles",
    "write",
    "lock notifications",
    "statuses",
    "suppressions",
    "suppress",
    "known events",
    "people in lanes",
    "turns",
    "received",
    "held still",
    "no longer held",
    "receipts",
    "settle receipts",
)
"""What transactions do that are made many times a second: their plans are kept."""


async def test_a_plan_that_is_kept_reads_no_more(postgres_url: str) -> None:
    """It was made on tables of three rows and their statistics, and there are twenty thousand by now."""
    async with postgres_stores(postgres_url, size=1) as (stores, database):
        first = first_id_at((await stores.people.load([])).now - timedelta(minutes=1))
        async with database.transaction(often=True) as connection:
            await fill(connection, first, 3)
            await connection.execute("ANALYZE")
            for name in OFTEN:
                await kept(connection, name)
                await rows_read_by_kept(connection, name, parameters(first))
            for table in {statement.split()[2] for statement in FILL}:
                await connection.execute(SQL("DELETE FROM {}").format(Identifier(table)))
            await fill(connection, first, analyzed=False)
            read = {name: await rows_read_by_kept(connection, name, parameters(first)) for name in OFTEN}
    assert {name: amount for name, amount in read.items() if amount > MOST} == {}
    assert all(read[name] for name in ("promote", "claim", "lock", "read", "attempts", "points", "profiles"))


QUEUE = {
    "promote": (claiming._PROMOTE, "due_asleep"),
    "claim": (claiming._CLAIM, "due_ready"),
    "turns": (ranks._TURNS, "due_ready"),
    "overdue": (deliveries._OVERDUE, "due_asleep"),
}


async def test_the_queue_is_read_along_its_indexes(postgres_url: str) -> None:
    """None of it is scanned or sorted, however much has come since statistics were made."""
    async with postgres_stores(postgres_url, size=1) as (stores, database):
        first = first_id_at((await stores.people.load([])).now - timedelta(minutes=1))
        async with database.transaction() as connection:
            await fill(connection, first, 100_000)
            for statement, index in QUEUE.values():
                plan = list(nodes(await explained(connection, statement, parameters(first))))
                assert index in {node.get("Index Name") for node in plan}
                kinds = {node["Node Type"] for node in plan if node.get("Relation Name") == "due"}
                assert kinds <= {"Index Scan", "Index Only Scan", "Tid Scan", "ModifyTable"}
                assert all(node["Actual Rows"] <= 2 * BATCH for node in plan if "Sort" in node["Node Type"])


@pytest.mark.parametrize(
    "wasteful", ["SELECT FROM due WHERE worker = 'w'", "SELECT FROM due WHERE NOT ready AND worker = 'w'"]
)
async def test_a_statement_that_reads_too_much_would_be_seen(postgres_url: str, wasteful: str) -> None:
    """A scan of a table, and one of the wrong index."""
    async with postgres_stores(postgres_url, size=1) as (_, database), database.transaction() as connection:
        await fill(connection, first_id_at(START))
        await connection.execute("SET LOCAL enable_seqscan = off")
        assert await rows_read(connection, wasteful, {}) > MOST


async def fill(connection: Connection, first: UUID, rows: int = ROWS, *, analyzed: bool = True) -> None:
    if analyzed:
        await connection.execute("ANALYZE")
    source = SOURCE.format(first=first, rows=rows)
    for statement in FILL:
        await connection.execute(statement.replace("FROM rows", f"FROM {source}"))
    await connection.execute("UPDATE event_log_shards SET reader = 'r', lease_until = 'infinity'")


async def rows_read(connection: Connection, statement: str, values: Mapping[str, Any]) -> int:
    """How many rows the plan's scans look at, kept or not."""
    return sum(map(looked_at, nodes(await explained(connection, statement, values))))


async def kept(connection: Connection, name: str) -> None:
    """Prepare a statement, as the driver does."""
    numbers: dict[str, str] = {}
    text = PLACEHOLDER.sub(lambda one: numbers.setdefault(one[1], f"${len(numbers) + 1}"), STATEMENTS[name])
    await connection.execute(f'PREPARE "{name}" AS {text.replace("%%", "%")}')


async def rows_read_by_kept(connection: Connection, name: str, values: Mapping[str, Any]) -> int:
    """How many rows the scans of a prepared statement's plan look at."""
    named = dict.fromkeys(PLACEHOLDER.findall(STATEMENTS[name]))
    told = [value if isinstance(value := values[each], str | int) else dumps(value) for each in named]
    call = SQL("EXPLAIN (ANALYZE, FORMAT JSON) EXECUTE {}").format(Identifier(name))
    call += SQL("({})").format(SQL(", ").join(map(Literal, told))) if told else SQL("")
    await connection.execute("SAVEPOINT before")
    ((plans,),) = await (await connection.execute(call)).fetchall()
    await connection.execute("ROLLBACK TO before")
    return sum(map(looked_at, nodes(plans[0]["Plan"])))


async def explained(connection: Connection, statement: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    """The plan, as it was executed. What the statement did is undone."""
    named = {name: value for name, value in values.items() if f"%({name})s" in statement}
    await connection.execute("SAVEPOINT before")
    (row,) = await fetch(connection, "EXPLAIN (ANALYZE, FORMAT JSON) " + statement, **named)
    await connection.execute("ROLLBACK TO before")
    plan: Mapping[str, Any] = row[0][0]["Plan"]
    return plan


def nodes(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield plan
    for part in plan.get("Plans", ()):
        yield from nodes(part)


def looked_at(node: Mapping[str, Any]) -> int:
    if "Scan" not in node["Node Type"] or node.get("Relation Name") in (None, "event_log_shards"):
        return 0
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return round((node["Actual Rows"] + removed) * node["Actual Loops"])
