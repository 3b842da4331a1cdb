"""The inbox of reports in PostgreSQL."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress as ignored
from datetime import datetime, timedelta
from typing import Any, Final
from uuid import UUID

from attrs import field, frozen

from fn_notifications.adapters.postgres.aggregates import Aggregates, Locked, NotificationKey, Whole, store_time
from fn_notifications.adapters.postgres.changes import Changed, unchanged, write
from fn_notifications.adapters.postgres.pool import Connection, Database, execute, fetch
from fn_notifications.adapters.postgres.rows import Row
from fn_notifications.adapters.postgres.sealing import Seals
from fn_notifications.adapters.postgres.suppressions import suppress
from fn_notifications.application.ports.people import OptOut
from fn_notifications.application.ports.receipts import Applied, Judge
from fn_notifications.application.ports.vault import VaultError
from fn_notifications.domain.address import Channel
from fn_notifications.domain.delivery import DeliveryKey, decide
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.identity import attempt_id, digest, parse_attempt_id
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.receipts import CAUSES, Receipt, ReceiptKind

EARLY: Final = timedelta(minutes=5)
"""How long a receipt waits for its attempt to become known."""

_NONE: Final = UUID(int=0)
_MOST: Final = 2**15 - 1

_STORE: Final = """
WITH stored AS (
    INSERT INTO receipts
        (tenant, notification_id, key, provider, provider_key, kind, at, received_at, look_at, delivery_no, attempt_no,
         attempt_id, provider_id, channel, code, hard, applied, address)
    SELECT tenant, notification_id, key, provider, provider_key, kind, at, t.now, t.now, delivery_no, attempt_no,
           attempt_id, provider_id, channel, code, hard, false, address
    FROM json_populate_recordset(NULL::receipts, %(receipts)s), (SELECT fn_now() AS now) AS t
    ON CONFLICT (tenant, notification_id, key) DO NOTHING
    RETURNING tenant, notification_id
), counted AS (
    INSERT INTO reported AS r (tenant, day, part, amount)
    SELECT tenant, fn_day(notification_id), pg_backend_pid() %% 32, count(*) FROM stored GROUP BY 1, 2 ORDER BY 2
    ON CONFLICT (tenant, day, part) DO UPDATE SET amount = r.amount + excluded.amount
)
SELECT 1 FROM stored
"""

_REPORTED: Final = """
INSERT INTO reporters (tenant, provider, first_at)
SELECT %(tenant)s, provider, (SELECT fn_now()) FROM json_to_recordset(%(providers)s) AS i (provider text)
ON CONFLICT (tenant, provider) DO NOTHING
"""

_REPORTING: Final = "SELECT provider FROM reporters WHERE tenant = %(tenant)s"

_TAKE: Final = """
SELECT * FROM receipts r
WHERE r.look_at <= (SELECT fn_now())
ORDER BY r.look_at LIMIT %(limit)s
FOR NO KEY UPDATE SKIP LOCKED
"""

# An update that always finds its rows by their key: they are there and locked, so each is a conflict.
_SETTLE: Final = """
INSERT INTO receipts
    (tenant, notification_id, key, provider, provider_key, kind, at, received_at, look_at, hard, applied)
