"""JSON-lines files of events and preferences, as people write them."""

import json
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from fn_notifications.application.ports.events import Outgoing

_WRAPPED: Final = frozenset({"topic", "key", "headers", "value"})
_TOPIC: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")
_ORDERED: Final = b"in-order"
"""The key of lines that name none: a file's events keep their order within a topic."""


PreferenceDocuments = Sequence[tuple[str, Mapping[str, Any]]]
"""User ids and what each of them set."""


class BadInput(Exception):
    """A file cannot be used; the message says which line and why."""


def read_lines(path: Path) -> list[str]:
    """The lines that are not empty. `-` is standard input. Raises BadInput."""
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8", errors="surrogateescape")
    except OSError as error:
        raise BadInput(f"{path}: {error.strerror}") from error
    return [line for line in text.split("\n") if line.strip()]


def messages_of(lines: Sequence[str], topics: Sequence[str]) -> list[Outgoing]:
    """What a file asks to publish. Raises BadInput naming the first line that cannot be published."""
    messages = []
    for number, line in enumerate(lines, start=1):
        try:
            messages.append(outgoing(line, topics))
        except BadInput as error:
            raise BadInput(f"events, line {number}: {error}") from None
    return messages


def outgoing(line: str, topics: Sequence[str]) -> Outgoing:
    """What a line asks to publish: an event; `{"topic", "key", "headers", "value"}`; a sample, `{"event": …}` with
    notes beside it; and what is no JSON goes out as it stands. Raises BadInput.
    """
    raw = line.rstrip("\r").encode("utf-8", "surrogateescape")
    try:
        document = json.loads(raw)
    except (ValueError, RecursionError):
        return Outgoing(topic=topics[0], key=_ORDERED, value=raw)
    if isinstance(document, dict) and "value" in document and document.keys() <= _WRAPPED:
        return _wrapped(document, topics)
    if isinstance(document, dict) and isinstance(document.get("event"), dict) and not document.keys() & {"type", "id"}:
        document = document["event"]
        raw = json.dumps(document).encode()
    return Outgoing(topic=topic_of(document, topics), key=_ORDERED, value=raw)


def topic_of(document: Any, topics: Sequence[str]) -> str:
    """The topic whose name ends in the event's type, else one of the same family, else the first."""
    fields: Mapping[str, Any] = document if isinstance(document, dict) else {}
    type_ = str(fields.get("event_type") or fields.get("type") or "")
    family = type_.partition(".")[0]
    exact = [topic for topic in topics if type_ and topic.endswith(f".{type_}")]
    alike = [topic for topic in topics if family and f".{family}." in topic]
    return (*exact, *alike, *topics)[0]


def _wrapped(document: Mapping[str, Any], topics: Sequence[str]) -> Outgoing:
    value, headers = document["value"], document.get("headers") or {}
    topic, key = document.get("topic") or topic_of(value, topics), document.get("key")
    if not isinstance(topic, str) or not _TOPIC.fullmatch(topic):
        raise BadInput("topic must be a text of letters, digits, dots, hyphens and underscores")
    if not isinstance(key, str | None):
        raise BadInput("key must be a text")
    if not isinstance(headers, dict) or not all(isinstance(text, str) for text in headers.values()):
        raise BadInput("headers must be an object of names and texts")
    return Outgoing(
        topic=topic,
        key=_ORDERED if key is None else key.encode("utf-8", "surrogatepass"),
        value=value.encode("utf-8", "surrogatepass") if isinstance(value, str) else json.dumps(value).encode(),
        headers=tuple((name, text.encode("utf-8", "surrogatepass")) for name, text in headers.items()),
    )


def preference_documents(lines: Sequence[str]) -> PreferenceDocuments:
    """User id and document of every line. Raises BadInput naming the first line that is none."""
    documents = []
    for number, line in enumerate(lines, start=1):
        try:
            document = json.loads(line)
        except (ValueError, RecursionError):
            raise BadInput(f"preferences, line {number}: no JSON") from None
        user_id = document.get("user_id") if isinstance(document, dict) else None
        if not isinstance(user_id, str) or not user_id.strip() or "\0" in user_id:
            raise BadInput(f"preferences, line {number}: needs a user_id")
        documents.append((user_id, document))
    return documents
