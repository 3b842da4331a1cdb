"""A notification's status: the first, in an order people would want to know it, that fits any of its deliveries."""

from itertools import combinations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.catalogue import InDoubt, Priority
from fn_notifications.domain.commands import Remedy
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification, notification_status
from fn_notifications.domain.preferences import UserRef
from fn_notifications.domain.remedy import remedy
from fn_notifications.testing.histories import START, TTL, deliveries, new_delivery

ORDER = [
    {Status.PENDING, Status.SENDING},
    {Status.IN_DOUBT},
    {Status.DELIVERED},
    {Status.SENT},
    {Status.UNCONFIRMED},
    {Status.FAILED},
    {Status.EXPIRED},
    {Status.CANCELLED},
    {Status.SKIPPED},
]

NOTIFICATION = Notification(
    id=new_delivery().key.notification_id,
    user=UserRef(tenant="default", user_id="ada"),
    type="urgent_claim",
    priority=Priority.URGENT,
    event_at=START,
    created_at=START,
    expires_at=START + TTL,
    catalogue="1",
    identity=b"event",
)


def test_the_first_that_fits_wins() -> None:
    for earlier, later in combinations(ORDER, 2):
        for one in earlier:
            for other in later:
                shown = Status.PENDING if one is Status.SENDING else one
                assert notification_status(frozenset({one, other})) is shown


@given(st.frozensets(st.sampled_from(Status), min_size=1))
def test_the_status_is_that_of_a_delivery_and_sending_shows_as_pending(deliveries: frozenset[Status]) -> None:
    status = notification_status(deliveries)
    assert status in deliveries or (status is Status.PENDING and Status.SENDING in deliveries)


def test_without_a_delivery_it_was_skipped() -> None:
    assert notification_status(frozenset()) is Status.SKIPPED


@given(st.lists(deliveries(), min_size=1, max_size=3).map(tuple))
def test_it_is_derived_from_the_deliveries(each: tuple[Delivery, ...]) -> None:
    status = evolve(NOTIFICATION, deliveries=each).status
    assert status is notification_status(frozenset(delivery.status for delivery in each))


@pytest.mark.parametrize("other", Status)
@pytest.mark.parametrize(("policy", "answer"), [(InDoubt.RESEND, Remedy.RESEND), (InDoubt.HOLD, Remedy.HOLD)])
def test_a_doubt_is_resent_or_held_as_the_type_says(policy: InDoubt, answer: Remedy, other: Status) -> None:
    assert remedy(policy, *doubtful(other)) is answer


@pytest.mark.parametrize("other", Status)
def test_a_doubt_is_resent_if_alone_only_when_no_other_channel_arrived(other: Status) -> None:
    arrived = other in {Status.SENT, Status.DELIVERED}
    assert remedy(InDoubt.RESEND_IF_ALONE, *doubtful(other)) is (Remedy.HOLD if arrived else Remedy.RESEND)


@pytest.mark.parametrize("status", Status)
def test_its_own_delivery_keeps_a_doubt_no_company(status: Status) -> None:
    only = evolve(new_delivery(), status=status)
    assert remedy(InDoubt.RESEND_IF_ALONE, evolve(NOTIFICATION, deliveries=(only,)), only) is Remedy.RESEND


def doubtful(other: Status) -> tuple[Notification, Delivery]:
    """The notification with one delivery in doubt and one more, and the one in doubt."""
    mine, company = evolve(new_delivery(1), status=Status.IN_DOUBT), evolve(new_delivery(2), status=other)
    return evolve(NOTIFICATION, deliveries=(company, mine)), mine
