"""The main job on real parts: every sample event, exactly the expected messages, once each, across a restart."""

import json
from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from tests.services.deployment import SAMPLES, until

pytestmark = pytest.mark.external

EXPECTED_CHANNELS = {
    ("u-ana", "urgent_claim"): 3,
    ("u-bo", "urgent_claim"): 3,
    ("u-cy", "urgent_claim"): 2,
    "match_detected": 2,
    "contact_request": 2,
    "contact_approved": 2,
}


def samples():
    """The sample lines, moved to an hour ago."""
    now = datetime.now(UTC) - timedelta(hours=1)
    lines = (SAMPLES / "events.jsonl").read_text().replace("2026-06-01T10:00:00Z", now.isoformat())
    return [json.loads(line) for line in lines.splitlines()]


def expected_calls(lines) -> Counter:
    calls: Counter = Counter()
    for line in lines:
        for user, type_ in line["expect"]:
            channels = EXPECTED_CHANNELS.get((user, type_), EXPECTED_CHANNELS.get(type_, 1))
            calls[user, type_] += channels
    return calls


async def test_every_sample_is_told_once_to_whom_it_concerns_across_a_restart(deploy):
    lines = samples()
    half = len(lines) // 2
    async with deploy() as deployment:
        await deployment.start()
        await deployment.command("preferences", str(SAMPLES / "preferences.jsonl"))
        deployment.publish([line["event"] for line in lines[:half]])
        await until(lambda: deployment.settled(half // 2))
        await deployment.stop()
        deployment.publish([line["event"] for line in lines[half:]])
        deployment.publish([line["event"] for line in lines])  # all of them again, as a producer that retried would
        await deployment.start()
        await until(lambda: deployment.settled(2 * len(lines)))

        rows = await deployment.query(
            "SELECT n.user_id, n.type, count(*) FROM notifications n JOIN deliveries d"
            " ON (d.tenant, d.notification_id) = (n.tenant, n.id)"
            " JOIN attempts a ON (a.tenant, a.notification_id, a.delivery_no) = (d.tenant, d.notification_id, d.no)"
            " GROUP BY 1, 2"
        )
        assert {(user, type_): count for user, type_, count in rows} == dict(expected_calls(lines))
        attempts = [call.attempt_id for call in deployment.simulator.messages()]
        assert len(attempts) == len(set(attempts)) == sum(expected_calls(lines).values())
        statuses = await deployment.query("SELECT status, count(*) FROM deliveries GROUP BY 1")
        assert set(dict(statuses)) <= {"delivered", "skipped"}

        ledger = json.loads(await deployment.command("ledger", "--json"))["events"]
        dead = sum(line.get("outcome") == "dead_letter" for line in lines)
        ignored = sum(not line["expect"] and line.get("outcome") != "dead_letter" for line in lines)
        planned = len(lines) - dead - ignored
        # A dead letter has no identity of its own in the ledger: the same poison twice is two dead letters.
        assert ledger == {
            "in": 2 * len(lines),
            "planned": planned,
            "duplicate": planned + ignored,
            "ignored": ignored,
            "stale": 0,
            "dead_lettered": 2 * dead,
            "held": 0,
        }
        deliveries = await deployment.query("SELECT notification_id::text, no FROM deliveries")
        ours = {f"{id_.replace('-', '')}-{no}" for id_, no in deliveries}
        told = [json.loads(value) for value in deployment.consume("fn-notifications.notification.sent", len(attempts))]
        assert {one["data"]["delivery_id"] for one in told} & ours
        assert {one["specversion"] for one in told} == {"1.0"}
