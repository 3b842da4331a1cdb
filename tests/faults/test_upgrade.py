"""A rolling upgrade: what the first release left behind, open work included, is taken over by this one."""

import asyncio
import json
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import psycopg
import pytest
from tests.faults.acts import Script
from tests.services.deployment import Deployment, until
from tests.services.worker import worker

from fn_notifications.adapters.postgres.migrate import migrate, shipped
from fn_notifications.adapters.postgres.pool import open_pool
from fn_notifications.application.explain import explain
from fn_notifications.domain.delivery import status_of
from fn_notifications.entrypoints.parts import store_on
from fn_notifications.entrypoints.settings import load_settings
from fn_notifications.simulator.server import Simulator

pytestmark = pytest.mark.external

RECORDED = Path(__file__).parents[1] / "data/recorded/first-release.sql"
OVER = datetime(2026, 11, 22, 16, 46, 50, tzinfo=UTC)
"""When the leases that were held had just run out."""
SHIFT = """
SELECT format('UPDATE %I SET %s', table_name, string_agg(format('%I = %I + %L::interval', c, c, '{span}'), ', '))
FROM (SELECT table_name, column_name AS c FROM information_schema.columns
      JOIN information_schema.tables USING (table_schema, table_name)
      WHERE table_schema = 'public' AND data_type = 'timestamp with time zone' AND table_name <> 'schema_migrations'
        AND NOT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = quote_ident(table_name)::regclass)) AS t
GROUP BY table_name
"""
OLD_WORK = (
    "UPDATE due SET rank = rank WHERE user_id = 'u-later'",
    """INSERT INTO event_log (shard, id, topic, key, at, data)
       VALUES (0, gen_random_uuid()::text, 'fn-notifications.notification.sent', 'u-plain', now(), '{}')""",
    """INSERT INTO intake (first_offset, last_offset, at, partition, tenant, topic, counts)
       VALUES (1, 1, now(), 9, 'default', 'recorded', '{"ignored": 1}')""",
)
"""What a process of the first release goes on writing while and after the schema is changed under it."""


async def recorded(url):
    """The first release's database, with every time as long ago as it was then."""
    async with open_pool(url, size=1) as database:
        await migrate(database, shipped()[:1])
    async with await psycopg.AsyncConnection.connect(url) as connection:
        await connection.execute(RECORDED.read_text())
        span = datetime.now(UTC) - OVER
        statements = await connection.execute(SHIFT.replace("{span}", f"{span.total_seconds()} seconds"))
        for (statement,) in await statements.fetchall():
            await connection.execute(statement)


async def old_work(url, over):
    """Do what an old process does, again and again; nothing of it may wait for a second. Returns how often."""
    rounds = 0
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        await connection.execute("SET lock_timeout = '1s'")
        while not over.is_set() or not rounds:
            for statement in OLD_WORK:
                await connection.execute(statement)
            rounds += 1
            await asyncio.sleep(0.02)
    return rounds


async def stories(deployment):
    """Every notification as this version reads it."""
    settings = load_settings(deployment.environment, cwd=deployment.directory)
    ids = await deployment.query("SELECT id FROM notifications")
    async with open_pool(deployment.database, size=2) as database:
        history = store_on(database, settings).history
        return [await history.story("default", id_) for (id_,) in ids]


def standing(told):
    """How many deliveries stand where, by user."""
    return {
        (story.notification.user.user_id, delivery.channel): str(delivery.status)
        for story in told
        for delivery in story.notification.deliveries
    }


async def test_fault_44_open_work_of_the_first_release_is_finished_by_this_one(server, broker, tmp_path):
    url = await asyncio.to_thread(server.fresh_database)
    await recorded(url)
    async with Simulator(choice=Script()) as simulator:
        deployment = Deployment(
            database=url,
            kafka=broker.bootstrap,
            simulator=simulator,
            directory=tmp_path,
            topics=("recorded",),
            more={"DELIVERY_LEASE": "40", "IN_DOUBT_GRACE": "2", "RETENTION_DAYS": "36500"},
        )
        over = asyncio.Event()
        old = asyncio.create_task(old_work(url, over))
        await deployment.prepare()
        told = await stories(deployment)
        before = standing(told)
        assert Counter(before.values()) == {
            "delivered": 3, "sent": 1, "failed": 2, "skipped": 1, "cancelled": 1, "unconfirmed": 1,
            "pending": 5, "sending": 1, "in_doubt": 2,
        }  # fmt: skip
        for story in told:
            assert explain(story)
            for delivery in story.notification.deliveries:
                assert status_of(delivery.rest, delivery.attempts) is delivery.status
        async with (
            worker("one", deployment.environment, tmp_path, database=url, provider=simulator.port) as one,
            worker("two", deployment.environment, tmp_path, database=url, provider=simulator.port) as two,
        ):
            simulator.sendgrid_webhook_url = f"http://127.0.0.1:{one.port}/api/webhooks/sendgrid"
            await asyncio.gather(one.start(), two.start())
            done = "SELECT count(*) FROM deliveries WHERE status = 'delivered'"

            async def finished():
                return (await deployment.query(done)) == [(7,)] and await deployment.settled(0)

            await until(finished, within=120)
            over.set()
            assert await old > 1
            assert (await one.stop(), await two.stop()) == (0, 0)
        after = standing(await stories(deployment))
        changed = {who: status for who, status in after.items() if status != before[who]}
        assert changed == {
            ("u-later", "email"): "delivered",
            ("u-leased", "email"): "delivered",
            ("u-unavailable", "email"): "delivered",
            ("u-expiring", "email"): "expired",
            ("u-hang", "email"): "delivered",
        }
        ledger = json.loads(await deployment.command("ledger", "--json", codes=(0, 1)))
        assert ledger["imbalances"] == []
        with suppress(psycopg.OperationalError):
            await asyncio.to_thread(server.drop, url)
