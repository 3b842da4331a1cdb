"""The schema: brought up to date by anybody at any time, cut into partitions, and without a readable address in it."""

import asyncio
import base64
import traceback
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
import pytest
from attrs import evolve
from psycopg.sql import SQL, Identifier
from tests.services.postgres import PostgresServer
from tests.services.stores import stores_over

from fn_notifications.adapters.postgres.migrate import Migration, migrate, shipped
from fn_notifications.adapters.postgres.partitions import TABLES, ensure_partitions
from fn_notifications.adapters.postgres.pool import Database, fetch, open_pool
from fn_notifications.application.errors import Misconfigured, Refused
from fn_notifications.application.ports.intake import Batch, EventOutcome, Hold, Original, Position
from fn_notifications.application.receipts import judge
from fn_notifications.domain.address import EMAIL, SMS, EmailAddress, PhoneNumber
from fn_notifications.domain.identity import first_id_at
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.outcome import OutcomeKind
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import Receipt, ReceiptKind
from fn_notifications.testing.contracts.stores import (
    BOTH,
    TENANT,
    Stores,
    answer,
    begun,
    dead,
    event,
    meet,
    now,
    proposal,
    receipt,
    start,
    stop,
    stored,
    user,
)

pytestmark = pytest.mark.external

MARCH = datetime(2031, 3, 15, tzinfo=UTC)


@pytest.fixture
def empty_url(postgres: PostgresServer) -> Iterator[str]:
    """A database nobody migrated."""
    name = Identifier(f"empty_{uuid4().hex}")
    parts = urlsplit(postgres.url)
    with psycopg.connect(postgres.url, autocommit=True) as connection:
        connection.execute(SQL("CREATE DATABASE {} TEMPLATE template0").format(name))
        yield f"{parts.scheme}://{parts.netloc}/{name.as_string(None).strip(chr(34))}?{parts.query}"
        connection.execute(SQL("DROP DATABASE {} WITH (FORCE)").format(name))


@pytest.fixture
async def empty(empty_url: str) -> AsyncIterator[Database]:
    async with open_pool(empty_url, size=6) as database:
        yield database


class TestMigrations:
    async def test_every_file_is_applied_once(self, empty: Database) -> None:
        assert await migrate(empty) == [one.name for one in shipped()]
        assert await migrate(empty) == []

    async def test_of_many_at_once_one_applies(self, empty: Database) -> None:
        applied = await asyncio.gather(*(migrate(empty) for _ in range(5)))
        assert sorted(map(len, applied)) == [0, 0, 0, 0, len(shipped())]

    async def test_an_edited_file_is_refused(self, empty: Database) -> None:
        await migrate(empty)
        edited = [evolve(one, statements=one.statements + "\nSELECT 1;") for one in shipped()]
        more = Migration(name="9999_more.sql", statements="CREATE TABLE more ()")
        with pytest.raises(Misconfigured, match=shipped()[0].name):
            await migrate(empty, [*edited, more])
        assert await tables(empty, "more") == []

    async def test_line_ends_are_no_edit(self, empty: Database) -> None:
        await migrate(empty)
        assert await migrate(empty, [evolve(o, statements=o.statements.replace("\n", "\r\n")) for o in shipped()]) == []

    async def test_all_or_nothing(self, empty: Database) -> None:
        good = Migration(name="9998_good.sql", statements="CREATE TABLE good ()")
        bad = Migration(name="9999_bad.sql", statements="CREATE TABLE bad (); SELECT no_such_function()")
        with pytest.raises(Misconfigured):
            await migrate(empty, [*shipped(), good, bad])
        assert await tables(empty, "%") == []

    async def test_what_a_newer_version_applied_is_left_alone(self, empty: Database) -> None:
        more = Migration(name="9999_more.sql", statements="CREATE TABLE more ()")
        await migrate(empty, [*shipped(), more])
        assert await migrate(empty) == []

    async def test_what_was_there_before_the_ledger_is_its_opening_balance(self, empty: Database) -> None:
        """Nobody had counted it. What comes afterwards is counted as usual, and the sum of both adds up."""
        before = [one for one in shipped() if one.name < "0005"]
        await migrate(empty, before)
        async with empty.transaction() as connection:
            await connection.execute(BEFORE_THE_LEDGER)
        await migrate(empty)
        stores = stores_over(empty)
        await meet(stores, user(), email="ada@example.com")
        await stored(stores, event("one", await proposal(stores, user(), "one")))
        ledger = await stores.history.ledger(TENANT)
        assert ledger.imbalances == ()
        assert ledger.deliveries == {Status.SENT: 1, Status.PENDING: 1}
        assert ledger.taken_in == 4

    async def test_calls_that_nobody_would_close_are_closed(self, empty: Database) -> None:
        """A worker died when another attempt had arrived: nobody can know any more. What is on the wire stays so."""
        await migrate(empty, [one for one in shipped() if one.name < "0006"])
        async with empty.transaction() as connection:
            await connection.execute(BEFORE_OPEN_ENDS)
        await migrate(empty)
        async with empty.transaction() as connection:
            rows = await fetch(connection, "SELECT delivery_no, no, evidence, code FROM attempts ORDER BY 1, 2")
        assert [tuple(row) for row in rows] == [(1, 1, 6, None), (1, 2, 1, "worker_lost"), (2, 1, 0, None)]


