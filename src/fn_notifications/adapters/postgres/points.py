"""Contact points as rows: read, locked, written. The one place that consent is read from and written to."""

from collections.abc import Collection, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final

from attrs import frozen

from fn_notifications.adapters.postgres.pool import Connection, execute, fetch
from fn_notifications.adapters.postgres.rows import Row
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.domain.address import Channel
from fn_notifications.domain.caps import Cap
from fn_notifications.domain.identity import digest
from fn_notifications.domain.preferences import ContactPoint, Suppression, UserRef

PointKey = tuple[UserRef, Channel]

_OF_USERS: Final = """
SELECT p.*
FROM json_to_recordset(%(users)s) AS i (tenant text, user_id text)
CROSS JOIN LATERAL (
    SELECT * FROM contact_points p WHERE p.tenant = i.tenant AND p.user_id = i.user_id ORDER BY p.channel
) AS p
"""

_OF_USERS_LOCKED: Final = _OF_USERS.replace("ORDER BY p.channel", "ORDER BY p.channel FOR NO KEY UPDATE")

# One lock mode for all. A share lock would have to be raised for those with a cap, whose sends are counted here: two
# transactions that raise theirs wait for each other.
_LOCKED: Final = """
SELECT i.nth, p.*, fn_now() AS at
FROM ROWS FROM (json_to_recordset(%(points)s) AS (tenant text, user_id text, channel text))
     WITH ORDINALITY AS i (tenant, user_id, channel, nth)
CROSS JOIN LATERAL (
    SELECT * FROM contact_points p
    WHERE p.tenant = i.tenant AND p.user_id = i.user_id AND p.channel = i.channel
    FOR NO KEY UPDATE
) AS p
"""

_WRITE: Final = """
INSERT INTO contact_points
    (tenant, user_id, channel, address, lookup, enabled, opt_in, respects_quiet_hours, cap_count, cap_window_s,
     suppression_cause, suppressed_at, consent_epoch, recent, global_enabled)
SELECT tenant, user_id, channel, address, lookup, enabled, opt_in, respects_quiet_hours, cap_count, cap_window_s,
       suppression_cause, suppressed_at, consent_epoch, recent, global_enabled
FROM json_populate_recordset(NULL::contact_points, %(points)s)
ON CONFLICT (tenant, user_id, channel) DO UPDATE SET
    address = excluded.address, lookup = excluded.lookup, enabled = excluded.enabled, opt_in = excluded.opt_in,
    respects_quiet_hours = excluded.respects_quiet_hours, cap_count = excluded.cap_count,
    cap_window_s = excluded.cap_window_s, suppression_cause = excluded.suppression_cause,
    suppressed_at = excluded.suppressed_at, consent_epoch = excluded.consent_epoch, recent = excluded.recent,
    global_enabled = excluded.global_enabled
"""

_ADVISORY: Final = "SELECT pg_advisory_xact_lock(i.key) FROM json_to_recordset(%(locks)s) AS i (key bigint)"


@frozen(kw_only=True)
class StoredPoint:
    """A contact point with what only its row knows."""

    point: ContactPoint
    global_enabled: bool
    """The user's switch for everything, copied to where consent is read."""
    sealed: bytes | None
    """The address."""
    lookup: bytes | None


