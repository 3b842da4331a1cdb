"""Profiles and contact points in PostgreSQL."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

import orjson
from attrs import evolve, frozen

from fn_notifications.adapters.postgres.aggregates import store_time
from fn_notifications.adapters.postgres.points import (
    PointKey,
    Points,
    StoredPoint,
    address_lock,
    address_place,
    sorted_users,
    take_locks,
    user_lock,
    user_row,
)
from fn_notifications.adapters.postgres.pool import Connection, Database, fetch
from fn_notifications.adapters.postgres.rows import Row, moment
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.adapters.postgres.suppressions import AddressKey, in_force, suppress
from fn_notifications.application.errors import Conflict
from fn_notifications.application.ports.people import Dossier, Loaded, OptOut
from fn_notifications.application.ports.vault import VaultError
from fn_notifications.domain.address import Address, Channel
from fn_notifications.domain.catalogue import ChannelRules
from fn_notifications.domain.preferences import (
    CONTACTS,
    ContactPoint,
    Field,
    Known,
    Person,
    Profile,
    Source,
    Suppression,
    UserRef,
    contact_point,
    person,
)

_READ: Final = """
SELECT i.tenant, i.user_id, p.version, p.fields, p.addresses
FROM json_to_recordset(%(users)s) AS i (tenant text, user_id text)
LEFT JOIN LATERAL (
    SELECT * FROM user_preferences p WHERE p.tenant = i.tenant AND p.user_id = i.user_id LIMIT 1
) AS p ON true
"""

_SAID: Final = """
SELECT i.nth, p.fields::text AS fields
FROM ROWS FROM (json_to_recordset(%(users)s) AS (tenant text, user_id text))
     WITH ORDINALITY AS i (tenant, user_id, nth)
