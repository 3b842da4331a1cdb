"""Reports back: what a receipt asks of its delivery, and the loop that applies them."""

from datetime import datetime

from attrs import frozen

from fn_notifications.application.ports.receipts import Applied, Receipts
from fn_notifications.application.ports.telemetry import Telemetry
from fn_notifications.domain.commands import Command, Report
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.events import Finding
from fn_notifications.domain.identity import parse_attempt_id
from fn_notifications.domain.receipts import EVIDENCE, Receipt


def judge(delivery: Delivery, receipt: Receipt, now: datetime) -> Command | None:
    """The report as a finding about its attempt; None when it proves nothing (an inbound STOP) or names no attempt."""
    named = parse_attempt_id(receipt.attempt_id or "")
    evidence = EVIDENCE.get(receipt.kind)
    if named is None or evidence is None or not 1 <= named[2] <= len(delivery.attempts):
        return None
    return Report(
        finding=Finding(no=named[2], evidence=evidence, at=now, code=receipt.code, provider_id=receipt.provider_id)
    )


@frozen(kw_only=True)
class ApplyReceipts:
    """Applies what webhooks stored."""

    receipts: Receipts
    telemetry: Telemetry
    batch: int = 500

    async def once(self) -> Applied:
        """One round."""
        applied = await self.receipts.apply(self.batch, judge)
        if applied.applied:
            self.telemetry.count("receipts.applied", applied.applied)
        if applied.parked:
            self.telemetry.count("receipts.parked", applied.parked)
        return applied

    async def step(self) -> int:
        """One round, as a loop wants it: how many were dealt with."""
        applied = await self.once()
        return applied.applied + applied.parked
