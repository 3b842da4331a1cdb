"""The judge of campaigns: what it must not let pass, and that one seed makes one plan."""

from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from attrs import evolve
from tests.chaos.judge import Attempt, Verdict, judge_calls, judge_consent, judge_doubts, judge_duplicates
from tests.chaos.mischief import Disturbance
from tests.chaos.plan import OF_A_WORKER, OF_ALL, Kind, plan
from tests.chaos.town import Town

from fn_notifications.domain.events import Evidence
from fn_notifications.simulator.journal import Call

NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
DELIVERY = "0" * 32 + "-1"
ATTEMPT = Attempt(
    id=f"{DELIVERY}-1",
    delivery=DELIVERY,
    started_at=NOW,
    answered_at=NOW + SECOND,
    evidence=Evidence.ACCEPTED,
    epoch=3,
    epoch_then=3,
    route="sendgrid/email",
    code=None,
    pid=7,
    user_id="u-1",
    channel="email",
)
AGAIN = evolve(ATTEMPT, id=f"{DELIVERY}-2")


OTHER = evolve(ATTEMPT, id="1" * 32 + "-1-1", delivery="1" * 32 + "-1")


def call(*attempts, after=SECOND / 2, accepted=True, answered=202):
    ids = tuple(attempt.id for attempt in attempts or [ATTEMPT])
    return Call(at=NOW + after, attempts=ids, accepted=accepted, answered=answered)


def judged(judge, *evidence):
    verdict = Verdict()
    judge(verdict, *evidence)
    return verdict


@pytest.mark.parametrize(
    ("calls", "unexpected"),
    [
        ([call()], 0),
        ([call(ATTEMPT, OTHER)], 0),
        ([call(), call()], 1),
        ([call(ATTEMPT, OTHER), call(OTHER)], 1),
        ([call(AGAIN)], 1),
        ([call(ATTEMPT, AGAIN)], 1),
        ([call(after=-SECOND)], 1),
        ([Call(at=NOW)], 1),
    ],
    ids=[
        "as it should be",
        "several in one",
        "called twice",
        "called again with another",
        "not recorded",
        "one of several not recorded",
        "before it was recorded",
        "without a name",
    ],
)
def test_every_request_belongs_to_recorded_attempts(calls, unexpected):
    verdict = judged(judge_calls, {ATTEMPT.id: ATTEMPT, OTHER.id: OTHER}, calls)
    assert (verdict.unexpected, bool(verdict.problems)) == (unexpected, unexpected > 0)


@pytest.mark.parametrize(("resends", "problems"), [({}, 1), ({DELIVERY: 1}, 0)])
def test_a_duplicate_needs_a_resend_of_its_own_delivery(resends, problems):
    verdict = judged(judge_duplicates, [call(), call(AGAIN)], resends)
    assert (verdict.duplicates, len(verdict.problems)) == (1, problems)


def disturbance(pid=7, began=SECOND / 2):
    return Disturbance(kind=Kind.KILL, pid=pid, began=NOW + began, ended=NOW + began)


@pytest.mark.parametrize(
    ("calls", "disturbances", "explained"),
    [
        ([call()], [], False),
        ([call(answered=None)], [], True),
        ([call(OTHER, ATTEMPT, answered=None)], [], True),
        ([call(answered=500)], [], True),
        ([call(answered=503)], [], False),
        ([call()], [disturbance()], True),
        ([call()], [disturbance(pid=None)], True),
        ([call()], [disturbance(pid=8)], False),
        ([call()], [disturbance(began=2 * SECOND)], False),
        ([call()], [disturbance(began=-SECOND)], False),
    ],
)
def test_a_doubt_needs_a_call_that_could_have_lost_its_answer(calls, disturbances, explained):
    verdict = judged(judge_doubts, {ATTEMPT.id: ATTEMPT}, calls, [ATTEMPT.id], disturbances)
    assert (verdict.ambiguous_calls, len(verdict.problems)) == (int(explained), int(not explained))


@pytest.mark.parametrize(
    ("attempt", "seen", "against"),
    [
        (ATTEMPT, [("u-1", "email", 3, True)], 0),
        (ATTEMPT, [("u-1", "email", 3, False)], 1),
        (ATTEMPT, [("u-1", "sms", 3, True)], 1),
        (evolve(ATTEMPT, epoch_then=4), [("u-1", "email", 3, True), ("u-1", "email", 4, False)], 1),
    ],
)
def test_an_attempt_must_have_been_allowed_by_the_epoch_in_force(attempt, seen, against):
    assert judged(judge_consent, [attempt], seen).sent_after_opt_out == against


def test_an_epoch_that_says_two_things_is_a_problem():
    seen = [("u-1", "email", 3, True), ("u-1", "email", 3, False)]
    assert judged(judge_consent, [ATTEMPT], seen).problems


def test_one_seed_makes_one_plan_and_one_story():
    ours, theirs = (plan(5, 600, workers=2, lease=4) for _ in range(2))
    assert ours == theirs
    assert ours != plan(6, 600, workers=2, lease=4)
    assert {fault.kind for lane in ours.workers for fault in lane} == set(OF_A_WORKER)
    assert {fault.kind for fault in ours.shared} == set(OF_ALL)
    told = [Town(5) for _ in range(2)]
    for town in told:
        list(islice(town.happenings(), 100))
    assert [one.expected for one in told[0].told.values()] == [one.expected for one in told[1].told.values()]