BEFORE_OPEN_ENDS = """
INSERT INTO deliveries (notification_id, expires_at, version, no, resends, tenant, channel, status, rest)
VALUES ('019e0000-0000-8000-8000-000000000001', fn_now(), 6, 1, 1, 'default', 'email', 'delivered', 'in_doubt'),
       ('019e0000-0000-8000-8000-000000000001', fn_now(), 2, 2, 0, 'default', 'sms', 'sending', 'in_doubt');
INSERT INTO attempts (notification_id, started_at, epoch, delivery_no, no, evidence, tenant, route)
VALUES ('019e0000-0000-8000-8000-000000000001', fn_now(), 1, 1, 1, 6, 'default', 'a/email'),
       ('019e0000-0000-8000-8000-000000000001', fn_now(), 1, 1, 2, 0, 'default', 'a/email'),
       ('019e0000-0000-8000-8000-000000000001', fn_now(), 1, 2, 1, 0, 'default', 'a/sms');
"""

# An event, its notification, delivery, attempt and report, a repetition, and its row in a log that kept what is told.
BEFORE_THE_LEDGER = """
INSERT INTO intake (first_offset, last_offset, at, partition, tenant, topic, counts)
VALUES (0, 2, fn_now(), 0, 'default', 't', '{"planned": 1, "duplicate": 2}');
INSERT INTO event_identities (at, tenant, identity, digest)
SELECT fn_now(), 'default', i::bytea, '' FROM (VALUES ('a'), ('b')) AS v (i);
INSERT INTO requests (tenant, identity, user_id, type, notification_id, duplicate_of, outcome, decisions)
VALUES ('default', 'a', 'u', 'news', '019e0000-0000-8000-8000-000000000001', NULL, 'planned', '[]'),
       ('default', 'b', 'u', 'news', NULL, '019e0000-0000-8000-8000-000000000001', 'duplicate', '[]');
INSERT INTO notifications (id, event_at, created_at, expires_at, priority, explicit, tenant, user_id, type, catalogue,
                           identity, sealed)
VALUES ('019e0000-0000-8000-8000-000000000001', fn_now(), fn_now(), fn_now(), 1, false, 'default', 'u', 'news', 'c',
        'a', '');
INSERT INTO deliveries (notification_id, expires_at, version, no, resends, tenant, channel, status, rest)
VALUES ('019e0000-0000-8000-8000-000000000001', fn_now(), 3, 1, 0, 'default', 'email', 'sent', 'in_doubt');
INSERT INTO attempts (notification_id, started_at, epoch, delivery_no, no, evidence, tenant, route)
VALUES ('019e0000-0000-8000-8000-000000000001', fn_now(), 1, 1, 1, 4, 'default', 'a/email');
INSERT INTO receipts (notification_id, at, received_at, hard, applied, tenant, key, provider, provider_key, kind)
VALUES ('019e0000-0000-8000-8000-000000000001', fn_now(), fn_now(), true, true, 'default', 'k', 'p', 'k', 'opened');
INSERT INTO event_log (at, shard, id, topic, key, data) VALUES (fn_now(), 1, 'x-v3', 't', 'u', '{}');
"""


