"""How many messages share a call."""

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.batches import batch_size
from fn_notifications.domain.catalogue import InDoubt, NotificationType, Priority
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.events import Attempt, Evidence
from fn_notifications.domain.outcome import Scope
from fn_notifications.testing.histories import START, deliveries, new_delivery
from fn_notifications.testing.strategies import notification_types

MOST = 10


def told(*scopes: Scope) -> Delivery:
    """A delivery whose attempts were all proved unsent, each for a reason."""
    attempts = tuple(
        Attempt(no=no, id=str(no), route="a/email", started_at=START, epoch=0, evidence=Evidence.UNSENT, scope=scope)
        for no, scope in enumerate(scopes, start=1)
    )
    return evolve(new_delivery(), attempts=attempts)


@pytest.mark.parametrize(
    ("priority", "in_doubt", "batch", "size"),
    [
        (Priority.NORMAL, InDoubt.RESEND, None, 10),
        (Priority.LOW, InDoubt.RESEND_IF_ALONE, None, 10),
        (Priority.NORMAL, InDoubt.HOLD, None, 1),
        (Priority.URGENT, InDoubt.RESEND, None, 1),
        (Priority.NORMAL, InDoubt.HOLD, 5, 5),
        (Priority.URGENT, InDoubt.HOLD, 2, 2),
        (Priority.NORMAL, InDoubt.RESEND, 5, 5),
        (Priority.NORMAL, InDoubt.RESEND, 500, 10),
    ],
)
def test_a_type_goes_in_company_unless_a_doubt_about_it_is_dear(
    priority: Priority, in_doubt: InDoubt, batch: int | None, size: int
) -> None:
    type_ = NotificationType(name="x", priority=priority, in_doubt=in_doubt, batch=batch)
    assert batch_size(type_, told(), MOST) == size


def test_bad_company_halves_it_until_it_goes_alone() -> None:
    type_ = NotificationType(name="x", in_doubt=InDoubt.RESEND)
    sizes = [batch_size(type_, told(*[Scope.BATCH] * times), MOST) for times in range(6)]
    assert sizes == [10, 5, 2, 1, 1, 1]
    assert batch_size(type_, told(Scope.ROUTE, Scope.RECIPIENT, Scope.BATCH), MOST) == 5


@given(notification_types(), deliveries(), st.integers(1, 1000))
def test_a_call_is_never_empty_nor_larger_than_its_route_takes(
    type_: NotificationType, delivery: Delivery, most: int
) -> None:
    assert 1 <= batch_size(type_, delivery, most) <= most
