"""Opt-outs, in the caller's transaction: the latest word per address and cause, and every contact point it is about."""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final

from fn_notifications.adapters.postgres.points import address_lock, take_locks
from fn_notifications.adapters.postgres.pool import Connection, execute, fetch
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.application.ports.people import OptOut
from fn_notifications.domain.preferences import Suppression

AddressKey = tuple[str, str, bytes]
"""Tenant, channel, look-up hash."""

# A tie stays opted out: of two words of the same moment the one that does not lift ranks higher.
_RECORD: Final = """
INSERT INTO suppressions AS s (tenant, channel, lookup, cause, at, lifted)
SELECT tenant, channel, lookup, cause, at, lifted
FROM json_to_recordset(%(words)s) AS i (
    tenant text, channel text, lookup bytea, cause text, at timestamptz, lifted boolean)
ON CONFLICT (tenant, channel, lookup, cause) DO UPDATE SET at = excluded.at, lifted = excluded.lifted
WHERE (excluded.at, NOT excluded.lifted) > (s.at, NOT s.lifted)
RETURNING s.tenant, s.channel, s.lookup
"""

_IN_FORCE: Final = """
SELECT s.tenant, s.channel, s.lookup, s.cause, s.at
FROM json_to_recordset(%(addresses)s) AS i (tenant text, channel text, lookup bytea)
CROSS JOIN LATERAL (
    SELECT * FROM suppressions s
    WHERE s.tenant = i.tenant AND s.channel = i.channel AND s.lookup = i.lookup AND NOT s.lifted
    ORDER BY s.at DESC, s.cause LIMIT 1
) AS s
"""

# Found by address, locked in the order of their keys, as everybody locks them; by then one may have moved on.
_LOCK_POINTS: Final = """
WITH found AS MATERIALIZED (
    SELECT p.tenant, p.user_id, p.channel, p.lookup
    FROM json_to_recordset(%(addresses)s) AS i (tenant text, channel text, lookup bytea)
    CROSS JOIN LATERAL (
        SELECT p.tenant, p.user_id, p.channel, p.lookup FROM contact_points p
        WHERE p.tenant = i.tenant AND p.channel = i.channel AND p.lookup = i.lookup OFFSET 0
    ) AS p
    ORDER BY p.tenant, p.user_id, p.channel
)
SELECT p.tenant, p.user_id, p.channel, p.lookup
FROM found f
CROSS JOIN LATERAL (
    SELECT p.tenant, p.user_id, p.channel, p.lookup FROM contact_points p
    WHERE p.tenant = f.tenant AND p.user_id = f.user_id AND p.channel = f.channel AND p.lookup = f.lookup
    FOR NO KEY UPDATE
) AS p
"""

# An update that always finds its rows by their key: they are there and locked, so each is a conflict.
_SUPPRESS: Final = """
INSERT INTO contact_points AS p
    (tenant, user_id, channel, suppression_cause, suppressed_at, consent_epoch, recent, global_enabled)
SELECT tenant, user_id, channel, suppression_cause, suppressed_at, 0, '{}', true
FROM json_populate_recordset(NULL::contact_points, %(points)s)
ON CONFLICT (tenant, user_id, channel) DO UPDATE SET
    suppression_cause = excluded.suppression_cause, suppressed_at = excluded.suppressed_at,
    consent_epoch = p.consent_epoch + 1
WHERE (p.suppression_cause, p.suppressed_at)
    IS DISTINCT FROM (excluded.suppression_cause, excluded.suppressed_at)
"""


async def suppress(connection: Connection, seals: Seals, opt_outs: Sequence[OptOut]) -> int:
    """Apply opt-outs and lifts. Returns how many were the latest word."""
    words: dict[tuple[AddressKey, str], OptOut] = {}
    for opt_out in opt_outs:
        key = ((opt_out.tenant, opt_out.channel, seals.lookup(opt_out.address)), opt_out.cause)
        if key not in words or _rank(opt_out) > _rank(words[key]):
            words[key] = opt_out
    if not words:
        return 0
    await take_locks(connection, {address_lock(tenant, lookup) for ((tenant, _, lookup), _) in words})
    rows = [
        {
            **_address_row(address),
            "cause": cause,
            "at": words[address, cause].at,
            "lifted": words[address, cause].lifted,
        }
        for address, cause in sorted(words)
    ]
    changed = await fetch(connection, _RECORD, words=rows)
    await _tell_points(connection, {(row.tenant, row.channel, row.lookup) for row in changed})
    return len(changed)


async def in_force(connection: Connection, addresses: Collection[AddressKey]) -> dict[AddressKey, Suppression]:
    """Which of these addresses are suppressed, and why: of several causes, the latest."""
    if not addresses:
        return {}
    rows = await fetch(connection, _IN_FORCE, addresses=[_address_row(address) for address in sorted(addresses)])
    return {(row.tenant, row.channel, row.lookup): Suppression(cause=row.cause, at=row.at) for row in rows}


async def _tell_points(connection: Connection, addresses: Collection[AddressKey]) -> None:
    if not addresses:
        return
    force = await in_force(connection, addresses)
    rows = []
    for row in await fetch(connection, _LOCK_POINTS, addresses=[_address_row(one) for one in sorted(addresses)]):
        suppression = force.get((row.tenant, row.channel, row.lookup))
        rows.append(
            {
                "tenant": row.tenant,
                "user_id": row.user_id,
                "channel": row.channel,
                "suppression_cause": suppression and suppression.cause,
                "suppressed_at": suppression and suppression.at,
            }
        )
    await execute(connection, _SUPPRESS, points=rows)


def _rank(opt_out: OptOut) -> tuple[datetime, bool]:
    return opt_out.at, not opt_out.lifted


def _address_row(address: AddressKey) -> dict[str, Any]:
    tenant, channel, lookup = address
    return {"tenant": tenant, "channel": channel, "lookup": lookup}