class TestPartitions:
    async def test_the_present_has_partitions_of_its_own(self, world: tuple[Stores, Database]) -> None:
        """Nothing of now, or of the months around it, lies in a default partition."""
        stores, database = world
        await meet(stores, user(), email="ada@example.com")
        await stored(stores, event("one", await proposal(stores, user(), "one")))
        (one,) = await begun(stores)
        await stores.deliveries.finish([answer(one, OutcomeKind.ACCEPTED)])
        await stores.receipts.receive([receipt(one, ReceiptKind.DELIVERED, "k")])
        for cut in TABLES:
            assert await rows_of(database, f"{cut.table}_default") == 0
            assert await rows_of(database, cut.table) == (3 if cut.table == "event_log" else 1)

    async def test_a_late_partition_takes_its_rows_along(self, world: tuple[Stores, Database]) -> None:
        """Rows that came before their partition move into it, and updates find them there."""
        stores, database = world
        await meet(stores, user(), email="ada@example.com")
        early = await proposal(stores, user(), "early", at=MARCH)
        await stored(stores, event("early", early))
        assert await rows_of(database, "notifications_default") == 1
        await asyncio.gather(*(ensure_partitions(database, MARCH) for _ in range(3)))
        assert await rows_of(database, "notifications_default") == 0
        assert await rows_of(database, "notifications_203103") == 1
        assert await rows_of(database, "deliveries_203103") == 1
        (one,) = await begun(stores)
        assert one.notification.id == early.notification.id

    async def test_there_is_one_before_and_three_ahead(self, world: tuple[Stores, Database]) -> None:
        _, database = world
        await ensure_partitions(database, MARCH.replace(month=12))
        months = await tables(database, "attempts_2031%") + await tables(database, "attempts_2032%")
        assert months == [f"attempts_{month}" for month in ("203111", "203112", "203201", "203202", "203203")]
        days = await tables(database, "event_log_2031%")
        assert days == [f"event_log_203112{day}" for day in (14, 15, 16, 17, 18)]

    async def test_bounds_meet(self) -> None:
        """The last id of a month is in it, the first of the next is not."""
        months = list(TABLES[0].periods(MARCH))
        assert [one.end for one in months[:-1]] == [one.start for one in months[1:]]
        last = first_id_at(months[0].end - timedelta(milliseconds=1)).int | ((1 << 80) - 1)
        assert last < first_id_at(months[0].end).int


NAME, ADDRESS, LOUD, NUMBER = "Ada Lovelace", "ada.lovelace@example.com", "ADA.Lovelace@example.com", "+15005550006"


async def test_nothing_personal_can_be_read_in_any_column(world: tuple[Stores, Database]) -> None:
    """What goes in through every port lies in no column, neither as it is nor encoded."""
    stores, database = world
    at = await now(stores)
    await meet(stores, user(), email=LOUD, phone=NUMBER)
    said = {"name": NAME, "contact": {"email": ADDRESS, "phone": NUMBER}}
    one = await proposal(stores, user(), "one", BOTH, key="k", variables=said)
    letter = Original(
        position=Position(topic="t", partition=0, offset=1),
        timestamp=at,
        value=f"{NAME} {ADDRESS} {NUMBER}".encode(),
        key=ADDRESS.encode(),
        headers=(("from", ADDRESS.encode()),),
    )
    held = evolve(event("held"), original=letter, holds=(Hold(user(), "news", at, Reason.REPLAYED),))
    await stores.intake.store(
        Batch(tenant=TENANT, events=(event("one", one), held), dead=(evolve(dead("bad"), original=letter),))
    )
    for channel in (EMAIL, SMS):
        (wave,) = await begun(stores, channel, BOTH)
        word = stop(PhoneNumber(NUMBER), at, channel=SMS) if channel == SMS else None
        kind = OutcomeKind.OPTED_OUT if word else OutcomeKind.ACCEPTED
        await stores.deliveries.finish([answer(wave, kind, opt_out=word)])
        address = EmailAddress(ADDRESS) if channel == EMAIL else PhoneNumber(NUMBER)
        report = receipt(wave, ReceiptKind.COMPLAINED, f"k-{channel}", channel=channel, address=address)
        inbound = Receipt(
            provider="p", key=f"i-{channel}", kind=ReceiptKind.OPTED_OUT, at=at, channel=channel, address=address
        )
        await stores.receipts.receive([report, inbound])
        await stores.people.suppress([start(address, at, channel=channel)])
    await stores.receipts.apply(10, judge)
    text = await everything(database)
    assert len(text) > 5000
    assert user().user_id in text
    for secret in (NAME, ADDRESS, LOUD, NUMBER, NUMBER[1:], "lovelace"):
        for written in (secret, secret.encode().hex(), base64.b64encode(secret.encode()).decode().rstrip("=")[:-1]):
            assert written.lower() not in text.lower(), secret


