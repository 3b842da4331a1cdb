"""procrastinate: jobs in PostgreSQL, fifty at once, psycopg and aiohttp."""

# mypy: disable-error-code="import-not-found,untyped-decorator"
# Its libraries are installed beside it, not here.

import asyncio
import json
import os
import sys
from pathlib import Path

import aiohttp
import procrastinate
from psycopg_pool import AsyncConnectionPool

from benchmarks.bare_dispatch import mail_to, until_stopped

_CONCURRENCY = 50
_LOAD = "SELECT c.email, n.variables FROM notification n JOIN contact c USING (user_id) WHERE n.id = %s"
_STORE = "INSERT INTO outcome (id, no, kind) VALUES (%s, 1, %s)"


async def prepare(app: procrastinate.App, task: str) -> None:
    """The schema, and a job for each delivery; statistics fresh, without which it is several times slower."""
    async with app.open_async(), AsyncConnectionPool(os.environ["DATABASE"], kwargs={"autocommit": True}) as pool:
        await app.schema_manager.apply_schema_async()
        async with pool.connection() as connection:
            ids = await (await connection.execute("SELECT id::text FROM delivery")).fetchall()
            await app.tasks[task].batch_defer_async(*({"id_": id_} for (id_,) in ids))
            await connection.execute("VACUUM ANALYZE")


def main() -> None:
    """Prepare or work."""
    app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=os.environ["DATABASE"]))
    mail = json.loads(Path(os.environ["MESSAGE"]).read_text(encoding="utf-8"))

    async def work() -> None:
        async with (
            app.open_async(),
            AsyncConnectionPool(os.environ["DATABASE"], max_size=10, kwargs={"autocommit": True}) as pool,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=_CONCURRENCY)) as session,
        ):
            app.pool, app.session = pool, session
            await app.run_worker_async(concurrency=_CONCURRENCY, install_signal_handlers=False)

    @app.task(name="send")
    async def send(id_: str) -> None:
        async with app.pool.connection() as connection:
            email, variables = await (await connection.execute(_LOAD, (id_,))).fetchone()
        async with app.session.post(
            f"{os.environ['PROVIDER']}/v3/mail/send", json=mail_to(mail, f"{id_}-1", email, variables)
        ) as response:
            await response.read()
        async with app.pool.connection() as connection:
            await connection.execute(_STORE, (id_, "accepted" if response.status == 202 else "refused"))

    if sys.argv[1] == "prepare":
        asyncio.run(prepare(app, "send"))
    else:
        until_stopped(work())


if __name__ == "__main__":
    main()
