"""A small engine on memory parts, with a clock that only tests move."""

from datetime import UTC, datetime, timedelta

import pytest
from attrs import define

from fn_notifications import EMAIL, SMS, InDoubt, NotificationType, Priority
from fn_notifications.entrypoints.library import MemoryEngine

START = datetime(2026, 6, 1, 12, tzinfo=UTC)


@define
class Clock:
    """Time that stands still until it is moved."""

    now: datetime = START

    def __call__(self) -> datetime:
        return self.now

    def advance(self, **span) -> None:
        self.now += timedelta(**span)


TYPES = (
    NotificationType(name="shipped", channels=(EMAIL, SMS), required=("order",), in_doubt=InDoubt.RESEND),
    NotificationType(name="invoice", channels=(EMAIL,), required=("order",)),
    NotificationType(name="alarm", channels=(SMS, EMAIL), priority=Priority.URGENT),
)
TEMPLATES = {
    "shipped": {"subject": "Order {order}", "text": "Order {order} is on its way."},
    "invoice": {"subject": "Invoice {order}", "text": "For order {order}."},
    "alarm": {"subject": "Alarm", "text": "Come quickly."},
}


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def engine(clock) -> MemoryEngine:
    return MemoryEngine(types=TYPES, templates=TEMPLATES, clock=clock, chance=lambda: 0.5)


@pytest.fixture
def engine_with(clock):
    """An engine whose email goes to a given sender."""

    def make(sender, templates=TEMPLATES) -> MemoryEngine:
        return MemoryEngine(types=TYPES, templates=templates, clock=clock, chance=lambda: 0.5, senders={EMAIL: sender})

    return make
