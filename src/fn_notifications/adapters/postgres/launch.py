"""From a directory to a running PostgreSQL: who may use it, who runs the server, where its socket lies, initdb."""

import fcntl
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from fn_notifications.adapters.postgres.process import PostgresProcess
from fn_notifications.adapters.postgres.server_user import ServerUser
from fn_notifications.application.errors import Misconfigured

_LONGEST_TEMPORARY = 60
"""A socket's path has 103 bytes on the narrowest system; ours adds about 35 to the temporary directory."""


@contextmanager
def postgres_process(
    programs: Path,
    directory: Path,
    *,
    settings: Mapping[str, str],
    scratch: bool = False,
    copy: Callable[[Path], Path] | None = None,
) -> Iterator[PostgresProcess]:
    """Run the PostgreSQL of `programs` on `directory`, which is made when missing: data in `data`, log beside it.

    Whoever holds the directory holds it alone. No file mode outside it changes. Run by root, the server is another
    user's process; `copy` then puts its files below a given directory, and names the copy's programs, when that user
    cannot reach `programs`. Any process of the server's user may connect, nobody else. `scratch` data survives the
    server's death, but neither the machine's nor ours.

    Raises `Misconfigured` when the directory is in use or the server cannot run on it, `Unavailable` when it does
    not get ready.
    """
    directory = directory.absolute()
    data = directory / "data"
    with ExitStack() as stack:
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            stack.enter_context(_held(directory))
            user = ServerUser.for_data(data)
            runtime = stack.enter_context(_runtime_directory(user))
            if copy is not None and not user.reaches(programs / "postgres"):
                programs = copy(runtime / "programs")
                user.own(runtime)
            if not (data / "PG_VERSION").exists():
                _create(programs, data, user, flush=not scratch)
            server = PostgresProcess(programs, data, runtime=runtime, user=user, settings=settings, scratch=scratch)
            stack.callback(server.stop)
            server.start()
        except OSError as error:
            raise Misconfigured(f"PostgreSQL cannot run on {directory}: {error}") from error
        yield server


@contextmanager
def _held(directory: Path) -> Iterator[None]:
    """Keep `directory` to ourselves. The kernel lets go of it when this process ends, however it ends."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Misconfigured(f"{directory} is in use; stop its server, or choose another directory") from None
        yield
    finally:
        os.close(descriptor)


@contextmanager
def _runtime_directory(user: ServerUser) -> Iterator[Path]:
    """A private directory with a short name: a socket's path may not be long, a data directory's may."""
    base = tempfile.gettempdir()
    if len(base) > _LONGEST_TEMPORARY or not user.reaches(Path(base)):
        base = "/tmp"  # noqa: S108 - mkdtemp makes the private directory in it
    runtime = Path(tempfile.mkdtemp(prefix="fn-postgres-", dir=base))
    try:
        user.own(runtime)
        yield runtime
    finally:
        shutil.rmtree(runtime, ignore_errors=True)


def _create(programs: Path, data: Path, user: ServerUser, *, flush: bool) -> None:
    """Make an empty database. Killed half-way it leaves no `data`, and the next attempt clears what it left."""
    for abandoned in data.parent.glob("initdb-*"):
        shutil.rmtree(abandoned, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="initdb-", dir=data.parent))
    user.own(fresh)
    command = [str(programs / "initdb"), "-D", user.name_for(fresh), "--username=postgres", "--auth=trust"]
    # The one locale that every platform has: text is ordered by its code points.
    command += ["--encoding=UTF8", "--locale=C", "--no-instructions", *(() if flush else ("--no-sync",))]
    with user.spawn(command, cwd=fresh, stderr=subprocess.PIPE) as initdb:
        complaint = initdb.communicate()[1].decode(errors="replace").strip()
    if initdb.returncode != 0:
        raise Misconfigured(f"PostgreSQL cannot make a database in {data.parent}: {complaint}")
    fresh.rename(data)
    descriptor = os.open(data.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
