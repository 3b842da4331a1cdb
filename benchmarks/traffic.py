"""Events and people of the measurements. Every event's title carries its number, and so does the message it makes."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

USERS = 6_000
"""Enough that nobody gets more than the 20 of a type that the catalogue allows an hour, with 100,000 events."""
ADDRESS = "Alexanderplatz"

Events = Callable[[int, int, int], Iterator[bytes]]
"""Events from a number on: so many, for so many users."""


def title(number: int) -> str:
    """Of the thing an event is about."""
    return f"Blue umbrella bench-{number}"


def user(number: int, users: int = USERS) -> str:
    """Who an event is about."""
    return f"user-{number % users}"


def created(first: int, count: int, users: int = USERS) -> Iterator[bytes]:
    """As many `post.created`, one email each, for the users in turn."""
    for number in range(first, first + count):
        yield _event("post.created", number, {"user_id": user(number, users), "post_id": f"post-{number}"})


def matched(first: int, count: int, users: int = USERS) -> Iterator[bytes]:
    """As many `post.matched`, one email each, of a type whose messages may share a call."""
    for number in range(first, first + count):
        told = {"user_id": user(number, users), "match_id": f"match-{number}", "confidence_score": 0.87}
        yield _event("post.matched", number, told)


def claimed(first: int, count: int, users: int = USERS) -> Iterator[bytes]:
    """As many `post.claimed`: an urgent email each, for the owner."""
    for number in range(first, first + count):
        yield _event("post.claimed", number, {"user_id": user(number, users), "claim_id": f"claim-{number}"})


def people(users: int = USERS) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each with an email address."""
    for number in range(users):
        yield user(number, users), {"email": f"{user(number, users)}@example.com"}


def _event(type_: str, number: int, data: dict[str, Any]) -> bytes:
    return json.dumps(
        {
            "event_type": type_,
            "event_id": f"{type_}-{number}",
            "timestamp": datetime.now(UTC).isoformat(),
            "source_service": "fn-posts",
            "data": {
                **data,
                "title": title(number),
                "location": {"address": ADDRESS, "latitude": 52.52, "longitude": 13.4},
            },
        }
    ).encode()
