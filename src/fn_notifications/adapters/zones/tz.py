"""Time zones out of the tzdata package: quiet hours must not depend on the age of a host's files."""

from datetime import tzinfo
from functools import cache
from importlib.resources import files
from zoneinfo import ZoneInfo


def zone(name: str) -> tzinfo | None:
    """The zone of an IANA name, or None for a name that tzdata does not list, in exactly this spelling.

    Reads each zone once. Neither the host's files, nor `PYTHONTZPATH`, nor zoneinfo's own cache have a say.
    """
    return _read(name) if name in _names() else None


@cache
def _names() -> frozenset[str]:
    return frozenset(files("tzdata").joinpath("zones").read_text("ascii").split())


@cache
def _read(name: str) -> tzinfo:
    """Only for a listed name: it becomes a path."""
    with files("tzdata").joinpath("zoneinfo", *name.split("/")).open("rb") as file:
        return ZoneInfo.from_file(file, key=name)
