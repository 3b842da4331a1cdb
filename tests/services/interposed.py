"""A database with somebody between it and the stores: told of every statement, who may delay, change or spoil it."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import psycopg
from attrs import field, frozen

from fn_notifications.adapters.postgres.pool import Connection, Database

Run = Callable[[str], Awaitable[Any]]
"""Executes a statement, changed or not, with the parameters it came with."""
Interposer = Callable[[Connection, str, Run], Awaitable[Any]]
"""Told of a statement before it is executed, and executes it, or not. `BEGIN` only comes to be known of."""


async def run_it(_: Connection, statement: str, run: Run) -> Any:
    """Interpose nothing."""
    return await run(statement)


@frozen
class _Watched:
    """A connection as the stores use it: by `execute` alone. Whatever else they come to use must be watched too."""

    inner: Connection
    interposer: Interposer

    async def execute(self, statement: Any, parameters: Any = None, **how: Any) -> Any:
        async def run(text: str) -> Any:
            return await self.inner.execute(statement if text == shown else text, parameters, **how)

        shown = statement if isinstance(statement, str) else statement.as_string(None)
        return await self.interposer(self.inner, shown, run)


class Interposed(Database):
    """The same database, over the same pool, with an interposer of its own."""

    def __init__(self, database: Database, interposer: Interposer = run_it) -> None:
        self.__dict__.update(vars(database))
        self.interposer = interposer

    @asynccontextmanager
    async def _begun(self, longest: timedelta, *, often: bool) -> AsyncIterator[Any]:
        async def began(_: str) -> None:
            """It has."""

        async with super()._begun(longest, often=often) as connection:
            await self.interposer(connection, "BEGIN", began)
            yield _Watched(connection, self.interposer)


@frozen
class Statements:
    """Keeps what was executed."""

    seen: list[str] = field(factory=list)

    async def __call__(self, _: Connection, statement: str, run: Run) -> Any:
        self.seen.append(statement)
        return await run(statement)


async def fail_with(connection: Connection, state: str) -> None:
    """Let the server itself raise an error of this SQLSTATE, which ends the transaction."""
    await connection.execute(f"DO $$BEGIN RAISE EXCEPTION USING ERRCODE = '{state}', MESSAGE = 'injected'; END$$")


async def cut(connection: Connection) -> None:
    """Let the server end the session, as it does when it is shut down."""
    await connection.execute("SELECT pg_terminate_backend(pg_backend_pid())")
    raise psycopg.OperationalError("a session that was ended went on")
