"""The whole application in virtual time: the oracle holds, the same seed is the same run, planted bugs are found.

Functions named after a row of the fault matrix run worlds in which that fault, and little else, happens.
"""

import json
import os
import subprocess
import sys

import pytest
from tests.simulation.mutants import MUTANTS

from fn_notifications.domain.lifecycle import TRANSITIONS
from fn_notifications.testing.simulation.faults import Fault
from fn_notifications.testing.simulation.report import Report
from fn_notifications.testing.simulation.world import Outcome, simulate

F = Fault
PROGRAM = [sys.executable, "-m", "fn_notifications.testing.simulation"]
ALWAYS_ON = {F.KILL: 0.01, F.FREEZE: 0.01, F.COMMIT_UNKNOWN: 0.01, F.REPORT_LATE: 0.2, F.REPORT_LOST: 0.2}


def run(*arguments: object, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [*PROGRAM, *map(str, arguments)], capture_output=True, check=False, env={**os.environ, **environment}
    )


def worlds(rates, *, seeds: int = 8, first: int = 0) -> Report:
    """Some worlds with these faults alone; the oracle must hold in each."""
    report = Report(first)
    for seed in range(first, first + seeds):
        report.add(simulate(seed, rates=rates))
    assert list(report.flaws()) == []
    return report


def test_two_hundred_seeds_hold():
    """In a process of its own: on both cores, and not under coverage, which makes it three times slower."""
    ran = run("--seeds", 200)
    assert ran.returncode == 0, ran.stderr.decode()
    (line,) = ran.stdout.splitlines()
    said = json.loads(line)
    assert (said["seeds"], said["lost"], said["unexpected"], said["sent_after_opt_out"]) == (200, 0, 0, 0)
    assert said["duplicates"] <= said["in_doubt_resends"]
    assert 0 < said["in_doubt_opened"] <= said["ambiguous_calls"]
    assert said["faults"].keys() == {str(fault) for fault in F}
    assert len(said["transitions"]) == len(TRANSITIONS)
    assert all(said["faults"].values()), "every fault happens, even in 200 seeds"


@pytest.mark.parametrize("seed", [3, 11, 36])
def test_the_same_seed_is_the_same_run(seed):
    """Byte by byte, in another process whose sets of text are in another order."""
    one, other = (run("--first", seed, "--trace", PYTHONHASHSEED=salt).stdout for salt in ("1", "2"))
    assert one.count(b"\n") > 500
    assert one == other
    assert one == simulate(seed).trace.encode()


def test_another_seed_is_another_run():
    assert simulate(1).trace != simulate(2).trace


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_a_planted_bug_is_found(mutant):
    for seed in range(mutant.within):
        found = simulate(seed, mutant.make, rates=mutant.rates).verdict.violations
        if any(said.startswith(mutant.found_by) for said in found):
            return
    pytest.fail(f"not found within {mutant.within} seeds")


def test_a_campaign_that_leaves_something_out_fails():
    report = Report(0)
    report.add(simulate(0, rates={}))
    assert list(report.flaws()) == []
    report.outcomes = 2_000
    flaws = list(report.flaws())
    assert "kill happened 0 times, wanted are 10" in flaws
    assert "sending+Doubted happened 0 times, wanted are 10" in flaws


def test_nothing_goes_wrong_where_nothing_may():
    """Without a fault there is no doubt, no duplicate and no retry."""
    report = worlds({})
    assert (report.in_doubt_opened, report.ambiguous_calls, report.duplicates) == (0, 0, 0)
    assert report.transitions["sending+Sent"] > 50
    assert not report.transitions["sending+Retried"]


def test_fault_03_killed_with_calls_on_the_wire():
    """What was on the wire is in doubt, nothing else is, and no more is sent twice than was resent in doubt."""
    report = worlds({F.KILL: 0.06, F.REPORT_LOST: 0.3, F.REPORT_LATE: 0.3})
    assert report.faults["kill"] > 25
    assert 0 < report.in_doubt_opened <= report.ambiguous_calls
    assert report.transitions["in_doubt+Delivered"] + report.transitions["in_doubt+Sent"], "reports clear doubts up"
    assert report.duplicates <= report.in_doubt_resends


def test_fault_09_a_provider_that_hangs():
    """The deadline ends the call before its lease: in doubt by our own hand, never by a rescue."""
    report = worlds({F.HANG: 0.3, F.ROUTE_HANGS: 2})
    assert report.in_doubt_opened > 10


def test_fault_13_in_bad_company():
    """A call that is refused for one message's sake, named or not, repeats no other and loses none."""
    rates = {F.REFUSED: 0.2, F.UNSENT: 0.2, F.ROUTE_DOWN: 8, F.HOLD: 6, F.ANSWER_LOST: 0.1, F.KILL: 0.02}
    runs = [simulate(seed, rates=rates) for seed in range(12)]
    assert [one.verdict.violations for one in runs] == [()] * 12
    trace = "".join(one.trace for one in runs)
    assert "another_refused" in trace
    assert "refused_together" in trace


