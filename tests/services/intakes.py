"""Intake as the service runs it, over any stores: the shipped catalogue, records made out of events."""

import json
from datetime import timedelta
from itertools import count

from attrs import define, field

from fn_notifications.adapters.addresses.canonical import CanonicalAddresses
from fn_notifications.adapters.memory.telemetry import MemoryTelemetry
from fn_notifications.adapters.zones.numbers import zones_of
from fn_notifications.adapters.zones.tz import zone
from fn_notifications.application.intake import Intake
from fn_notifications.application.ports.events import Record
from fn_notifications.application.preferences import PreferencesFormat
from fn_notifications.application.quarantine import Custody
from fn_notifications.application.service import Notifications
from fn_notifications.domain.catalogue import Policy
from fn_notifications.entrypoints.parts import load_catalogue
from fn_notifications.testing.contracts.stores import Stores

POLICY = Policy(zones=zone, zones_of=zones_of)


@define
class Desk:
    """Intake, what callers and operators have of it, and records to feed it."""

    stores: Stores
    telemetry: MemoryTelemetry = field(factory=MemoryTelemetry)
    intake: Intake = field(init=False)
    custody: Custody = field(init=False)
    notifications: Notifications = field(init=False)
    offsets: count = field(factory=count)

    def __attrs_post_init__(self) -> None:
        self.intake = Intake(
            catalogue=load_catalogue(),
            people=self.stores.people,
            store=self.stores.intake,
            policy=POLICY,
            telemetry=self.telemetry,
            chance=lambda: 0.5,
        )
        self.custody = Custody(quarantine=self.stores.quarantine, letters=self.stores.dead_letters, intake=self.intake)
        self.notifications = Notifications(
            intake=self.intake,
            people=self.stores.people,
            deliveries=self.stores.deliveries,
            history=self.stores.history,
            routes=self.stores.routes,
            lanes={},
            preferences=PreferencesFormat(addresses=CanonicalAddresses(), policy=POLICY, types=frozenset()),
        )

    async def record(self, value: bytes | dict, *, age: timedelta = timedelta()) -> Record:
        """As it would be read now; what it tells of happened `age` ago, by its own time."""
        now = (await self.stores.people.load([])).now
        if isinstance(value, dict):
            value = json.dumps({"time": (now - age).isoformat(), **value}).encode()
        return Record(topic="events", partition=0, offset=next(self.offsets), timestamp=now, value=value)

    async def feed(self, *values: bytes | dict, age: timedelta = timedelta()) -> dict[str, int]:
        """Take these in, as one batch."""
        return dict(await self.intake.handle([await self.record(value, age=age) for value in values]))


def created(id_: str, user: str = "ada", type_: str = "post.created", **data: object) -> dict:
    """A post of somebody's."""
    return {"type": type_, "id": id_, "source": "posts", "data": {"user_id": user, "post_id": id_, **data}}


def claimed(id_: str, owner: str = "ada") -> dict:
    """A claim on somebody's post: urgent for them."""
    return {"type": "post.claimed", "id": id_, "source": "posts", "data": {"user_id": owner, "claim_id": id_}}


POISON = {
    "not_json": b"this is not JSON",
    "nul_byte": rb'{"type": "post.created", "data": {"user_id": "u\u0000"}}',
    "wrong_shape": b"[1, 2, 3]",
    "no_type": b'{"data": {"user_id": "ada"}}',
    "no_recipient": b'{"type": "post.created", "data": {"post_id": "p"}}',
    "too_large": b'{"type": "post.created", "pad": "' + b"x" * 990_000 + b'"}',
    "too_deep": b'{"type": "post.created", "data": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
    "bad_time": b'{"type": "post.created", "timestamp": "tomorrow", "data": {"user_id": "ada"}}',
}
"""Records that are no events, by the reason they are buried for."""
