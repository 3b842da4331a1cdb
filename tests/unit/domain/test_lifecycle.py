"""The table is the machine: everything that happens is in it, and everything in it happens."""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from itertools import product
from random import Random
from typing import Any, get_args

import pytest
from attrs import evolve as changed
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.domain import events as e
from fn_notifications.domain.delivery import Delivery, evolve, status_of
from fn_notifications.domain.errors import IllegalTransition
from fn_notifications.domain.events import Event, Evidence, Finding
from fn_notifications.domain.lifecycle import OPEN, RELEASING, TRANSITIONS, Status
from fn_notifications.domain.reasons import Reason
from fn_notifications.testing.histories import START, Step, histories, history, new_delivery

Transition = tuple[Status | None, type[Event]]
STATUSES = (None, *Status)
EVENTS = get_args(Event)
FINDING = Finding(no=1, evidence=Evidence.UNSENT, at=START)
ATTEMPT = e.Attempt(no=1, id="attempt-1", route="first", started_at=START, epoch=0)
GIVEN: Mapping[str, Any] = {
    "at": START,
    "until": START,
    "due_at": START,
    "reason": Reason.RETRY,
    "finding": FINDING,
    "attempt": ATTEMPT,
    "no": 1,
    "ruling": e.Ruling.SENT,
    "note": "seen in the provider's console",
}


@cache
def lives() -> Sequence[tuple[Delivery, Event, Delivery]]:
    """Every event of 4000 lives, the same at each run, with the delivery before and after it."""
    return [change for seed in range(4000) for step in history(Random(seed).choice, 20) for change in changes(step)]


def changes(step: Step) -> Iterator[tuple[Delivery, Event, Delivery]]:
    state = step.before
    for event in step.events:
        after = evolve(state, event)
        yield state, event, after
        state = after


def seen() -> set[Transition]:
    return {(before.status, type(event)) for before, event, _ in lives()}


def test_everything_in_the_table_happens() -> None:
    assert set(TRANSITIONS) - seen() == set()


def test_nothing_else_happens() -> None:
    assert seen() - set(TRANSITIONS) == set()


def test_the_tables_status_is_always_what_was_decided_overruled_by_what_the_attempts_prove() -> None:
    for _, event, after in lives():
        assert after.status is status_of(after.rest, after.attempts), event


@pytest.mark.parametrize(
    ("rest", "found", "status"),
    [
        (Status.EXPIRED, "DELIVERED OPEN ACCEPTED IN_DOUBT", Status.DELIVERED),
        (Status.EXPIRED, "OPEN ACCEPTED IN_DOUBT UNDELIVERED", Status.SENDING),
        (Status.EXPIRED, "ACCEPTED IN_DOUBT UNDELIVERED", Status.SENT),
        (Status.PENDING, "IN_DOUBT UNSENT", Status.PENDING),
        (Status.PENDING, "IN_DOUBT REFUSED", Status.IN_DOUBT),
        (Status.PENDING, "IN_DOUBT UNDELIVERED", Status.IN_DOUBT),
        (Status.UNCONFIRMED, "IN_DOUBT REFUSED", Status.UNCONFIRMED),
        (Status.IN_DOUBT, "IN_DOUBT", Status.IN_DOUBT),
        (Status.IN_DOUBT, "UNSENT", Status.FAILED),
        (Status.UNCONFIRMED, "UNSENT", Status.FAILED),
        (Status.CANCELLED, "UNSENT REFUSED", Status.FAILED),
        (Status.SKIPPED, "UNDELIVERED", Status.FAILED),
        (Status.CANCELLED, "UNSENT", Status.CANCELLED),
        (Status.PENDING, "UNSENT", Status.PENDING),
        (Status.SKIPPED, "", Status.SKIPPED),
    ],
)
def test_what_rest_and_attempts_amount_to(rest: Status, found: str, status: Status) -> None:
    attempts = tuple(changed(ATTEMPT, evidence=Evidence[name]) for name in found.split())
    assert status_of(rest, attempts) is status
    assert status_of(rest, attempts[::-1]) is status


def made(kind: type[Event]) -> Event:
    """An event of this kind."""
    names = {attribute.name for attribute in kind.__attrs_attrs__}
    return kind(**{name: value for name, value in GIVEN.items() if name in names})


@pytest.mark.parametrize(("status", "kind"), list(product(STATUSES, EVENTS)))
def test_an_event_leads_where_the_table_says_and_nowhere_else(status: Status | None, kind: type[Event]) -> None:
    state = changed(new_delivery(), status=status, attempts=(ATTEMPT,), version=3)
    target = TRANSITIONS.get((status, kind))
    if target is None:
        with pytest.raises(IllegalTransition) as refusal:
            evolve(state, made(kind))
        assert kind.__name__ in str(refusal.value)
    else:
        after = evolve(state, made(kind))
        assert (after.status, after.version) == (target, 4)


@given(histories())
def test_the_log_is_the_delivery(steps: tuple[Step, ...]) -> None:
    log = [event for step in steps for event in step.events]
    assert new_delivery().with_events(log) == steps[-1].after
    assert steps[-1].after.version == len(log)


@given(histories(), st.data())
def test_reading_a_log_in_two_parts_makes_no_difference(steps: tuple[Step, ...], data: st.DataObject) -> None:
    log = [event for step in steps for event in step.events]
    cut = data.draw(st.integers(0, len(log)))
    halfway: Delivery = new_delivery().with_events(log[:cut])
    assert halfway.with_events(log[cut:]) == new_delivery().with_events(log)


def test_what_is_open_can_move_by_itself_and_what_is_over_only_by_a_finding_or_an_operator() -> None:
    of_ours = {kind for kind in EVENTS if "finding" not in {one.name for one in kind.__attrs_attrs__}}
    moves = {
        status for (status, kind), to in TRANSITIONS.items() if kind in of_ours and (status in OPEN or status != to)
    }
    assert moves == {None, Status.PENDING, Status.IN_DOUBT, Status.FAILED}
    by_an_operator = {kind for status, kind in TRANSITIONS if status is Status.FAILED and kind in of_ours}
    assert by_an_operator == {e.Resolved, e.Resent}


def test_a_key_is_released_by_what_was_not_said() -> None:
    assert RELEASING == {Status.SKIPPED, Status.CANCELLED, Status.EXPIRED}  # noqa: SIM300  the set is what is tested


def test_everything_can_be_noted_in_every_state_and_changes_none() -> None:
    assert {status: TRANSITIONS[status, e.Noted] for status in Status} == {status: status for status in Status}