def test_fault_17_reports_in_any_order():
    """Early, late, twice, shuffled: a status is what its attempts prove, whatever came first (see `watch`)."""
    rates = {F.REPORT_EARLY: 0.5, F.REPORT_TWICE: 0.5, F.REPORTS_SHUFFLED: 0.8, F.BOUNCE: 0.3, F.COMPLAINT: 0.2}
    report = worlds(rates)
    assert report.transitions["sending+Delivered"], "before our own commit"
    assert report.transitions["delivered+Noted"]


def test_fault_22_opt_outs_between_claim_and_attempt():
    """Whoever says no before the attempt commits is not written to; the epoch in the attempt proves it."""
    report = worlds({F.OPT_OUT: 8, F.OPT_IN: 6, F.STOP: 8, F.START: 6, F.ADDRESS_CHANGED: 4, F.FREEZE: 0.02}, seeds=20)
    assert report.faults["opt_out"] + report.faults["stop"] > 60
    assert report.transitions["pending+Skipped"] > 10
    assert report.sent_after_opt_out == 0


def test_fault_24_stop_and_start_in_any_order():
    rates = {F.STOP: 10, F.START: 10, F.REPORT_TWICE: 0.3, F.WEBHOOKS_OUT: 1, F.KILL: 0.01}
    assert worlds(rates).faults["start"] > 25


def test_fault_26_rebalances_in_the_middle_of_batches():
    rates = {F.REBALANCE: 15, F.KILL: 0.02, F.TERMINATE: 0.02, F.OFFSET_NOT_STORED: 0.3, F.EVENT_TWICE: 0.3}
    assert worlds(rates).faults["rebalance"] > 40


def test_fault_27_thrown_out_of_the_group_while_frozen():
    """A zombie that wakes up with a batch in its hands neither loses nor doubles anything."""
    rates = {F.FREEZE: 0.08, F.OFFSET_NOT_STORED: 0.2, F.EVENT_TWICE: 0.2, F.REBALANCE: 3}
    assert worlds(rates).faults["freeze"] > 40


def test_fault_28_killed_between_commit_and_offsets():
    rates = {F.KILL: 0.05, F.OFFSET_NOT_STORED: 0.4, F.COMMIT_UNKNOWN: 0.1}
    assert worlds(rates).lost == 0


def test_fault_36_commits_whose_result_nobody_learns():
    """A process that is told its commit failed, when it did not, enqueues nothing twice and calls nobody twice."""
    report = worlds({F.COMMIT_UNKNOWN: 0.15, F.STORE_ERROR: 0.1})
    assert report.faults["commit_unknown"] > 60


def test_fault_39_frozen_past_the_lease():
    """What wakes up late writes nothing over the new holder's work; what it learnt is kept all the same."""
    report = worlds({F.FREEZE: 0.1, F.HANG: 0.05, F.ERROR: 0.1, F.HOLD: 2}, seeds=20)
    assert report.faults["freeze"] > 60
    assert report.transitions["in_doubt+Noted"] + report.transitions["in_doubt+Sent"], "late answers are evidence"


def test_fault_40_clocks_that_jump():
    """A process's own clock wrong by hours decides nothing; the store's stepping back sends nothing early or twice."""
    report = worlds({F.OWN_CLOCK: 6, F.STORE_CLOCK_BACK: 6, F.QUIET_HOURS: 4, F.THROTTLED: 0.1, F.UNSENT: 0.2})
    assert report.faults["own_clock"] + report.faults["store_clock_back"] > 25
    assert report.in_doubt_opened == 0


def test_fault_43_asked_to_stop_while_the_store_fails():
    """A process that is asked to stop ends by itself, and without an error; nothing of what it knew is lost."""
    report = worlds({F.TERMINATE: 0.06, F.STORE_ERROR: 0.2, F.ROUTE_SLOW: 3, F.ERROR: 0.1})
    assert report.faults["terminate"] > 25


def test_fault_46_nothing_is_sent_after_its_time():
    """Routes that are down for hours cost deliveries their time to live; then they expire, and are never sent late."""
    report = worlds({F.ROUTE_THROTTLED: 6, F.THROTTLED: 0.5, F.STORE_OUT: 2, F.HOLD: 3}, seeds=16)
    assert report.transitions["pending+Expired"]


def test_fault_48_pruning_while_things_happen():
    """Every world prunes, in the middle of a month's end: the accounts add up, and nothing open is thrown away."""
    outcome: Outcome = simulate(5, rates=ALWAYS_ON)
    assert outcome.verdict.violations == ()
    assert "storage.prune" in outcome.trace
