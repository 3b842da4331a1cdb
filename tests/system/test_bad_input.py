"""Poison on a real broker: a dead letter each, with its bytes, and nobody else waits."""

import json
from datetime import UTC, datetime

import pytest
from tests.services.deployment import SAMPLES, until

pytestmark = pytest.mark.external


def good(number: int) -> dict:
    return {
        "event_type": "post.created",
        "event_id": f"good-{number}",
        "timestamp": datetime.now(UTC).isoformat(),
        "source_service": "fn-posts",
        "data": {"user_id": "u-ana", "post_id": f"post-{number}", "title": "Umbrella"},
    }


POISON = {
    "not_json": b"this is not JSON",
    "nul_byte": rb'{"event_type": "post.created", "data": {"user_id": "u\u0000"}}',
    "wrong_shape": b"[1, 2, 3]",
    "no_type": b'{"data": {"user_id": "u-ana"}}',
    "no_recipient": b'{"event_type": "post.created", "data": {"post_id": "p"}}',
    "too_large": b'{"event_type": "post.created", "pad": "' + b"x" * 990_000 + b'"}',
    "too_deep": b'{"event_type": "post.created", "data": ' + b'{"a":' * 500 + b"1" + b"}" * 501,
    "bad_time": b'{"event_type": "post.created", "timestamp": "tomorrow", "data": {"user_id": "u-ana"}}',
}


async def test_poison_is_buried_with_its_reason_and_bytes_and_the_partition_moves_on(deploy):
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
        told = [json.loads(value)["data"] for value in deployment.consume("fn-notifications.dead-letter", len(POISON))]
        assert sorted(one["reason"] for one in told if one["topic"] in deployment.topics) == sorted(POISON)
        assert len(deployment.simulator.messages()) == len(POISON) + 1
