"""Rule 8: which of a channel's routes carries the next attempt."""

from collections.abc import Sequence

from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain.catalogue import NotificationType
from fn_notifications.domain.delivery import Delivery
from fn_notifications.domain.events import Attempt, Evidence
from fn_notifications.domain.failover import next_route
from fn_notifications.domain.outcome import Scope
from fn_notifications.testing.histories import START, deliveries, new_delivery

TYPE = NotificationType(name="urgent_claim")
LENIENT = evolve(TYPE, duplicates_allowed=True)
ORDER = ("first", "second", "third")
usable_routes = st.sets(st.sampled_from(ORDER))


def tried(*answers: tuple[str, Evidence]) -> Delivery:
    """A delivery with an attempt for each route and what is known of it."""
    attempts = tuple(
        Attempt(no=no, id=str(no), route=route, started_at=START, epoch=0, evidence=evidence)
        for no, (route, evidence) in enumerate(answers, start=1)
    )
    return evolve(new_delivery(), attempts=attempts)


def test_the_first_usable_route_carries_the_first_attempt() -> None:
    assert next_route(tried(), TYPE, ORDER, ORDER) == "first"
    assert next_route(tried(), TYPE, ORDER, {"third", "second"}) == "second"


def test_it_waits_when_no_route_is_usable() -> None:
    assert next_route(tried(), TYPE, ORDER, ()) is None
    assert next_route(tried(), TYPE, (), ORDER) is None


def test_a_route_that_proved_the_message_unsent_goes_behind_those_that_did_not() -> None:
    refused = ("first", Evidence.UNSENT)
    assert next_route(tried(refused), TYPE, ORDER, ORDER) == "second"
    assert next_route(tried(refused), TYPE, ORDER, {"first"}) == "first"
    everyone = [(route, Evidence.UNSENT) for route in ORDER]
    assert next_route(tried(*everyone), TYPE, ORDER, ORDER) == "first"
    assert next_route(tried(*everyone, refused), TYPE, ORDER, ORDER) == "second"


def test_a_route_is_no_worse_for_a_message_that_was_in_bad_company() -> None:
    delivery = tried(("first", Evidence.UNSENT))
    outvoted = evolve(delivery, attempts=(evolve(delivery.attempts[0], scope=Scope.BATCH),))
    assert next_route(outvoted, TYPE, ORDER, ORDER) == "first"
    assert (outvoted.waits, delivery.waits) == (0, 1)


def test_while_an_attempt_is_in_doubt_only_its_own_route_may_be_tried() -> None:
    doubtful = tried(("second", Evidence.IN_DOUBT))
    assert next_route(doubtful, TYPE, ORDER, ORDER) == "second"
    assert next_route(doubtful, TYPE, ORDER, {"first", "third"}) is None


def test_a_type_that_accepts_duplicates_goes_on_with_another_route() -> None:
    doubtful = tried(("first", Evidence.IN_DOUBT))
    assert next_route(doubtful, LENIENT, ORDER, {"second"}) == "second"


@given(deliveries(), st.permutations(("first", "second", "third")), usable_routes)
def test_a_route_is_usable_or_none_and_never_crosses_a_doubt(
    delivery: Delivery, order: Sequence[str], usable: set[str]
) -> None:
    route = next_route(delivery, TYPE, order, usable)
    doubtful = {attempt.route for attempt in delivery.attempts if attempt.evidence is Evidence.IN_DOUBT}
    assert route in (usable & doubtful if doubtful else usable) or route is None
    assert (route is None) == (not usable & doubtful if doubtful else not usable)


@given(deliveries(), usable_routes.filter(bool))
def test_a_type_that_accepts_duplicates_waits_for_no_doubt(delivery: Delivery, usable: set[str]) -> None:
    assert next_route(delivery, LENIENT, ORDER, usable) in usable
