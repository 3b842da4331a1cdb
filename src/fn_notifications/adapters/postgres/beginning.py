"""One wave of attempts: everything looked at again under lock, the rules run, what they say written down."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from attrs import define, evolve, field

from fn_notifications.adapters.postgres.aggregates import Aggregates, Locked, NotificationKey, Whole
from fn_notifications.adapters.postgres.boards import board_to_begin, write_stops
from fn_notifications.adapters.postgres.changes import Changed, write
from fn_notifications.adapters.postgres.people import person_of, read_said
from fn_notifications.adapters.postgres.points import PointKey, Points, StoredPoint
from fn_notifications.adapters.postgres.pool import Connection, execute
from fn_notifications.adapters.postgres.queue import Place
from fn_notifications.adapters.postgres.rows import Row, key_row
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.application.ports.deliveries import Begun, Candidate, Gate, Lease
from fn_notifications.application.ports.vault import VaultError
from fn_notifications.domain.address import Channel, destination
from fn_notifications.domain.delivery import DeliveryKey, decide
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.preferences import Field, Person, UserRef
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routes import Board

# Whether it was deferred for a hold: a release finds it by this, without reading every delivery.
_MARK_HELD: Final = """
UPDATE due SET held = true
WHERE ctid = ANY (ARRAY(
    SELECT q.ctid
    FROM json_to_recordset(%(held)s) AS i (tenant text, notification_id uuid, no smallint)
    CROSS JOIN LATERAL (
        SELECT q.ctid FROM due q
        WHERE q.tenant = i.tenant AND q.notification_id = i.notification_id AND q.no = i.no LIMIT 1
    ) AS q))
"""


async def begin(connection: Connection, seals: Seals, leases: Sequence[Lease], gate: Gate) -> Sequence[Begun]:
    """Begin what may go, in the caller's transaction, as `Deliveries.begin` says.

    What cannot be opened is passed over, and comes back when its lease runs out: one bad row stops nobody else.
    Raises `VaultError` when that leaves nothing, for then it is the key.
    """
    aggregates, points = Aggregates(seals), Points(seals)
    # Before everything else: a release, which ends a hold and then looks for what waits under it, waits for this
    # transaction without having locked anything that this one needs.
    board = await board_to_begin(connection)
    locked = await aggregates.lock(connection, [lease.key for lease in leases])
    if not locked:
        return []
    wholes = await aggregates.read(connection, [(key.tenant, key.notification_id) for key in locked], opened=False)
    goals = {key: _point_key(one.place) for key, one in locked.items() if one.place}
    rows = await points.lock(connection, goals.values())
    # Read after the contact points are locked, so it is not older than they are.
    said = await read_said(connection, [user for user, _ in rows])
    wave = _Wave(
        aggregates=aggregates,
        points=points,
        gate=gate,
        now=max(row.at for row in (*locked.values(), *rows.values())),
        locked=locked,
        wholes=wholes,
        goals=goals,
        rows=rows,
        said=said,
        board=board,
    )
    for lease in leases:
        wave.look_at(lease)
    if wave.unreadable and not wave.changes:
        raise wave.unreadable
    await write(connection, wave.changes, wave.now)
    await points.write(connection, wave.counted)
    await write_stops(connection, [stop for what, stop in wave.board.stops.items() if stop != board.stops[what]])
    if held := [key_row(one.after.key) for one in wave.changes if one.after.reason is Reason.HELD]:
        await execute(connection, _MARK_HELD, held=held)
    return wave.begun


@define(kw_only=True)
class _Wave:
    aggregates: Aggregates
    points: Points
    gate: Gate
    now: datetime
    locked: Mapping[DeliveryKey, Locked]
    wholes: Mapping[NotificationKey, Whole]
    goals: Mapping[DeliveryKey, PointKey]
    """Whom each is for, and which way."""
    rows: Mapping[PointKey, Row]
    """Of contact points."""
    said: Mapping[UserRef, Mapping[Field, Any]]
    board: Board
    opened: dict[PointKey, StoredPoint] = field(factory=dict)
    """Contact points as this wave leaves them."""
    counted: dict[PointKey, StoredPoint] = field(factory=dict)
    """Contact points with a send that counts against their cap."""
    changes: list[Changed] = field(factory=list)
    begun: list[Begun] = field(factory=list)
    unreadable: VaultError | None = None

    def look_at(self, lease: Lease) -> None:
        """Decide about one leased delivery; a void lease is passed over."""
        found = self.locked.get(lease.key)
        if found is None or found.place is None or not found.place.held(lease.token, self.now):
            return
        place, goal = found.place, self.goals[lease.key]
        whole = self.wholes[lease.key.tenant, lease.key.notification_id]
        try:
            notification = self.aggregates.opened(whole)
            person = self._person(goal)
        except VaultError as error:
            self.unreadable = error
            return
        before = whole.deliveries[lease.key.no - 1]
        command = self.gate(
            Candidate(notification=notification, delivery=before, person=person, board=self.board), self.now
        )
        events = decide(before, command, self.now)
        states = before.states(events)
        self.changes.append(Changed(notification=notification, states=states, place=place, events=events, freed=True))
        if (after := states[-1]).status is Status.SENDING:
            to = destination(person.contacts[after.channel].address)
            self.board = self.board.probed(command.route, to, self.now)
            self.begun.append(Begun(lease=lease, notification=notification, delivery=after, person=person))
            self._count(goal)

    def _person(self, goal: PointKey) -> Person:
        user, channel = goal
        stored = self.opened.get(goal)
        if stored is None and (row := self.rows.get(goal)):
            stored = self.opened[goal] = self.points.opened(row)
        return person_of(user, self.said.get(user, {}), {channel: stored} if stored else {})

    def _count(self, goal: PointKey) -> None:
        """The next delivery of this wave already sees it."""
        stored = self.opened.get(goal)
        if stored and (cap := stored.point.cap):
            recent = (*stored.point.recent, self.now)[-cap.count :]
            self.opened[goal] = self.counted[goal] = evolve(stored, point=evolve(stored.point, recent=recent))


def _point_key(place: Place) -> PointKey:
    return UserRef(tenant=place.key.tenant, user_id=place.user_id), Channel(place.channel)
