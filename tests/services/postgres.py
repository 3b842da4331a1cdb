"""A real PostgreSQL for tests and benchmarks: the one that is given, the machine's own, or the embedded one."""

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlsplit
from uuid import uuid4

import psycopg
from psycopg.sql import SQL, Composed, Identifier

from fn_notifications.adapters.postgres.embedded import bundled_programs, copy_programs
from fn_notifications.adapters.postgres.launch import postgres_process
from fn_notifications.adapters.postgres.process import PostgresProcess

Flavour = Literal["system", "embedded"]

_SETTINGS = {"max_connections": "100", "shared_buffers": "64MB", "max_wal_size": "256MB", "jit": "off"}
_PLENTY = 4 * 2**30


class PostgresServer:
    """A running server."""

    def __init__(self, url: str, process: PostgresProcess | None) -> None:
        self.url = url
        """The maintenance database, as a superuser."""
        self._process = process
        self._template = "template1"
        self._made: list[str] = []

    @property
    def is_ours(self) -> bool:
        """Whether `start`, `stop` and `kill` are possible: a server that was given is not ours to stop."""
        return self._process is not None

    def use_template(self, prepare: Callable[[str], object]) -> None:
        """Let `prepare` (the migrations, say) fill a database once; every later fresh database is a copy of it.

        `prepare` takes a URL and leaves no connection open.
        """
        url = self.fresh_database()
        prepare(url)
        self._template = _database(url)

    def fresh_database(self, like: str | None = None) -> str:
        """The URL of a new database: a copy of the one at the URL `like`, which nobody is connected to."""
        name, template = f"test_{uuid4().hex}", _database(like) if like else self._template
        self._execute(SQL("CREATE DATABASE {} TEMPLATE {}").format(Identifier(name), Identifier(template)))
        self._made.append(name)
        parts = urlsplit(self.url)
        return f"{parts.scheme}://{parts.netloc}/{name}?{parts.query}"

    def drop(self, url: str) -> None:
        """Give back a fresh database, whoever is still connected."""
        name = _database(url)
        self._execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
        self._made.remove(name)

    def drop_all(self) -> None:
        """Give back every fresh database, and the template."""
        for name in self._made:
            self._execute(SQL("DROP DATABASE {} WITH (FORCE)").format(Identifier(name)))
        self._made.clear()

    def start(self) -> None:
        """Start again after `stop` or `kill`, under the same URLs."""
        self._ours().start()

    def stop(self) -> None:
        """Stop fast, in good order."""
        self._ours().stop()

    def kill(self) -> None:
        """Kill the server as `kill -9` does."""
        self._ours().kill()

    def _execute(self, statement: Composed) -> None:
        with psycopg.connect(self.url, autocommit=True) as connection:
            connection.execute(statement)

    def _ours(self) -> PostgresProcess:
        if self._process is None:
            raise RuntimeError("TEST_DATABASE_URL names a server that is not ours to stop; ask `is_ours` first")
        return self._process


@contextmanager
def postgres_server(
    flavour: Flavour | None = None, *, space: Path | None = None, settings: Mapping[str, str] = MappingProxyType({})
) -> Iterator[PostgresServer]:
    """The server of TEST_DATABASE_URL, else the newest installed PostgreSQL, else the embedded one.

    A `flavour` leaves no choice. The data is nobody's: not flushed to the disk, gone at the end, kept below `space`,
    else in memory where there is plenty. What is committed still survives `kill`. Raises `LookupError` when an
    installed PostgreSQL is asked for and there is none, `MissingExtra` when there is no embedded one.
    """
    given = os.environ.get("TEST_DATABASE_URL")
    if given and flavour is None:
        server = PostgresServer(given, None)
        try:
            yield server
        finally:
            server.drop_all()
        return
    with tempfile.TemporaryDirectory(prefix="fn-postgres-test-", dir=space or _space()) as name:
        directory = Path(name)
        # PostgreSQL 15 leaves its working directory and returns to it by name, also when root lent it a user.
        directory.chmod(0o711)
        settings = {**_SETTINGS, **settings}
        programs = _programs(flavour)
        with postgres_process(programs, directory, settings=settings, scratch=True, copy=copy_programs) as process:
            yield PostgresServer(process.url, process)


def _space() -> Path | None:
    """Memory takes 15 ms for a fresh database and a disk up to 500. Small containers have 64 MB of it."""
    memory = Path("/dev/shm")
    return memory if memory.is_dir() and shutil.disk_usage(memory).free > _PLENTY else None


def _database(url: str) -> str:
    return urlsplit(url).path[1:]


def system_programs() -> Path | None:
    """The directory of the newest PostgreSQL's programs, in the place where Debian and Ubuntu install it."""
    found = Path("/usr/lib/postgresql").glob("*/bin/postgres")
    return max((each.parent for each in found), key=lambda programs: float(programs.parent.name), default=None)


def _programs(flavour: Flavour | None) -> Path:
    system = None if flavour == "embedded" else system_programs()
    if flavour == "system" and system is None:
        raise LookupError("No PostgreSQL is installed below /usr/lib/postgresql")
    return system or bundled_programs()
