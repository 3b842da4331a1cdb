"""What librdkafka has to say, in Python's logging."""

import logging
import re
import time
from collections.abc import Callable
from typing import Final

QUIET: Final = 60.0
"""Seconds until a line is worth repeating."""

_KINDS: Final = 200
_NUMBERS: Final = re.compile(r"\d+")


class ClientLog:
    """The `logger` of a client: lines that differ in numbers only are one kind, and a kind is logged once a minute.

    During an outage librdkafka reports every attempt to connect, several a second.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._logger = logging.getLogger(__name__)
        self._clock = clock
        self._said: dict[str, float] = {}

    def log(self, level: int, message: str, *args: object) -> None:
        """The one method librdkafka's client calls; any thread may."""
        kind = _NUMBERS.sub("#", message % args if args else message)
        now = self._clock()
        if now - self._said.get(kind, -QUIET) < QUIET:
            return
        if len(self._said) >= _KINDS:
            self._said.clear()
        self._said[kind] = now
        self._logger.log(level, message, *args)
