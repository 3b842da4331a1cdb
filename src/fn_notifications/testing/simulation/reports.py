"""Reports of providers on their way: early, late, twice, in any order, or never."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable, Iterator
from typing import Final

from attrs import define, field

from fn_notifications.application.errors import PortError
from fn_notifications.application.ports.sending import Message
from fn_notifications.domain.address import Address, Channel
from fn_notifications.domain.events import Evidence
from fn_notifications.domain.receipts import EVIDENCE, Receipt, ReceiptKind
from fn_notifications.testing.simulation.clocks import true_time
from fn_notifications.testing.simulation.faults import Fault
from fn_notifications.testing.simulation.surroundings import Surroundings

K = ReceiptKind
_ENDS: Final = ((K.DELIVERED,), (K.DELIVERED,), (K.DEFERRED, K.DELIVERED), (K.DELIVERED, K.OPENED), (K.ACCEPTED,))
_TRIES: Final = 8
_PATIENCE: Final = 10.0
_FAR: Final = 12 * 3600.0


@define(eq=False, repr=False)
class Reports:
    """The providers' webhooks, as callers."""

    around: Surroundings
    post: Callable[[list[Receipt]], Awaitable[None]]
    """Store them at some process; raises, or never returns, when that one is in trouble."""
    _numbers: Iterator[int] = field(factory=lambda: itertools.count(1))
    _flying: set["asyncio.Task[None]"] = field(factory=set)

    def about(self, message: Message, route: str, taken: bool) -> Evidence:
        """Report on a message some time; on one that was not taken, wrongly. Returns how it ends."""
        dice = self.around.dice
        delay = self._delay()
        kinds = self._kinds(taken)
        for kind in kinds:
            if dice.strikes(Fault.REPORT_LOST):
                continue
            receipt = Receipt(
                provider=route.partition("/")[0],
                key=f"report-{next(self._numbers)}",
                kind=kind,
                at=true_time(),
                attempt_id=message.attempt_id,
                provider_id=f"{route}-{message.attempt_id}",
                channel=message.channel,
                address=message.to,
                hard=dice.chance() < 0.5,
            )
            self._send(receipt, delay)
            if dice.strikes(Fault.REPORT_TWICE):
                self._send(receipt, delay + 20 * dice.chance())
            delay = self._delay() if dice.strikes(Fault.REPORTS_SHUFFLED) else delay + 30 * dice.chance()
        return max(EVIDENCE[kind] for kind in kinds)

    def said(self, channel: Channel, address: Address, kind: ReceiptKind) -> None:
        """A person said STOP or START."""
        number = next(self._numbers)
        receipt = Receipt(
            provider="twin", key=f"word-{number}", kind=kind, at=true_time(), channel=channel, address=address
        )
        self._send(receipt, 2 * self.around.dice.chance())

    def _kinds(self, taken: bool) -> tuple[ReceiptKind, ...]:
        dice = self.around.dice
        if not taken:
            return (dice.random.choice((K.ACCEPTED, K.DELIVERED, K.FAILED)),)
        if dice.strikes(Fault.BOUNCE):
            return (dice.random.choice((K.BOUNCED, K.FAILED, K.DROPPED)),)
        if dice.strikes(Fault.COMPLAINT):
            return (K.DELIVERED, dice.random.choice((K.COMPLAINED, K.UNSUBSCRIBED)))
        return dice.random.choice(_ENDS)

    def _delay(self) -> float:
        dice = self.around.dice
        if dice.strikes(Fault.REPORT_EARLY):
            return 0.0
        if dice.strikes(Fault.REPORT_LATE):
            return 60 + _FAR * dice.chance() ** 3
        return 0.2 + 20 * dice.chance()

    def _send(self, receipt: Receipt, delay: float) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(receipt, delay), name=receipt.key)
        self._flying.add(task)
        task.add_done_callback(self._flying.discard)

    async def _deliver(self, receipt: Receipt, delay: float) -> None:
        """As providers do it: again and again for a while, then no more."""
        await asyncio.sleep(delay)
        for nth in range(_TRIES):
            if not self.around.weather.webhooks_out:
                try:
                    async with asyncio.timeout(_PATIENCE):
                        await self.post([receipt])
                except (PortError, TimeoutError):
                    pass
                else:
                    return
            await asyncio.sleep(2.0**nth * (0.5 + self.around.dice.chance()))

    @property
    def flying(self) -> int:
        """How many are on their way."""
        return len(self._flying)
