"""Reports back: what a receipt asks of its delivery, and the loop that applies them."""

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import partial

from attrs import frozen

from fn_notifications.application.ports.receipts import Applied, Receipts
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.commands import Command, Report
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.events import Finding
from fn_notifications.domain.identity import parse_attempt_id
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.receipts import EVIDENCE, Receipt, ReceiptKind

AskAfter = Callable[[str], timedelta | None]
"""When a route's provider is asked about what it took (see `Doubts.ask_after`)."""


def _never(_: str) -> None:
    return None


def judge(delivery: Delivery, receipt: Receipt, now: datetime, ask_after: AskAfter = _never) -> Command | None:
    """The report as a finding about its attempt; None when it proves nothing or names no attempt (an inbound STOP)."""
    named = parse_attempt_id(receipt.attempt_id or "")
    evidence = EVIDENCE.get(receipt.kind)
    if named is None or evidence is None or not 1 <= named[2] <= len(delivery.attempts):
        return None
    return Report(
        finding=Finding(no=named[2], evidence=evidence, at=now, code=receipt.code, provider_id=receipt.provider_id),
        reason=Reason.OPTED_OUT if receipt.kind is ReceiptKind.OPTED_OUT else None,
        ask_after=ask_after(delivery.attempt(named[2]).route),
    )


@frozen(kw_only=True)
class ApplyReceipts:
    """Applies what webhooks stored."""

    receipts: Receipts
    telemetry: Telemetry
    ask_after: AskAfter = _never
    batch: int = 250
    """Few enough that a process which also sends never stands still for long."""

    async def once(self) -> Applied:
        """One round."""
        applied = await self.receipts.apply(self.batch, partial(judge, ask_after=self.ask_after))
        if applied.applied:
            self.telemetry.count("receipts.applied", applied.applied)
        if applied.resolved:
            self.telemetry.count("doubts.resolved", applied.resolved, by="report")
        if applied.parked:
            self.telemetry.count("receipts.parked", applied.parked)
        return applied

    async def step(self) -> int:
        """One round, as a loop wants it: how many were dealt with."""
        applied = await self.once()
        return applied.applied + applied.parked