SELECT tenant, notification_id, key, '', '', '', look.now, look.now, look_at, false, applied
FROM json_populate_recordset(NULL::receipts, %(receipts)s), (SELECT fn_now() AS now) AS look
ON CONFLICT (tenant, notification_id, key) DO UPDATE SET applied = excluded.applied, look_at = excluded.look_at
"""


@frozen
class PostgresReceipts:
    """The Receipts port, for the tenant whose provider accounts report here."""

    database: Database
    seals: Seals
    tenant: str
    _reporting: set[str] = field(factory=set, init=False)
    """Providers known to be among `reporters`, so that few reports have to look."""

    async def receive(self, receipts: Sequence[Receipt]) -> int:
        """See the port."""
        # In order of their keys: two deliveries of one webhook call at once wait for each other, not in a circle.
        rows = sorted(map(self._row, receipts), key=lambda row: (row["notification_id"], row["key"]))
        first = sorted({receipt.provider for receipt in receipts} - self._reporting)

        async def work(connection: Connection) -> int:
            if first:
                providers = [{"provider": provider} for provider in first]
                await execute(connection, _REPORTED, tenant=self.tenant, providers=providers)
            return len(await fetch(connection, _STORE, receipts=rows))

        stored = await self.database.run(work, often=True) if rows else 0
        self._reporting.update(first)
        return stored

    async def reporting(self) -> frozenset[str]:
        """See the port."""

        async def work(connection: Connection) -> frozenset[str]:
            return frozenset(row.provider for row in await fetch(connection, _REPORTING, tenant=self.tenant))

        return await self.database.run(work)

    async def apply(self, limit: int, judge: Judge) -> Applied:
        """See the port. Whether its attempt is known or not, what a receipt says of its address holds at once."""

        async def work(connection: Connection) -> Applied:
            rows = await fetch(connection, _TAKE, limit=limit)
            return await self._apply(connection, rows, judge) if rows else Applied()

        return await self.database.run(work, often=True)

    async def _apply(self, connection: Connection, rows: Sequence[Row], judge: Judge) -> Applied:
        taken = [(row, self._opened(row)) for row in rows]
        aggregates = Aggregates(self.seals)
        named = {key for row, _ in taken if (key := _key(row))}
        locked = await aggregates.lock(connection, named)
        wholes = await aggregates.read(connection, {(key.tenant, key.notification_id) for key in locked}, opened=False)
        now = await store_time(connection)
        changes: dict[DeliveryKey, Changed] = {}
        settled: list[dict[str, Any]] = []
        for row, receipt in taken:
            change = _current(_key(row), changes, locked, wholes)
            known = change is not None and row.attempt_no <= len(change.after.attempts)
            if receipt and change and known:
                changes[change.before.key] = _judged(change, receipt, judge, now)
            settled.append(_settled(row, now, applied=receipt is not None and (known or receipt.attempt_id is None)))
        await suppress(connection, self.seals, list(self._opt_outs(receipt for _, receipt in taken if receipt)))
        await write(connection, [one for one in changes.values() if one.events], now, reported=True)
        await execute(connection, _SETTLE, receipts=settled)
        applied = sum(one["applied"] for one in settled)
        waiting = sum(one["look_at"] is not None for one in settled)
        return Applied(
            applied=applied,
            waiting=waiting,
            parked=len(settled) - applied - waiting,
            resolved=sum(
                one.before.status is Status.IN_DOUBT and one.after.status is not Status.IN_DOUBT
                for one in changes.values()
            ),
        )

    def _opt_outs(self, receipts: Iterable[Receipt]) -> Iterable[OptOut]:
        for receipt in receipts:
            lifted = receipt.kind is ReceiptKind.OPTED_IN
            if receipt.channel is not None and receipt.address is not None and (receipt.suppresses or lifted):
                yield OptOut(
                    tenant=self.tenant,
                    channel=receipt.channel,
                    address=receipt.address,
                    cause=CAUSES[receipt.kind],
                    at=receipt.at,
                    lifted=lifted,
                )

    def _opened(self, row: Row) -> Receipt | None:
        """The receipt; None when its address cannot be opened, which is waited for as for an attempt."""
        with ignored(VaultError):
            return receipt_of(row, self.seals)
        return None

    def _row(self, receipt: Receipt) -> dict[str, Any]:
        notification_id, delivery_no, attempt_no = _named(receipt) or (_NONE, None, None)
        key = digest("receipt", receipt.provider, receipt.key)
        address = receipt.address
        return {
            "tenant": self.tenant,
            "notification_id": notification_id,
            "key": key,
            "provider": receipt.provider,
            "provider_key": receipt.key,
            "kind": receipt.kind,
            "at": receipt.at,
            "delivery_no": delivery_no,
            "attempt_no": attempt_no,
            "attempt_id": receipt.attempt_id if delivery_no is None else None,
            "provider_id": receipt.provider_id,
            "channel": receipt.channel,
            "code": receipt.code,
            "hard": receipt.hard,
            "address": self.seals.seal_address(address, *_place(self.tenant, key)) if address else None,
        }


def receipt_of(row: Row, seals: Seals) -> Receipt:
    """A receipt as stored."""
    return Receipt(
        provider=row.provider,
        key=row.provider_key,
        kind=ReceiptKind(row.kind),
        at=row.at,
        attempt_id=_attempt_of(row),
        provider_id=row.provider_id,
        channel=row.channel and Channel(row.channel),
        address=row.address and seals.open_address(row.address, *_place(row.tenant, row.key)),
        code=row.code,
        hard=row.hard,
    )


def _named(receipt: Receipt) -> tuple[UUID, int, int] | None:
    """The attempt a receipt names, if it can be one of ours."""
    named = parse_attempt_id(receipt.attempt_id or "")
    return named if named and max(named[1:]) <= _MOST else None


def _attempt_of(row: Row) -> str | None:
    if row.delivery_no is None:
        name: str | None = row.attempt_id
        return name
    return attempt_id(row.notification_id, row.delivery_no, row.attempt_no)


def _place(tenant: str, key: bytes) -> tuple[str, ...]:
    return "receipts", tenant, key.hex()


def _key(row: Row) -> DeliveryKey | None:
    if row.delivery_no is None:
        return None
    return DeliveryKey(tenant=row.tenant, notification_id=row.notification_id, no=row.delivery_no)


def _current(
    key: DeliveryKey | None,
    changes: Mapping[DeliveryKey, Changed],
    locked: Mapping[DeliveryKey, Locked],
    wholes: Mapping[NotificationKey, Whole],
) -> Changed | None:
    """A delivery as this round has left it so far; None when there is no such delivery."""
    if key is None or key not in locked:
        return None
    return changes.get(key) or unchanged(wholes[key.tenant, key.notification_id], key, locked[key].place)


def _settled(row: Row, now: datetime, *, applied: bool) -> dict[str, Any]:
    """What becomes of a receipt. The longer it waits, the more rarely it is looked at: what it waits for, if anything,
    is a commit of ours that is seconds away.
    """
    age = now - row.received_at
    look_at = None if applied or age >= EARLY else now + max(timedelta(seconds=1), age / 2)
    return {
        "tenant": row.tenant,
        "notification_id": row.notification_id,
        "key": row.key,
        "applied": applied,
        "look_at": look_at,
    }


def _judged(change: Changed, receipt: Receipt, judge: Judge, now: datetime) -> Changed:
    command = judge(change.after, receipt, now)
    if command is None:
        return change
    with ignored(IllegalTransition):
        return change.then(decide(change.after, command, now))
    return change