CROSS JOIN LATERAL (
    SELECT * FROM user_preferences p WHERE p.tenant = i.tenant AND p.user_id = i.user_id LIMIT 1
) AS p
"""

_LOCK: Final = """
SELECT p.tenant, p.user_id, p.version
FROM json_to_recordset(%(users)s) AS i (tenant text, user_id text)
CROSS JOIN LATERAL (
    SELECT * FROM user_preferences p WHERE p.tenant = i.tenant AND p.user_id = i.user_id FOR NO KEY UPDATE
) AS p
"""

_BESIDE: Final = """
SELECT b.tenant, b.user_id, b.addresses FROM (
    (SELECT tenant, user_id, addresses FROM user_preferences
     WHERE (tenant, user_id) > (%(tenant)s, %(user_id)s) ORDER BY tenant, user_id LIMIT 200)
    UNION ALL
    (SELECT tenant, user_id, addresses FROM user_preferences
     WHERE (tenant, user_id) < (%(tenant)s, %(user_id)s) ORDER BY tenant DESC, user_id DESC LIMIT 200)
) AS b
WHERE b.addresses IS NOT NULL
"""

_SHARING: Final = """
SELECT p.user_id FROM json_to_recordset(%(addresses)s) AS i (tenant text, channel text, lookup bytea)
JOIN contact_points p ON p.tenant = i.tenant AND p.channel = i.channel AND p.lookup = i.lookup
ORDER BY p.user_id COLLATE "C" LIMIT %(limit)s
"""

# Whoever waits for a contact point that has come is due at once. A row that is locked is being worked on: it will see
# the contact point by itself, and waiting for it here could be waiting for each other.
_WRITE: Final = """
WITH stored AS (
    INSERT INTO user_preferences AS p (tenant, user_id, version, fields, addresses)
    SELECT tenant, user_id, version, fields, addresses
    FROM json_populate_recordset(NULL::user_preferences, %(profiles)s)
    ON CONFLICT (tenant, user_id) DO UPDATE SET
        version = excluded.version, fields = excluded.fields, addresses = excluded.addresses
    WHERE p.version = excluded.version - 1
    RETURNING 1
), woken AS (
    UPDATE due SET due_at = (SELECT fn_now()), ready = true
    WHERE ctid = ANY (ARRAY(
        SELECT q.ctid
        FROM json_to_recordset(%(reachable)s) AS i (tenant text, user_id text, channel text)
        CROSS JOIN LATERAL (
            SELECT q.ctid FROM due q
            WHERE q.tenant = i.tenant AND q.user_id = i.user_id AND q.channel = i.channel
              AND q.awaits_contact AND NOT q.ready AND q.lease_until IS NULL
            FOR UPDATE SKIP LOCKED
        ) AS q))
)
SELECT count(*) AS stored FROM stored
"""


@frozen
class PostgresPeople:
    """The People port. `channels` says which field holds a channel's address."""

    database: Database
    seals: Seals
    channels: Mapping[Channel, ChannelRules]

    async def load(self, users: Collection[UserRef]) -> Loaded:
        """See the port."""

        async def work(connection: Connection) -> Loaded:
            now = await store_time(connection)
            if not users:
                return Loaded(now=now, dossiers={})
            rows = await read_profiles(connection, users)
            points = await Points(self.seals).rows(connection, users)
            dossiers = {user: self._opened(user, rows[user], points.get(user, ())) for user in users}
            readable = {user: dossier for user, dossier in dossiers.items() if dossier}
            unreadable = frozenset(dossiers.keys() - readable.keys())
            if unreadable and not any(one.person.known for one in readable.values()):
                await self._see_that_others_open(connection, next(iter(unreadable)))
            return Loaded(now=now, dossiers=readable, unreadable=unreadable)

        return await self.database.run(work, snapshot=True, often=True)

    async def sharing(self, tenant: str, channel: Channel, address: Address, limit: int) -> Sequence[UserRef]:
        """See the port."""
        place = {"tenant": tenant, "channel": channel, "lookup": self.seals.lookup(address)}

        async def work(connection: Connection) -> Sequence[UserRef]:
            rows = await fetch(connection, _SHARING, addresses=[place], limit=limit)
            return [UserRef(tenant=tenant, user_id=row.user_id) for row in rows]

        return await self.database.run(work)

    async def save(self, profiles: Sequence[Profile]) -> None:
        """See the port."""

        async def work(connection: Connection) -> None:
            await self.store(connection, profiles)

        if profiles:
            await self.database.run(work)

    async def suppress(self, opt_outs: Sequence[OptOut]) -> int:
        """See the port."""

        async def work(connection: Connection) -> int:
            return await suppress(connection, self.seals, opt_outs)

        return await self.database.run(work) if opt_outs else 0

    async def store(
        self, connection: Connection, profiles: Sequence[Profile], waiting: Collection[UserRef] = ()
    ) -> None:
        """Store profiles in the caller's transaction, as `save` says.

        `waiting` are users for whom the caller is about to store deliveries that wait for a contact point.
        """
        new = {
            (profile.user, channel): contact_point(profile, channel, rules.address)
            for profile in profiles
            for channel, rules in self.channels.items()
        }
        lookups = {point.address: self.seals.lookup(point.address) for point in new.values() if point.address}
        await take_locks(connection, {*_locks(new, lookups), *map(user_lock, waiting)})
        if not profiles:
            return
        users = [profile.user for profile in profiles]
        await _check_versions(connection, profiles)
        held = await Points(self.seals).of(connection, users, locked=True)
        force = await in_force(connection, _addresses(new, lookups))
        switches = {profile.user: profile.get("global_enabled") is not False for profile in profiles}
        points: dict[PointKey, StoredPoint] = {}
        for (user, channel), point in new.items():
            lookup = lookups[point.address] if point.address else None
            suppression = force.get((user.tenant, channel, lookup)) if lookup else None
            old = held.get(user, {}).get(channel)
            stored = self._point(user, point, old, lookup, suppression, global_enabled=switches[user])
            if stored is not None:
                points[user, channel] = stored
        await Points(self.seals).write(connection, points)
        (row,) = await fetch(
            connection,
            _WRITE,
            profiles=[self._profile_row(profile) for profile in _in_order(profiles)],
            reachable=[{**user_row(user), "channel": channel} for (user, channel), one in new.items() if one.address],
        )
        if row.stored != len(profiles):
            raise Conflict("a profile has changed since it was read")

    def _point(
        self,
        user: UserRef,
        new: ContactPoint,
        old: StoredPoint | None,
        lookup: bytes | None,
        suppression: Suppression | None,
        *,
        global_enabled: bool,
    ) -> StoredPoint | None:
        """The row a contact point becomes; None when nothing about it changes."""
        was = old.point if old else ContactPoint(channel=new.channel)
        new = evolve(new, suppression=suppression, epoch=was.epoch, recent=was.recent if new.cap else ())
        if new == was and (global_enabled == old.global_enabled if old else True):
            return None
        if old is not None and new.address == was.address:
            sealed = old.sealed
        else:
            place = address_place(user.tenant, user.user_id, new.channel)
            sealed = self.seals.seal_address(new.address, *place) if new.address else None
        return StoredPoint(
            point=evolve(new, epoch=was.epoch + 1), global_enabled=global_enabled, sealed=sealed, lookup=lookup
        )

    def _opened(self, user: UserRef, row: Row, points: Iterable[Row]) -> Dossier | None:
        """A user's dossier; None when no key opens all of it."""
        try:
            return self._dossier(user, row, {point.channel: Points(self.seals).opened(point) for point in points})
        except VaultError:
            return None

    async def _see_that_others_open(self, connection: Connection, user: UserRef) -> None:
        """Look at those beside somebody who cannot be read: is it the row, or the key? Raises `VaultError` then."""
        for row in await fetch(connection, _BESIDE, tenant=user.tenant, user_id=user.user_id):
            try:
                self.seals.open_json(row.addresses, *_place(UserRef(tenant=row.tenant, user_id=row.user_id)))
            except VaultError:
                continue
            return
        raise VaultError("nothing of what is held about people opens with the keys there are")

    def _dossier(self, user: UserRef, row: Row, points: Mapping[Channel, StoredPoint]) -> Dossier:
        fields = dict(fields_of(row.fields or {}))
        if row.addresses:
            fields |= fields_of(self.seals.open_json(row.addresses, *_place(user)))
        profile = Profile(user=user, fields=fields, version=row.version or 0)
        return Dossier(profile=profile, person=person_of(user, profile.said, points))

    def _profile_row(self, profile: Profile) -> dict[str, Any]:
        addresses = {name: _packed(known) for name, known in profile.fields.items() if name in CONTACTS}
        return {
            **user_row(profile.user),
            "version": profile.version + 1,
            "fields": {name: _packed(known) for name, known in profile.fields.items() if name not in CONTACTS},
            "addresses": self.seals.seal_json(addresses, *_place(profile.user)) if addresses else None,
        }


