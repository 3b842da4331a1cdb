"""A short campaign, as part of the suite. `make chaos` runs long ones."""

import json

import pytest
from tests.chaos.campaign import campaign
from tests.chaos.plan import Kind
from tests.services.kafka import MissingKafkaError
from tests.services.postgres import postgres_server
from tests.services.required import required
from tests.services.stage import proxied_kafka

from fn_notifications.application.errors import MissingExtra

pytestmark = pytest.mark.external

SEED = 4


async def test_half_a_minute_of_everything_going_wrong_loses_nothing_and_sends_nothing_twice(tmp_path):
    with (
        required(LookupError, MissingExtra, MissingKafkaError),
        postgres_server() as postgres,
        proxied_kafka() as kafka,
    ):
        result = await campaign(postgres, kafka, tmp_path, seed=SEED, seconds=25, rate=10, people=500)
    assert result.problems == (), json.dumps(result.line)
    line = result.line
    assert (line["lost"], line["unexpected"], line["sent_after_opt_out"]) == (0, 0, 0)
    assert line["duplicates"] <= line["in_doubt_resends"]
    assert line["in_doubt_opened"] <= line["ambiguous_calls"]
    assert line["kills"] >= 3
    assert len(set(line["faults"]) & set(Kind)) >= 5
    assert line["calls_amid_faults"] > 0
