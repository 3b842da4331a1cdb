"""A notification's status: the first, in an order people would want to know it, that fits any of its deliveries."""

from itertools import combinations

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.catalogue import InDoubt
from fn_notifications.domain.commands import Remedy
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.lifecycle import Status
from fn_notifications.domain.notification import Notification, notification_status
from fn_notifications.domain.remedy import remedy
from fn_notifications.testing.histories import deliveries
from fn_notifications.testing.strategies import notifications

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


@given(notifications(), st.lists(deliveries(), min_size=1, max_size=3))
def test_it_is_derived_from_the_deliveries(notification: Notification, each: list[Delivery]) -> None:
    status = evolve(notification, deliveries=tuple(each)).status
    assert status is notification_status(frozenset(delivery.status for delivery in each))


@pytest.mark.parametrize(("policy", "answer"), [(InDoubt.RESEND, Remedy.RESEND), (InDoubt.HOLD, Remedy.HOLD)])
@given(notification=notifications(), other=st.sampled_from(Status))
def test_a_doubt_is_resent_or_held_as_the_type_says(
    policy: InDoubt, answer: Remedy, notification: Notification, other: Status
) -> None:
    assert remedy(policy, *doubtful(notification, other)) is answer


@given(notifications(), st.sampled_from(Status))
def test_a_doubt_is_resent_if_alone_only_when_no_other_channel_arrived(
    notification: Notification, other: Status
) -> None:
    arrived = other in (Status.SENT, Status.DELIVERED)
    assert remedy(InDoubt.RESEND_IF_ALONE, *doubtful(notification, other)) is (
        Remedy.HOLD if arrived else Remedy.RESEND
    )


@given(notifications(), st.sampled_from(Status))
def test_its_own_delivery_keeps_a_doubt_no_company(notification: Notification, status: Status) -> None:
    only = evolve(notification.deliveries[0], status=status)
    assert remedy(InDoubt.RESEND_IF_ALONE, evolve(notification, deliveries=(only,)), only) is Remedy.RESEND


def doubtful(notification: Notification, other: Status) -> tuple[Notification, Delivery]:
    """The notification with one delivery in doubt and one more, and the one in doubt."""
    first = notification.deliveries[0]
    mine = evolve(first, status=Status.IN_DOUBT)
    company = evolve(first, key=evolve(first.key, no=first.key.no + 1), status=other)
    return evolve(notification, deliveries=(company, mine)), mine
