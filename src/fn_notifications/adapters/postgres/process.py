"""A PostgreSQL server as a child process: started, watched over, stopped. Linux and macOS."""

import os
import signal
import subprocess
from collections.abc import Mapping
from pathlib import Path
from time import monotonic, sleep
from urllib.parse import quote

from fn_notifications.adapters.postgres.server_user import ServerUser
from fn_notifications.application.errors import Misconfigured, Unavailable

_START_SECONDS = 60.0
_PREDECESSOR_SECONDS = 10.0
_STOPPING = ((signal.SIGINT, 30.0), (signal.SIGQUIT, 10.0), (signal.SIGKILL, None))
"""Fast shutdown (sessions are cut, everything is written), then immediate, then none."""

_POLL_SECONDS = 0.01
_PORT = "5432"
"""Only part of the socket's name: every server has a runtime directory of its own."""

_SETTINGS = {
    "listen_addresses": "",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
    # Values stand in the details of an error and in its statement: neither belongs in a log.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
}

# Ends the server and clears up behind it when this process is gone, however it went: then the pipe is closed.
# A parent-death signal would not do: it comes when the thread that started the server ends.
_WATCHDOG = 'read -r _; kill -INT "$0"; rm -rf "$@"'


class PostgresProcess:
    """One server on the database in `data`, reached by a Unix socket in `runtime`. Blocking; for one thread at a time.

    It is for the caller to see that nobody else uses `data`. `scratch` data is not worth a flush to the disk, and
    goes when this process is killed.
    """

    def __init__(
        self,
        programs: Path,
        data: Path,
        *,
        runtime: Path,
        user: ServerUser,
        settings: Mapping[str, str],
        scratch: bool = False,
    ) -> None:
        self._data = data
        self._log = data.with_name("server.log")
        self._runtime = runtime
        self._user = user
        self._perishable = (runtime, data) if scratch else (runtime,)
        where = {"unix_socket_directories": str(runtime), "port": _PORT}
        settings = {**_SETTINGS, "fsync": "off" if scratch else "on", **settings, **where}
        self._command = [str(programs / "postgres"), "-D", user.name_for(data)]
        self._command += [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        self._server: subprocess.Popen[bytes] | None = None
        self._watchdog: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The libpq URL of the maintenance database, as the superuser; the same after every `start`."""
        return f"postgresql://postgres@/postgres?host={quote(str(self._runtime))}&port={_PORT}"

    @property
    def epitaph(self) -> str | None:
        """What is to be said of a server that ended although nobody stopped it; None while there is none such."""
        if self._server is None or self._server.poll() is None:
            return None
        return f"PostgreSQL ended by itself ({self._server.returncode}), see {self._log}"

    def start(self) -> None:
        """Return when a new server accepts connections, after a crash when it has recovered; an old one is stopped.

        Raises `Misconfigured` with the server's own reason when it cannot run on this directory, `Unavailable`
        when it was not ready within 60 seconds.
        """
        self.stop()
        deadline = monotonic() + _START_SECONDS
        self._clear_pid_file(monotonic() + _PREDECESSOR_SECONDS)
        while reason := self._try_start(deadline):
            # What a killed server leaves running for a moment still holds its memory.
            if "shared memory block" not in reason or monotonic() > deadline:
                raise Misconfigured(f"PostgreSQL cannot run on {self._data}: {reason}")

    def stop(self) -> None:
        """End sessions and stop, with everything on disk. A no-op when nothing runs."""
        if self._server is None:
            return
        self._dismiss_watchdog()
        for how, patience in _STOPPING:
            self._server.send_signal(how)
            if _ended(self._server, within=patience):
                break
        self._server = None

    def kill(self) -> None:
        """End the server as `kill -9` does, for tests of recovery; `start` brings it back."""
        if self._server is not None:
            self._server.kill()
        self.stop()

    def _try_start(self, deadline: float) -> str:
        """Start once; the empty string when the server is ready, else why it gave up."""
        log = os.open(self._log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
        with os.fdopen(log, "ab") as stream:
            before = stream.tell()
            self._server = self._user.spawn(self._command, cwd=self._data, stderr=stream)
        self._watchdog = self._user.spawn(
            ["/bin/sh", "-c", _WATCHDOG, str(self._server.pid), *self._perishable],
            cwd=Path("/"),
            stdin=subprocess.PIPE,
        )
        while not self._accepts_connections(self._server.pid):
            if _ended(self._server, within=_POLL_SECONDS):
                self.stop()
                return self._complaint(before)
            if monotonic() > deadline:
                self.stop()
                raise Unavailable(f"PostgreSQL was not ready within {_START_SECONDS:.0f} s; see {self._log}")
        return ""

    def _accepts_connections(self, pid: int) -> bool:
        lines = self._pid_file_lines()
        return len(lines) > 7 and lines[0] == str(pid) and lines[7].startswith("ready")

    def _complaint(self, offset: int) -> str:
        """The server's last words; only what was logged since `offset`, for earlier lines tell of other days."""
        with self._log.open("rb") as stream:
            stream.seek(offset)
            log = stream.read().decode(errors="replace")
        fatal = [line.partition("FATAL:")[2].strip() for line in log.splitlines() if "FATAL:" in line]
        return "; ".join(fatal) or f"it ended without a word, see {self._log}"

    def _clear_pid_file(self, deadline: float) -> None:
        """Wait for a predecessor that is still stopping; forget one that died.

        PostgreSQL itself would take any process that now has the dead one's number, in a container likely one of
        ours, for a running server. (A single-user session writes its number with a minus.)
        """
        while (lines := self._pid_file_lines()) and _is_server(pid := abs(int(lines[0]))):
            if monotonic() > deadline:
                raise Misconfigured(f"Another PostgreSQL server, process {pid}, runs on {self._data}; stop it")
            sleep(_POLL_SECONDS)
        self._pid_file.unlink(missing_ok=True)

    @property
    def _pid_file(self) -> Path:
        return self._data / "postmaster.pid"

    def _pid_file_lines(self) -> list[str]:
        try:
            return self._pid_file.read_text().splitlines()
        except FileNotFoundError:
            return []

    def _dismiss_watchdog(self) -> None:
        """Call it off, always before the server's process number is free for somebody else."""
        if self._watchdog is not None:
            with self._watchdog as watchdog:
                watchdog.kill()
            self._watchdog = None


def _ended(process: subprocess.Popen[bytes], *, within: float | None) -> bool:
    try:
        process.wait(within)
    except subprocess.TimeoutExpired:
        return False
    return True


def _is_server(pid: int) -> bool:
    """Whether `pid` is a live PostgreSQL; without /proc, whether it is alive at all."""
    try:
        if not Path("/proc/self").exists():
            os.kill(pid, 0)
            return True
        _, name, state, *_ = Path(f"/proc/{pid}/stat").read_text().split()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return name == "(postgres)" and state not in "ZX"
