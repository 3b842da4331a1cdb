"""Connections, transactions and their repetition.

Works through a transaction pooler: no session state, no LISTEN. Settings are SET LOCAL, sent with BEGIN in one round
trip. What is done many times a second is prepared where the session is the server's own, for planning costs more than
carrying out; behind a pooler, where a prepared statement's name may stand for somebody else's, nothing is.

A plan that is kept outlives the tables it was made on, and may have been made when they were empty. So in such a
transaction there is nothing to choose: what could be read along an index is, in the index's order.
"""

import asyncio
import math
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from datetime import timedelta
from typing import Any, Final, TypeVar

import psycopg
from attrs import define
from psycopg.abc import PQGen
from psycopg.rows import namedtuple_row
from psycopg_pool import AsyncConnectionPool, PoolTimeout
from tenacity import AsyncRetrying, retry_if_exception_type, stop_after_attempt, wait_random_exponential

from fn_notifications.adapters.postgres.errors import Clashed, Lost, Uncertain, is_outdated, translated
from fn_notifications.adapters.postgres.rows import Row, batch
from fn_notifications.application.errors import Refused, Unavailable

Connection = psycopg.AsyncConnection[Any]
T = TypeVar("T")
Batch = Sequence[Mapping[str, Any]]
"""Rows for a statement: one JSON parameter, because the driver dumps lists element by element."""

_TRIES: Final = 6
_RECONNECT: Final = 5.0
"""Seconds. The pool's attempts come twice as late each time; once given up, each request for a connection is one."""

_BEGIN: Final = (
    "BEGIN; SET LOCAL statement_timeout = {milliseconds}; "
    "SET LOCAL idle_in_transaction_session_timeout = {milliseconds}; "
    "SET LOCAL timezone = 'UTC'; SET LOCAL jit = off"
)

# What an empty table makes look cheap and a full one does not. A statement must find all it reads by an index.
_OFTEN: Final = "".join(
    f"; SET LOCAL {setting}"
    for setting in (
        "plan_cache_mode = force_generic_plan",
        "enable_seqscan = off",
        "enable_bitmapscan = off",
        "enable_hashjoin = off",
        "enable_mergejoin = off",
        "enable_sort = off",
    )
)
_PREPARED_AFTER: Final = 2
"""Executions on one connection."""

# A peer that vanished without a word is noticed within 20 s, not after the hours of the TCP default.
_LINK: Final[dict[str, Any]] = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 2,
    "tcp_user_timeout": 20_000,
    "application_name": "fn-notifications",
}


async def execute(connection: Connection, statement: str, **parameters: Batch | str | float) -> None:
    """Execute a statement; batches become JSON."""
    await connection.execute(statement, _dumped(parameters))


async def fetch(connection: Connection, statement: str, **parameters: Batch | str | float) -> list[Row]:
    """The rows of a statement; batches become JSON."""
    return await (await connection.execute(statement, _dumped(parameters), binary=True)).fetchall()


def _dumped(parameters: Mapping[str, Batch | str | float]) -> Mapping[str, str | float]:
    return {name: value if isinstance(value, str | int | float) else batch(value) for name, value in parameters.items()}


@define
class _Trust:
    """Since when the connections of a pool are trusted: those opened earlier are not."""

    since: float = -math.inf


class Impatient(psycopg.AsyncConnection[Any]):
    """A connection that ends when its peer falls silent, as if the stream had ended.

    The server ends statements that take too long, and the system notices a peer that is gone. Neither helps when
    something in between keeps the connection up, or when a COMMIT waits for a standby that does not come.
    """

    trust: _Trust
    opened: float
    silence: float
    """Seconds."""
    direct: bool = False
    """Whether the session is the server's own: a pooler makes up the number of the process that it says it is."""

    async def wait(self, gen: PQGen[T], *args: Any, **kwargs: Any) -> T:
        """See the driver: whatever it waits for, it waits for here."""
        timer = asyncio.get_running_loop().call_later(self.silence, self._give_up)
        try:
            return await super().wait(gen, *args, **kwargs)
        finally:
            timer.cancel()

    @property
    def stale(self) -> bool:
        """Whether something happened since this one was opened that says nothing good of it."""
        return self.opened <= self.trust.since

    def distrust_all(self) -> None:
        """Let the pool drop every connection there is."""
        self.trust.since = asyncio.get_running_loop().time()

    def _give_up(self) -> None:
        self.distrust_all()
        with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(self.fileno())) as peer:
            peer.shutdown(socket.SHUT_RDWR)


