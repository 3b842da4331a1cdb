"""One wave of attempts: everything looked at again under lock, the rules run, what they say written down."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from attrs import define, evolve, field

from fn_notifications.adapters.postgres.aggregates import Aggregates, NotificationKey, Whole
from fn_notifications.adapters.postgres.boards import board_to_begin, write_stops
from fn_notifications.adapters.postgres.changes import Changed, unchanged, write
from fn_notifications.adapters.postgres.people import fields_of, person_of, read_profiles
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
from fn_notifications.domain.notification import Notification
from fn_notifications.domain.preferences import Person, Profile, UserRef
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
    aggregates = Aggregates(seals)
    # Before everything else: a release, which ends a hold and then looks for what waits under it, waits for this
    # transaction without having locked anything that this one needs.
    board = await board_to_begin(connection)
    locked = await aggregates.lock(connection, [lease.key for lease in leases])
    if not locked:
        return []
    places = {key: one.place for key, one in locked.items()}
    wholes = await aggregates.read(connection, [(key.tenant, key.notification_id) for key in places], opened=False)
    rows = await Points(seals).lock(connection, [_point_key(place) for place in places.values() if place])
    # Read after the contact points are locked, so it is not older than they are.
    profiles = await read_profiles(connection, {user for user, _ in rows})
    wave = _Wave(
        seals=seals,
        gate=gate,
        now=max(row.at for row in (*locked.values(), *rows.values())),
        places=places,
        wholes=wholes,
        rows=rows,
        profiles={user: Profile(user=user, fields=fields_of(row.fields or {})) for user, row in profiles.items()},
        board=board,
    )
    for lease in leases:
        wave.look_at(lease)
    if wave.unreadable and not wave.changes:
        raise wave.unreadable
    await write(connection, wave.changes, wave.now)
    await Points(seals).write(connection, wave.counted)
    await write_stops(connection, [stop for what, stop in wave.board.stops.items() if stop != board.stops[what]])
    if held := [key_row(one.after.key) for one in wave.changes if one.after.reason is Reason.HELD]:
        await execute(connection, _MARK_HELD, held=held)
    return wave.begun


@define(kw_only=True)
class _Wave:
    seals: Seals
    gate: Gate
    now: datetime
    places: Mapping[DeliveryKey, Place | None]
    wholes: Mapping[NotificationKey, Whole]
    rows: Mapping[PointKey, Row]
    """Of contact points."""
    profiles: Mapping[UserRef, Profile]
    board: Board
    points: dict[PointKey, StoredPoint] = field(factory=dict)
    counted: dict[PointKey, StoredPoint] = field(factory=dict)
    """Contact points with a send that counts against their cap."""
    changes: list[Changed] = field(factory=list)
    begun: list[Begun] = field(factory=list)
    unreadable: VaultError | None = None

    def look_at(self, lease: Lease) -> None:
        """Decide about one leased delivery; a void lease is passed over."""
        place = self.places.get(lease.key)
        if place is None or not place.held(lease.token, self.now):
            return
        whole = self.wholes[lease.key.tenant, lease.key.notification_id]
        try:
            change = unchanged(Aggregates(self.seals).opened(whole), lease.key, place)
            notification = change.notification
            person = self._person(notification, place)
        except VaultError as error:
            self.unreadable = error
            return
        candidate = Candidate(notification=notification, delivery=change.before, person=person, board=self.board)
        command = self.gate(candidate, self.now)
        change = change.then(decide(change.before, command, self.now), freed=True)
        self.changes.append(change)
        if change.after.status is Status.SENDING:
            to = destination(person.contacts[change.after.channel].address)
            self.board = self.board.probed(command.route, to, self.now)
            self.begun.append(Begun(lease=lease, notification=notification, delivery=change.after, person=person))
            self._count(_point_key(place))

    def _person(self, notification: Notification, place: Place) -> Person:
        key = _point_key(place)
        if key not in self.points and key in self.rows:
            self.points[key] = Points(self.seals).opened(self.rows[key])
        stored = self.points.get(key)
        profile = self.profiles.get(notification.user, Profile(user=notification.user))
        return person_of(profile, {stored.point.channel: stored} if stored else {})

    def _count(self, key: PointKey) -> None:
        """The next delivery of this wave already sees it."""
        stored = self.points.get(key)
        if stored and (cap := stored.point.cap):
            recent = (*stored.point.recent, self.now)[-cap.count :]
            self.points[key] = self.counted[key] = evolve(stored, point=evolve(stored.point, recent=recent))


def _point_key(place: Place) -> PointKey:
    return UserRef(tenant=place.key.tenant, user_id=place.user_id), Channel(place.channel)
