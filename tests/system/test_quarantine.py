"""A replay on the real broker: held, looked at, thinned by an operator; and a dead letter tried again."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.services.deployment import SAMPLES, until

pytestmark = pytest.mark.external


def old(number: int, user: str) -> dict:
    return {
        "event_type": "post.created",
        "event_id": f"{user}-{number}",
        "timestamp": (datetime.now(UTC) - timedelta(hours=12) + timedelta(minutes=number)).isoformat(),
        "source_service": "fn-posts",
        "data": {"user_id": user, "post_id": f"{user}-{number}", "title": f"umbrella {number}"},
    }


async def test_an_operator_thins_a_replay(deploy):
    async with deploy() as deployment:
        await deployment.start()
        await deployment.command("preferences", str(SAMPLES / "preferences.jsonl"))
        deployment.publish([*(old(number, "u-ana") for number in range(5)), old(0, "u-bo"), b"poison"])
        await until(lambda: deployment.settled(7))
        assert json.loads(await deployment.command("ledger", "--json"))["events"]["held"] == 6
        assert not deployment.simulator.messages()

        listed = json.loads(await deployment.command("quarantine", "list", "--user", "u-ana", "--json"))
        assert [one["reason"] for one in listed["held"]] == ["replayed"] * 5
        assert "post_confirmation: held 6" in await deployment.command("quarantine", "list")
        said = await deployment.command("quarantine", "thin", "--user", "u-ana", "--keep", "2")
        assert said.splitlines() == ["discarded: 3", "released: planned 2"]
        assert await deployment.command("quarantine", "discard", "--all") == "discarded: 1\n"
        assert await deployment.command("quarantine", "release", "--all") == "released: nothing\n"
        await until(lambda: deployment.settled(9))
        subjects = sorted(message.text for message in deployment.simulator.messages())
        assert [f"umbrella {number}" in text for number, text in zip((3, 4), subjects, strict=True)] == [True, True]

        assert "not_json" in await deployment.command("dead-letters", "list")
        (letter,) = json.loads(await deployment.command("dead-letters", "list", "--json"))
        assert (letter["reason"], letter["replayed_at"]) == ("not_json", None)
