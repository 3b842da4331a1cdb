"""The people of a campaign, what happens to them, and how they change their minds: made up from one seed."""

import json
import random
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from attrs import define, field, frozen

LOCAL_PART = "resident"
"""What every email address begins with."""
PHONE_PREFIX = "+1500555"
OUR_NUMBER = "+15005550006"


@frozen
class Person:
    """Somebody with an address on every channel."""

    number: int

    @property
    def user_id(self) -> str:
        return f"u-{self.number}"

    @property
    def phone(self) -> str:
        return f"{PHONE_PREFIX}{1_000 + self.number}"

    def preferences(self, *, email: bool = True) -> dict[str, Any]:
        """All that is said of this person: every third takes WhatsApp as well."""
        whatsapp = self.number % 3 == 0
        return {
            "user_id": self.user_id,
            "email": f"{LOCAL_PART}{self.number}@example.com",
            "phone": self.phone,
            "channel_preferences": {
                "email": {"enabled": email},
                "sms": {"enabled": True},
                "whatsapp": {"enabled": whatsapp, "opt_in": whatsapp},
            },
        }


@frozen(kw_only=True)
class Happening:
    """An event and the notifications that must come of it."""

    id: str
    value: bytes
    expected: frozenset[tuple[str, str]]
    """User and notification type."""


@define
class Town:
    """Where things happen. Two towns of one seed tell the same story."""

    seed: int
    size: int = 2_000
    told: dict[str, Happening] = field(factory=dict)
    """What has happened so far, by event id; garbage is not among it."""

    def people(self) -> list[Person]:
        return [Person(number) for number in range(self.size)]

    def happenings(self) -> Iterator[bytes]:
        """Endless values to publish. A few come twice, a few are of a type nobody knows, a few are garbage."""
        chance = random.Random(f"{self.seed}/events")
        number = 0
        while True:
            number += 1
            happening = self._happening(chance, f"e{number}")
            self.told[happening.id] = happening
            yield happening.value
            match chance.random():
                case luck if luck < 0.03:
                    yield happening.value
                case luck if luck < 0.04:
                    yield _event("no.such.thing", f"x{number}", {"user_id": "u-0"})
                case luck if luck < 0.05:
                    yield b"not JSON"

    def _happening(self, chance: random.Random, id_: str) -> Happening:
        one, other = (person.user_id for person in chance.sample(self.people(), 2))
        kind = chance.choice(("post.created", "post.matched", "post.claimed", "post.resolved"))
        data: dict[str, Any] = {"post_id": f"post-{id_}", "title": "Umbrella"}
        if kind == "post.matched":
            data |= {"match_id": f"match-{id_}", "reporter_id": one, "matcher_id": other}
            expected = {(one, "match_detected"), (other, "match_detected")}
        elif kind == "post.claimed":
            data |= {"claim_id": f"claim-{id_}", "user_id": one, "claimer_id": other}
            expected = {(one, "urgent_claim"), (other, "claim_submitted")}
        else:
            data["user_id"] = one
            expected = {(one, "post_confirmation" if kind == "post.created" else "post_resolved")}
        return Happening(id=id_, value=_event(kind, id_, data), expected=frozenset(expected))


def _event(kind: str, id_: str, data: Mapping[str, Any]) -> bytes:
    return json.dumps(
        {
            "event_type": kind,
            "event_id": id_,
            "correlation_id": id_,
            "timestamp": datetime.now(UTC).isoformat(),
            "source_service": "fn-posts",
            "data": data,
        }
    ).encode()
