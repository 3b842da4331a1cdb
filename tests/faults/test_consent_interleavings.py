"""Opt-outs against the start of calls (fault 22): a share of the campaign that `tests/campaigns/consent.py` runs."""

import pytest
from tests.campaigns.consent import WORDS, campaign

pytestmark = pytest.mark.external

COUNT = 200


async def test_fault_22_no_attempt_is_committed_after_an_opt_out(postgres_url: str) -> None:
    """Whoever comes first, in every order of their statements, an attempt's epoch is one that allows it."""
    tally = await campaign(postgres_url, COUNT, seed=22)
    assert (tally.interleavings, tally.sent_after_opt_out) == (COUNT, 0)
    assert min(tally.opt_out_first, tally.begin_first) > COUNT / 10
    assert tally.waited_for_a_lock > COUNT / 10
    assert tally.words.keys() == WORDS.keys()


async def test_fault_22_a_missing_lock_is_caught(postgres_url: str) -> None:
    tally = await campaign(postgres_url, 40, seed=22, locked=False)
    assert tally.sent_after_opt_out
