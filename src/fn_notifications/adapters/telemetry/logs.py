"""Log lines: the engine's own and those of libraries, through one chain, to one stream.

Libraries are heard from `warning` up: what they say below quotes requests. Tracebacks hold no local variables, and
whatever a line consists of passes the redaction last.
"""

import logging
import math
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, Final, TextIO

import structlog
from attrs import frozen
from structlog.stdlib import BoundLogger, ProcessorFormatter

from fn_notifications.application.redaction import Redaction

LEVELS: Final = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
_LONGEST_FIELD: Final = 1000
_LONGEST_TRACEBACK: Final = 16_000
_OWN: Final = "fn_notifications"


@contextmanager
def configure_logs(
    level: str, *, json: bool, stream: TextIO, redaction: Redaction | None = None
) -> Iterator[BoundLogger]:
    """The engine's logger; while this lasts, Python's own logging goes the same way. After it, all is as it was.

    `level` is one of `LEVELS`: the least the engine says. Raises KeyError for another.
    """
    handler = _Handler(stream)
    handler.setFormatter(_formatter(json=json, stream=stream, redaction=redaction or Redaction()))
    root, own = logging.getLogger(), logging.getLogger(_OWN)
    before = root.handlers[:], root.level, own.level
    root.handlers[:] = [handler]
    root.setLevel(max(LEVELS[level], logging.WARNING))
    own.setLevel(LEVELS[level])
    try:
        yield structlog.wrap_logger(
            own,
            processors=[
                structlog.stdlib.filter_by_level,
                structlog.stdlib.add_log_level,
                ProcessorFormatter.wrap_for_formatter,
            ],
            wrapper_class=BoundLogger,
        ).bind()
    finally:
        root.handlers[:] = before[0]
        root.setLevel(before[1])
        own.setLevel(before[2])


def _formatter(*, json: bool, stream: TextIO, redaction: Redaction) -> ProcessorFormatter:
    renderer = (
        structlog.processors.JSONRenderer()
        if json
        else structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback, pad_event_to=0
        )
    )
    return ProcessorFormatter(
        foreign_pre_chain=[structlog.stdlib.add_log_level, structlog.stdlib.add_logger_name],
        processors=[
            ProcessorFormatter.remove_processors_meta,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _Redact(redaction),
            renderer,
        ],
    )


@frozen
class _Redact:
    """A processor: numbers stay numbers, everything else becomes redacted text."""

    redaction: Redaction

    def __call__(self, _: Any, __: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        return {name: self._fit(name, value) for name, value in line.items()}

    def _fit(self, name: str, value: Any) -> Any:
        if value is None or isinstance(value, bool) or (isinstance(value, int | float) and math.isfinite(value)):
            return value
        if name in ("exception", "stack"):
            return self.redaction.text(value, _LONGEST_TRACEBACK, lines=True)
        return self.redaction.text(value, _LONGEST_FIELD)


class _Handler(logging.StreamHandler[TextIO]):
    """Writes what it can. Python's own handler prints what it cannot, arguments and all, to stderr."""

    def format(self, record: logging.LogRecord) -> str:
        try:
            line = super().format(record)
        except Exception:  # noqa: BLE001 - somebody's format string or __str__; that it was said still counts
            line = super().format(logging.makeLogRecord({**record.__dict__, **_UNREADABLE}))
        encoding = getattr(self.stream, "encoding", None) or "utf-8"
        return line.encode(encoding, "backslashreplace").decode(encoding)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - logging's name
        """Nothing: a line that cannot be written stops nobody."""


_UNREADABLE: Final = {"msg": "a line that cannot be written", "args": None, "exc_info": None, "exc_text": None}