NUL, HALF = "nul\x00", "\ud800"
LONG = "".join(chr(0x4E00 + n * 7 % 20000) for n in range(4000))
UNFIT = {
    "NUL in a key column": {"user": user(NUL)},
    "NUL": {"correlation_id": NUL},
    "half a surrogate pair": {"correlation_id": HALF},
    "half a surrogate pair, hashed": {"key": HALF},
    "longer than an index takes": {"user": user(LONG)},
}


@pytest.mark.parametrize("change", UNFIT.values(), ids=UNFIT)
async def test_what_the_database_cannot_take_is_refused(world: tuple[Stores, Database], change) -> None:
    """All of the batch, nothing of it is stored, and the message does not quote it."""
    stores, _ = world
    good = await proposal(stores, user(), "good")
    bad = await proposal(stores, user("bea"), "bad")
    bad = evolve(bad, notification=evolve(bad.notification, **change))
    with pytest.raises(Refused) as refused:
        await stored(stores, event("good", good), event("bad", bad))
    told = "".join(traceback.format_exception(refused.value))
    assert not any(value in told for value in (NUL, HALF, LONG))
    assert (await stores.history.ledger(TENANT)).taken_in == 0
    assert (await stored(stores, event("good", good))).outcomes == (EventOutcome.PLANNED,)


async def test_variables_may_hold_what_columns_may_not(world: tuple[Stores, Database]) -> None:
    """They are sealed bytes to the database."""
    stores, _ = world
    said = {"title": "nul\x00 and half a pair \ud800", "big": 10**40}
    one = await proposal(stores, user(), "one", variables=said)
    await stored(stores, event("one", one))
    (found,) = await stores.history.recent(TENANT, 1)
    assert found.variables == said


async def test_what_is_no_json_is_refused(world: tuple[Stores, Database]) -> None:
    stores, _ = world
    one = await proposal(stores, user(), "one", variables={"when": object()})
    with pytest.raises(Refused):
        await stored(stores, event("one", one))


async def test_constraint_errors_quote_nobody(world: tuple[Stores, Database]) -> None:
    """PostgreSQL puts the whole row into its message; none of it goes further."""
    _, database = world

    async def work(connection) -> None:
        row = "INSERT INTO contact_points (tenant, user_id, channel, consent_epoch) VALUES ('default', %s, %s, 1)"
        await connection.execute(row, (ADDRESS, NAME))

    with pytest.raises(Refused) as refused:
        await database.run(work)
    told = "".join(traceback.format_exception(refused.value)) + repr(refused.value)
    assert ADDRESS not in told
    assert NAME not in told


async def tables(database: Database, pattern: str) -> list[str]:
    async with database.transaction() as connection:
        rows = await fetch(
            connection,
            "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE %(pattern)s ORDER BY 1",
            pattern=pattern,
        )
        return [row.tablename for row in rows]


async def rows_of(database: Database, table: str) -> int:
    async with database.transaction() as connection:
        cursor = await connection.execute(SQL("SELECT count(*) FROM {}").format(Identifier(table)))
        (row,) = await cursor.fetchall()
        return row[0]


async def everything(database: Database) -> str:
    """Every row of every table, as PostgreSQL writes it: bytes in hex."""
    texts = []
    for table in await tables(database, "%"):
        async with database.transaction() as connection:
            rows = await connection.execute(SQL("SELECT t::text AS written FROM {} AS t").format(Identifier(table)))
            texts += [row.written for row in await rows.fetchall()]
    return "\n".join(texts)
