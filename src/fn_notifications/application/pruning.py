"""What is kept no longer, and what the store needs watching for."""

from datetime import timedelta
from typing import Final

from attrs import define, field, frozen

from fn_notifications.application.ports.eventlog import EventLog
from fn_notifications.application.ports.history import History
from fn_notifications.application.ports.storage import Keeping, Storage
from fn_notifications.application.ports.telemetry import Telemetry

OLD: Final = timedelta(minutes=5)
"""From here on a transaction is called old: nothing that died since it began can be cleared away."""
_LEDGER_DAYS: Final = 2
"""How far back the ledger is read again and again: what the event log is kept for."""


@frozen(kw_only=True)
class Pruning:
    """Throws away what is past its time, a bounded round after another."""

    storage: Storage
    keeping: Keeping
    telemetry: Telemetry
    batch: int = 5_000

    async def once(self) -> int:
        """One round. Returns how much went; 0: nothing is left that may go."""
        pruned = await self.storage.prune(self.keeping, self.batch)
        for what, amount in pruned.amounts.items():
            self.telemetry.count("storage.pruned", amount, what=what)
        for what, amount in pruned.held.items():
            self.telemetry.gauge("storage.held", amount, what=what)
        return sum(pruned.amounts.values())


@define(kw_only=True)
class Watch:
    """Measures what nobody would notice before it hurts; says once when it begins to, and once when it is over."""

    storage: Storage
    log: EventLog
    history: History
    telemetry: Telemetry
    tenant: str
    keeping: Keeping
    old: timedelta = OLD
    _alarms: set[str] = field(factory=set, init=False)

    async def once(self) -> int:
        """Look at the store and at the log."""
        vitals = await self.storage.vitals()
        age = vitals.oldest_transaction
        self.telemetry.gauge("storage.oldest_transaction", age.total_seconds())
        self.telemetry.gauge("storage.queue_dead", vitals.queue_dead)
        self._alarm("storage.old_transaction", on=age >= self.old, seconds=round(age.total_seconds()))
        backlog = await self.log.backlog()
        self.telemetry.gauge("eventlog.unpublished", backlog.entries)
        self.telemetry.gauge("eventlog.lag", backlog.lag.total_seconds())
        self._alarm("eventlog.behind", on=backlog.lag >= self.keeping.log, entries=backlog.entries)
        return 0

    async def balance(self) -> int:
        """Read the accounts of the last days."""
        ledger = await self.history.ledger(self.tenant, _LEDGER_DAYS)
        for account in ledger.accounts:
            self.telemetry.gauge("ledger.off", abs(account.off), equation=account.equation)
            self._alarm(f"ledger.off.{account.equation}", on=account.off != 0, off=account.off)
        return 0

    def _alarm(self, what: str, *, on: bool, **fields: int) -> None:
        if on and what not in self._alarms:
            self._alarms.add(what)
            self.telemetry.log("error", what, **fields)
        elif not on and what in self._alarms:
            self._alarms.remove(what)
            self.telemetry.log("info", f"{what}.over")