@frozen
class Points:
    """Contact points in their table."""

    seals: Seals

    async def of(
        self, connection: Connection, users: Collection[UserRef], *, locked: bool = False
    ) -> Mapping[UserRef, Mapping[Channel, StoredPoint]]:
        """All contact points of these users; `locked`, in order of their keys."""
        rows = await self.rows(connection, users, locked=locked)
        return {user: {row.channel: self.opened(row) for row in mine} for user, mine in rows.items()}

    async def rows(
        self, connection: Connection, users: Collection[UserRef], *, locked: bool = False
    ) -> Mapping[UserRef, Sequence[Row]]:
        """As `of`, still to be opened."""
        statement = _OF_USERS_LOCKED if locked else _OF_USERS
        rows: dict[UserRef, list[Row]] = {}
        for row in await fetch(connection, statement, users=[user_row(user) for user in sorted_users(users)]):
            rows.setdefault(UserRef(tenant=row.tenant, user_id=row.user_id), []).append(row)
        return rows

    async def lock(self, connection: Connection, keys: Collection[PointKey]) -> dict[PointKey, Row]:
        """Lock these contact points, in order of their keys; they are still to be opened. `at` is when, by the store.

        No opt-out commits now until this transaction ends.
        """
        ordered = sorted(set(keys), key=lambda key: (key[0].tenant, key[0].user_id, key[1]))
        batch = [{**user_row(user), "channel": channel} for user, channel in ordered]
        return {ordered[row.nth - 1]: row for row in await fetch(connection, _LOCKED, points=batch)}

    async def write(self, connection: Connection, points: Mapping[PointKey, StoredPoint]) -> None:
        """Store contact points, which are locked or new."""
        if points:
            ordered = sorted(points, key=lambda key: (key[0].tenant, key[0].user_id, key[1]))
            await execute(connection, _WRITE, points=[_row(key[0], points[key]) for key in ordered])

    def opened(self, row: Row) -> StoredPoint:
        """A row as a value. Raises `VaultError` when its address cannot be opened."""
        cap = Cap(count=row.cap_count, window=timedelta(seconds=row.cap_window_s)) if row.cap_count else None
        suppression = row.suppression_cause and Suppression(cause=row.suppression_cause, at=row.suppressed_at)
        address = row.address and self.seals.open_address(
            row.address, *address_place(row.tenant, row.user_id, row.channel)
        )
        return StoredPoint(
            point=ContactPoint(
                channel=Channel(row.channel),
                address=address,
                enabled=row.enabled,
                opt_in=row.opt_in,
                respects_quiet_hours=row.respects_quiet_hours,
                cap=cap,
                suppression=suppression,
                epoch=row.consent_epoch,
                recent=tuple(row.recent),
            ),
            global_enabled=row.global_enabled,
            sealed=row.address,
            lookup=row.lookup,
        )


def _row(user: UserRef, stored: StoredPoint) -> dict[str, Any]:
    point = stored.point
    return {
        **user_row(user),
        "channel": point.channel,
        "address": stored.sealed,
        "lookup": stored.lookup,
        "enabled": point.enabled,
        "opt_in": point.opt_in,
        "respects_quiet_hours": point.respects_quiet_hours,
        "cap_count": point.cap and point.cap.count,
        "cap_window_s": point.cap and point.cap.window // timedelta(seconds=1),
        "suppression_cause": point.suppression and point.suppression.cause,
        "suppressed_at": point.suppression and point.suppression.at,
        "consent_epoch": point.epoch,
        "recent": point.recent,
        "global_enabled": stored.global_enabled,
    }


def address_place(tenant: str, user_id: str, channel: str) -> tuple[str, ...]:
    """What a contact point's address is sealed for."""
    return "contact_points", tenant, user_id, channel


def user_row(user: UserRef) -> dict[str, str]:
    """The key of a user."""
    return {"tenant": user.tenant, "user_id": user.user_id}


def sorted_users(users: Collection[UserRef]) -> list[UserRef]:
    """Without repeats, in the order in which rows of users are locked."""
    return sorted(set(users), key=lambda user: (user.tenant, user.user_id))


def user_lock(user: UserRef) -> int:
    """What serialises "a contact point came" with "a delivery waits for one": neither sees the other's rows yet."""
    return _lock("user", user.tenant, user.user_id)


def address_lock(tenant: str, lookup: bytes) -> int:
    """What serialises suppressing an address with somebody's taking it on: likewise."""
    return _lock("address", tenant, lookup)


async def take_locks(connection: Connection, locks: Collection[int]) -> None:
    """Take advisory locks until the end of the transaction, in order."""
    if locks:
        await execute(connection, _ADVISORY, locks=[{"key": lock} for lock in sorted(set(locks))])


def _lock(*named: str | bytes) -> int:
    return int.from_bytes(digest("lock", *named)[:8], "big", signed=True)
