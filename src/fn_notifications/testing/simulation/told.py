"""What other services publish and callers ask for: an account of all that went in, to be held against what came out."""

import json
from datetime import datetime, timedelta
from typing import Any, Final

from attrs import define, field, frozen

from fn_notifications.domain.identity import event_identity
from fn_notifications.testing.simulation.broker import Broker
from fn_notifications.testing.simulation.clocks import true_time
from fn_notifications.testing.simulation.dice import Dice
from fn_notifications.testing.simulation.faults import Fault
from fn_notifications.testing.simulation.subject import ITEM_EVENTS

SOURCE: Final = "simulated"
_POISON: Final = (b"{", b"[1]", b'{"event_id": "x"}', b"\x00", b'{"event_type": "item.noted", "data": {"thing": "t"}}')


@frozen(kw_only=True)
class Told:
    """Somebody is to be told something."""

    identity: bytes
    user: str
    type: str
    key: str | None
    at: datetime


@define(eq=False, repr=False)
class Publishers:
    """The other services."""

    broker: Broker
    dice: Dice
    people: tuple[str, ...]
    told: list[Told] = field(factory=list)
    events: dict[tuple[str, int, int], bytes] = field(factory=dict)
    """By topic, partition and offset, the identity of what was written there."""
    poison: list[tuple[str, int, int]] = field(factory=list)
    """Where something lies that is no event."""
    _last: tuple[str, dict[str, Any]] | None = None
    _count: int = 0

    def happen(self) -> None:
        """Something happens to somebody, and it is published; perhaps late, twice, or garbled."""
        dice = self.dice
        if dice.strikes(Fault.EVENT_POISON):
            record = self.broker.write("items", "poison", dice.random.choice(_POISON))
            self.poison.append((record.topic, record.partition, record.offset))
        if self._last and dice.strikes(Fault.EVENT_REPEATED):
            type_, body = self._last
        else:
            type_ = dice.random.choice(ITEM_EVENTS)
            body = {"thing": f"t{self._count}", "owner": self._somebody(), "title": "umbrella"}
            if type_ == "item.matched":
                body["finder"] = self._somebody()
        self._last = type_, body
        self.publish(type_, body, "items", body["owner"])

    def publish(self, type_: str, body: dict[str, Any], topic: str, key: str) -> None:
        """Write an event, and remember who is to be told."""
        dice = self.dice
        self._count += 1
        at = true_time()
        if dice.strikes(Fault.EVENT_LATE):
            at -= timedelta(hours=6 * dice.chance() ** 2)
        id_ = f"e{self._count}"
        self._write(topic, key, id_, type_, at, body)
        self._remember(id_, type_, at, body)
        if dice.strikes(Fault.EVENT_TWICE):
            self._write(topic, key, id_, type_, at, body)
        if dice.strikes(Fault.EVENT_ID_REUSED):
            self._write(topic, key, id_, type_, at, {**body, "title": "another thing"})

    def _write(self, topic: str, key: str, id_: str, type_: str, at: datetime, body: dict[str, Any]) -> None:
        document = {"event_id": id_, "source": SOURCE, "event_type": type_, "timestamp": at.isoformat(), "data": body}
        record = self.broker.write(topic, key, json.dumps(document).encode())
        self.events[record.topic, record.partition, record.offset] = event_identity(SOURCE, type_, id_)

    def _remember(self, id_: str, type_: str, at: datetime, body: dict[str, Any]) -> None:
        identity = event_identity(SOURCE, type_, id_)
        for party, notification in _PARTIES[type_]:
            if party in body:
                key = body.get("thing") or body["id"]
                self.told.append(Told(identity=identity, user=body[party], type=notification, key=key, at=at))

    def _somebody(self) -> str:
        return self.dice.random.choice(self.people)


_PARTIES: Final = {
    "person.registered": (("id", "welcome"),),
    "person.updated": (),
    "item.alarmed": (("owner", "alarm"),),
    "item.coded": (("owner", "code"),),
    "item.matched": (("owner", "match"), ("finder", "note")),
    "item.offered": (("owner", "offer"),),
    "item.noted": (("owner", "note"),),
}
