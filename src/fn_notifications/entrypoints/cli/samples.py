"""The sample events and people that ship with the catalogue."""

import json
from datetime import UTC, datetime, timedelta
from importlib import resources
from secrets import token_hex

from fn_notifications.entrypoints.cli.lines import PreferenceDocuments

_DATA = resources.files("fn_notifications") / "catalogue" / "demo"


def sample_events() -> list[str]:
    """Event lines, made of this moment: never stale, and no repetition of an earlier run's."""
    now = datetime.now(UTC)
    text = (_DATA / "events.jsonl").read_text(encoding="utf-8")
    for placeholder, value in {
        "{now}": now.isoformat(),
        "{later}": (now + timedelta(days=1)).isoformat(),
        "{run}": token_hex(4),
    }.items():
        text = text.replace(placeholder, value)
    return text.splitlines()


def sample_preferences() -> PreferenceDocuments:
    """User ids and what they set."""
    text = (_DATA / "preferences.jsonl").read_text(encoding="utf-8")
    documents = [json.loads(line) for line in text.splitlines()]
    return [(document["user_id"], document) for document in documents]
