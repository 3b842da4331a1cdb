"""The schema, brought up to date: numbered files, each applied once and never edited afterwards."""

from collections.abc import Sequence
from hashlib import sha256
from importlib.resources import files
from typing import Final

from attrs import frozen
from psycopg.sql import SQL

from fn_notifications.adapters.postgres.aggregates import store_time
from fn_notifications.adapters.postgres.partitions import ensure_partitions
from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.application.errors import Misconfigured

_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('fn-notifications migrations', 0))"
_CREATE: Final = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    name       text        PRIMARY KEY,
    checksum   text        NOT NULL,
    applied_at timestamptz NOT NULL DEFAULT now()
)
"""
_IS_MADE: Final = "SELECT to_regclass('schema_migrations') IS NOT NULL AS made"
_APPLIED: Final = "SELECT name, checksum FROM schema_migrations"
_RECORD: Final = "INSERT INTO schema_migrations (name, checksum) VALUES (%(name)s, %(checksum)s)"


@frozen(kw_only=True)
class Migration:
    """One file."""

    name: str
    statements: str

    @property
    def checksum(self) -> str:
        """SHA-256 (hex) of the text, whatever its line ends."""
        return sha256("\n".join(self.statements.splitlines()).encode()).hexdigest()


def shipped() -> Sequence[Migration]:
    """The files of this version, in order."""
    folder = files(__package__) / "migrations"
    found = [Migration(name=file.name, statements=file.read_text("utf-8")) for file in folder.iterdir()]
    return sorted((one for one in found if one.name.endswith(".sql")), key=lambda one: one.name)


async def migrate(database: Database, migrations: Sequence[Migration] | None = None) -> Sequence[str]:
    """Apply what is missing, all or nothing, and make the partitions of the present. Returns the names applied.

    Safe to run from many processes at once, and through a transaction pooler. What a newer version applied is left
    alone. Raises `Misconfigured` when an applied file was edited since.
    """
    known = shipped() if migrations is None else migrations

    async def work(connection: Connection) -> Sequence[str]:
        await connection.execute(_LOCK)
        await connection.execute(_CREATE)
        applied = {row.name: row.checksum for row in await fetch(connection, _APPLIED)}
        edited = [one.name for one in known if applied.get(one.name, one.checksum) != one.checksum]
        if edited:
            raise Misconfigured(f"edited after it was applied: {', '.join(edited)}; write a new migration instead")
        missing = [one for one in known if one.name not in applied]
        for one in missing:
            await connection.execute(SQL(one.statements))
            await execute(connection, _RECORD, name=one.name, checksum=one.checksum)
        return [one.name for one in missing]

    names = await database.run(work)
    async with database.transaction() as connection:
        now = await store_time(connection)
    await ensure_partitions(database, now)
    return names


async def pending(database: Database) -> Sequence[str]:
    """The names of this version's files that are not applied yet. Changes nothing."""

    async def work(connection: Connection) -> Sequence[str]:
        (row,) = await fetch(connection, _IS_MADE)
        applied = {one.name for one in await fetch(connection, _APPLIED)} if row.made else set()
        return [one.name for one in shipped() if one.name not in applied]

    return await database.run(work)