async def read_profiles(connection: Connection, users: Collection[UserRef]) -> Mapping[UserRef, Row]:
    """The rows of these users; all NULL for those nobody told us of."""
    rows = await fetch(connection, _READ, users=[user_row(user) for user in sorted_users(users)])
    return {UserRef(tenant=row.tenant, user_id=row.user_id): row for row in rows}


async def read_said(connection: Connection, users: Collection[UserRef]) -> Mapping[UserRef, Mapping[Field, Any]]:
    """What the profiles of these users say, but for their addresses; nothing of those nobody told us of."""
    ordered = sorted_users(users)
    rows = await fetch(connection, _SAID, users=[user_row(user) for user in ordered])
    return {
        ordered[row.nth - 1]: {name: value for name, (value, _, _) in orjson.loads(row.fields).items()} for row in rows
    }


def person_of(user: UserRef, said: Mapping[Field, Any], points: Mapping[Channel, StoredPoint]) -> Person:
    """A person as the rules see them. For the switch of everything, the word of the contact points counts too."""
    seen = person(user, said, {channel: stored.point for channel, stored in points.items()})
    if all(stored.global_enabled for stored in points.values()):
        return seen
    return evolve(seen, global_enabled=False)


def fields_of(packed: Mapping[Field, Sequence[Any]]) -> Mapping[Field, Known]:
    """The fields of a profile as stored."""
    return {name: Known(value, Source(source), moment(at)) for name, (value, source, at) in packed.items()}


async def _check_versions(connection: Connection, profiles: Sequence[Profile]) -> None:
    """Lock the profiles and see that each is the one that was read; a new one is seen to when it is written."""
    rows = await fetch(connection, _LOCK, users=[user_row(profile.user) for profile in _in_order(profiles)])
    held = {UserRef(tenant=row.tenant, user_id=row.user_id): row.version for row in rows}
    if any(held.get(profile.user, 0) != profile.version for profile in profiles):
        raise Conflict("a profile has changed since it was read")


def _locks(new: Mapping[PointKey, ContactPoint], lookups: Mapping[Address, bytes]) -> Iterable[int]:
    for (user, _), point in new.items():
        if point.address:
            yield address_lock(user.tenant, lookups[point.address])
            yield user_lock(user)


def _addresses(new: Mapping[PointKey, ContactPoint], lookups: Mapping[Address, bytes]) -> set[AddressKey]:
    return {(user.tenant, channel, lookups[point.address]) for (user, channel), point in new.items() if point.address}


def _in_order(profiles: Sequence[Profile]) -> list[Profile]:
    return sorted(profiles, key=lambda profile: (profile.user.tenant, profile.user.user_id))


def _place(user: UserRef) -> tuple[str, ...]:
    return "user_preferences", user.tenant, user.user_id


def _packed(known: Known) -> tuple[Any, int, datetime]:
    return known.value, known.source, known.at
