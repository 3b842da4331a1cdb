"""Whom a PostgreSQL server of ours runs as. PostgreSQL refuses root, so root lends it a user without rights."""

import os
import pwd
import stat
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from attrs import frozen

from fn_notifications.application.errors import Misconfigured

_WORKING_DIRECTORY = Path("/proc/self/cwd")
_WITHOUT_RIGHTS = ("nobody", "daemon")


@frozen
class ServerUser:
    """The user the server's processes run as; without an `account`, whoever runs this process."""

    account: pwd.struct_passwd | None = None

    @classmethod
    def for_data(cls, data: Path) -> "ServerUser":
        """Ourselves; for root, the owner of `data`, or a user without rights when there is no data yet.

        Raises `Misconfigured` where root has nobody to lend.
        """
        if os.geteuid() != 0:
            return cls()
        if not _WORKING_DIRECTORY.exists():
            raise Misconfigured("Root cannot run a PostgreSQL server on this system; run as another user")
        with suppress(FileNotFoundError, KeyError):
            owner = pwd.getpwuid(data.stat().st_uid)
            if owner.pw_uid != 0:
                return cls(owner)
        for name in _WITHOUT_RIGHTS:
            with suppress(KeyError):
                return cls(pwd.getpwnam(name))
        raise Misconfigured(f"Root needs one of the users {', '.join(_WITHOUT_RIGHTS)} to run PostgreSQL as")

    def name_for(self, data: Path) -> str:
        """How to name `data` to a program whose working directory it is.

        A lent user may not be allowed through the directories above (a home is 0700). Its own working directory
        is the one path it needs no permission for.
        """
        return str(_WORKING_DIRECTORY if self.account else data)

    def reaches(self, path: Path) -> bool:
        """Whether a lent user may enter (or run) `path`, judged by what everybody may. Ourselves always."""
        path = path.resolve()
        return not self.account or all(each.stat().st_mode & stat.S_IXOTH for each in (path, *path.parents))

    def own(self, path: Path) -> None:
        """Give `path`, which we made, and everything below it to this user."""
        if self.account:
            for each in (path, *path.rglob("*")):
                os.chown(each, self.account.pw_uid, self.account.pw_gid, follow_symlinks=False)

    def spawn(
        self,
        command: Sequence[str | Path],
        *,
        cwd: Path,
        stdin: int = subprocess.DEVNULL,
        stderr: int | IO[bytes] = subprocess.DEVNULL,
    ) -> subprocess.Popen[bytes]:
        """Run `command` as this user, deaf to the terminal's Ctrl-C and to the PG* variables around us."""
        return subprocess.Popen(  # noqa: S603 - the callers' own programs, no shell
            command,
            cwd=cwd,
            stdin=stdin,
            stdout=subprocess.DEVNULL,
            stderr=stderr,
            env={"LC_ALL": "C", "TZ": "UTC", "PATH": os.defpath},
            user=self.account.pw_uid if self.account else None,
            group=self.account.pw_gid if self.account else None,
            extra_groups=[] if self.account else None,
            umask=0o077,
            start_new_session=True,
        )
