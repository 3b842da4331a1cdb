"""Poison on a real broker: a dead letter each, with its bytes, and nobody else waits."""

import json
from datetime import UTC, datetime

import pytest
from tests.services.deployment import SAMPLES, until
from tests.services.intakes import POISON

pytestmark = pytest.mark.external


def good(number: int) -> dict:
    return {
        "event_type": "post.created",
        "event_id": f"good-{number}",
        "timestamp": datetime.now(UTC).isoformat(),
        "source_service": "fn-posts",
        "data": {"user_id": "u-ana", "post_id": f"post-{number}", "title": "Umbrella"},
    }


async def test_fault_29_poison_on_a_real_broker_is_buried_and_the_partition_moves_on(deploy):
    async with deploy() as deployment:
        await deployment.start()
        await deployment.command("preferences", str(SAMPLES / "preferences.jsonl"))
        values = [good(0)]
        for number, poison in enumerate(POISON.values(), start=1):
            values += [poison, good(number)]
        deployment.publish(values)
        await until(lambda: deployment.settled(len(values)))

        ledger = json.loads(await deployment.command("ledger", "--json"))["events"]
        assert ledger["dead_lettered"] == len(POISON)
        assert ledger["planned"] == len(POISON) + 1
        rows = await deployment.query('SELECT reason, "offset" FROM dead_letters ORDER BY "offset"')
        assert [reason for reason, _ in rows] == list(POISON)
        letters = deployment.consume("fn-notifications.dead-letter", len(POISON), own=True)
        assert sorted(json.loads(letter)["data"]["reason"] for letter in letters) == sorted(POISON)
        assert len(deployment.simulator.messages()) == len(POISON) + 1