class Database:
    """One database, through a pool. Made by `open_pool`."""

    def __init__(self, pool: AsyncConnectionPool[Impatient], longest: timedelta, grace: timedelta) -> None:
        self._pool = pool
        self._longest = longest
        self._grace = grace

    @asynccontextmanager
    async def transaction(
        self, *, snapshot: bool = False, longest: timedelta | None = None, often: bool = False
    ) -> AsyncIterator[Connection]:
        """A transaction that commits at the end of the block, or is undone by whatever leaves it.

        `snapshot`: it only reads, and sees everything as it was at one moment. `longest`: what bounds its
        statements, if not what bounds all. `often`: it is made many times a second, and its statements find all that
        they read by an index. Raises the ports' errors for the driver's.
        """
        committing = False
        try:
            async with self._begun(longest or self._longest, often=often) as connection:
                if snapshot:
                    await connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
                yield connection
                committing = True
                await connection.execute("COMMIT", prepare=False)
        except PoolTimeout:
            raise Unavailable("no connection to PostgreSQL was to be had in time") from None
        except psycopg.Error as error:
            raise translated(error, committing=committing) from None
        except UnicodeEncodeError:
            raise Refused("PostgreSQL cannot take a text that is not Unicode") from None

    async def run(
        self,
        work: Callable[[Connection], Awaitable[T]],
        *,
        repeatable: bool = True,
        snapshot: bool = False,
        longest: timedelta | None = None,
        often: bool = False,
    ) -> T:
        """The result of `work` in a transaction; run anew, whole, when it clashed or its connection broke.

        `work` may run several times, so it changes nothing but the database. Without `repeatable` it is not run
        again once it may have been committed: `Unavailable` says so then.
        """
        trying = AsyncRetrying(
            retry=retry_if_exception_type((Clashed, Lost, Uncertain) if repeatable else (Clashed, Lost)),
            wait=wait_random_exponential(multiplier=0.02, max=1),
            stop=stop_after_attempt(_TRIES),
            reraise=True,
        )

        async def once() -> T:
            async with self.transaction(snapshot=snapshot, longest=longest, often=often) as connection:
                return await work(connection)

        return await trying(once)

    @asynccontextmanager
    async def _begun(self, longest: timedelta, *, often: bool) -> AsyncIterator[Connection]:
        """A connection on which a transaction has begun.

        That shows whether it still works: one that died in the pool is dropped and the next is tried, at once. The
        pool's own check would wait longer before each. When one has fallen silent, those that are as old are dropped
        untried: each would take as long to show that it is no better.
        """
        left = self._pool.max_size
        begin = _BEGIN.format(milliseconds=longest // timedelta(milliseconds=1)) + (_OFTEN if often else "")
        while True:
            async with self._pool.connection() as connection:
                if connection.stale:
                    await connection.close()
                    continue
                connection.silence = (self._longest + self._grace).total_seconds()
                connection.prepare_threshold = _PREPARED_AFTER if often and connection.direct else None
                try:
                    await connection.execute(begin, prepare=False)
                except psycopg.OperationalError:
                    if left and connection.broken:
                        left -= 1
                        continue
                    raise
                connection.silence = (longest + self._grace).total_seconds()
                try:
                    yield connection
                except psycopg.Error as error:
                    if is_outdated(error):
                        connection.distrust_all()
                    raise
                return


@asynccontextmanager
async def open_pool(
    url: str,
    *,
    size: int = 10,
    longest: timedelta = timedelta(seconds=15),
    patience: timedelta = timedelta(seconds=10),
    grace: timedelta = timedelta(seconds=5),
) -> AsyncIterator[Database]:
    """A database by its libpq URL, over at most `size` connections.

    `longest` bounds each statement, and each pause within a transaction; `patience` the wait for a free connection,
    the first one included. A server that has said nothing for `longest` and `grace` is not waited for any more. Raises
    `Unavailable` when there is no connection in time.
    """
    trust = _Trust()

    async def configure(connection: Impatient) -> None:
        connection.trust, connection.opened = trust, asyncio.get_running_loop().time()
        connection.silence = (longest + grace).total_seconds()
        (row,) = await fetch(connection, "SELECT pg_backend_pid() AS pid")
        connection.direct = row.pid == connection.info.backend_pid

    pool = AsyncConnectionPool(
        url,
        connection_class=Impatient,
        configure=configure,
        kwargs={**_LINK, "autocommit": True, "prepare_threshold": None, "row_factory": namedtuple_row},
        min_size=min(size, 2),
        max_size=size,
        timeout=patience.total_seconds(),
        reconnect_timeout=_RECONNECT,
        open=False,
    )
    try:
        await pool.open(wait=True, timeout=patience.total_seconds())
    except PoolTimeout:
        await pool.close()
        raise Unavailable("PostgreSQL could not be reached") from None
    try:
        yield Database(pool, longest, grace)
    finally:
        await pool.close()
