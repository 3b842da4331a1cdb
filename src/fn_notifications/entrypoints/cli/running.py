"""Where a running `dev` is, so that other commands of the same folder find it."""

import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from attrs import asdict, frozen

_FILE = "dev.json"


@frozen(kw_only=True)
class Running:
    """A `dev` of this folder."""

    pid: int
    url: str
    broker: str
    topics: tuple[str, ...]
    database: str
    adapters: Mapping[str, tuple[str, ...]]
    """By channel: who carries it."""


@contextmanager
def announced(state_dir: Path, running: Running) -> Iterator[None]:
    """Let others find it while it runs."""
    state_dir.mkdir(parents=True, exist_ok=True)
    file = state_dir / _FILE
    file.write_text(json.dumps(asdict(running)), encoding="utf-8")
    try:
        yield
    finally:
        file.unlink(missing_ok=True)


def find(state_dir: Path) -> Running | None:
    """The `dev` that runs now, or None. One that was killed leaves a file behind; its pid is gone."""
    try:
        told = json.loads((state_dir / _FILE).read_text(encoding="utf-8"))
        adapters = {channel: tuple(names) for channel, names in told["adapters"].items()}
        running = Running(**{**told, "topics": tuple(told["topics"]), "adapters": adapters})
        os.kill(running.pid, 0)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
    return running
