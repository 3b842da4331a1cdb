"""What PostgreSQL and the driver raise, as what a port may raise.

The server quotes rows and values in its messages: no text of theirs goes any further, only the SQLSTATE does.
"""

from typing import Final

import psycopg

from fn_notifications.application.errors import Misconfigured, PortError, Refused, Unavailable


class Clashed(Unavailable):
    """Another transaction was in the way; this one is undone and may be run again."""


class Lost(Unavailable):
    """The connection broke before the commit was asked for: nothing is stored."""


class Uncertain(Unavailable):
    """The connection broke during the commit: whether it is stored, nobody knows."""


_CLASHES: Final = frozenset({"40001", "40P01"})
_VALUES: Final = frozenset({"21", "22", "23", "54"})
"""Classes of errors that come from a value: repeated, no data, against a constraint, beyond a limit (of an index)."""
_SETUP: Final = frozenset({"0A", "28", "3D", "3F", "42"})
_CUT: Final = frozenset({"57P01", "57P02", "57P03", "57P05"})
"""The server ended the session, or is not taking any."""


def translated(error: psycopg.Error, *, committing: bool = False) -> PortError:
    """The port's error for a driver's. `committing`: COMMIT was on its way when it happened."""
    state = error.sqlstate
    if state is None:
        return _of_the_driver(error, committing=committing)
    if is_outdated(error):
        return Clashed("a table changed under a prepared statement")
    if state in _CLASHES:
        return Clashed(f"PostgreSQL could not serialise a transaction ({state})")
    if state in _CUT or state.startswith("08"):
        return _broken(f"PostgreSQL ended the session ({state})", committing=committing)
    if state[:2] in _VALUES:
        return Refused(f"PostgreSQL cannot take a value ({state})")
    if state[:2] in _SETUP:
        return Misconfigured(f"PostgreSQL does not know or allow what is asked of it ({state}): is it migrated?")
    return Unavailable(f"PostgreSQL did not do its part ({state})")


def is_outdated(error: psycopg.Error) -> bool:
    """Whether a prepared statement gives other columns than when it was prepared: a migration added one. The server
    has no state of its own for it, and its message comes in the server's language; only the place in its source tells.
    """
    return error.diag.source_function == "RevalidateCachedQuery"


def _of_the_driver(error: psycopg.Error, *, committing: bool) -> PortError:
    if isinstance(error, psycopg.DataError):
        return Refused("PostgreSQL cannot take a value")
    if isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return _broken(f"PostgreSQL could not be reached ({type(error).__name__})", committing=committing)
    return Misconfigured(f"the driver refused a statement ({type(error).__name__})")


def _broken(message: str, *, committing: bool) -> PortError:
    return Uncertain(message) if committing else Lost(message)
