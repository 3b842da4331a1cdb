"""pgqueuer: jobs in PostgreSQL, taken by the hundred, asyncpg and aiohttp."""

# mypy: disable-error-code="import-not-found,untyped-decorator"
# Its libraries are installed beside it, not here.

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg
from pgqueuer import PgQueuer
from pgqueuer.db import AsyncpgDriver
from pgqueuer.models import Job
from pgqueuer.queries import Queries

from benchmarks.bare_dispatch import mail_to, until_stopped

_BATCH = 100
_LOAD = "SELECT c.email, n.variables FROM notification n JOIN contact c USING (user_id) WHERE n.id = $1"
_STORE = "INSERT INTO outcome (id, no, kind) VALUES ($1, 1, $2)"


async def prepare() -> None:
    """The schema, and a job for each delivery."""
    connection = await asyncpg.connect(os.environ["DATABASE"])
    queries = Queries(AsyncpgDriver(connection))
    await queries.install()
    ids = [row["id"].bytes for row in await connection.fetch("SELECT id FROM delivery")]
    await queries.enqueue(["send"] * len(ids), ids, [0] * len(ids))
    await connection.execute("VACUUM ANALYZE")
    await connection.close()


async def work(mail: dict[str, Any]) -> None:
    """Until cancelled."""
    connection = await asyncpg.connect(os.environ["DATABASE"])
    async with (
        asyncpg.create_pool(os.environ["DATABASE"], max_size=10) as pool,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_BATCH)) as session,
    ):
        queue = PgQueuer(AsyncpgDriver(connection))

        @queue.entrypoint("send")
        async def send(job: Job) -> None:
            id_ = UUID(bytes=job.payload)
            row = await pool.fetchrow(_LOAD, id_)
            body = mail_to(mail, f"{id_}-1", row["email"], json.loads(row["variables"]))
            async with session.post(f"{os.environ['PROVIDER']}/v3/mail/send", json=body) as response:
                await response.read()
            await pool.execute(_STORE, id_, "accepted" if response.status == 202 else "refused")

        await queue.run(batch_size=_BATCH)


if __name__ == "__main__":
    if sys.argv[1] == "prepare":
        asyncio.run(prepare())
    else:
        until_stopped(work(json.loads(Path(os.environ["MESSAGE"]).read_text(encoding="utf-8"))))
