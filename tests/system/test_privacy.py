"""Canaries: an address and a name go everywhere a message goes, and are found nowhere else."""

import json
import re
from datetime import UTC, datetime

import pytest
from tests.services.deployment import until

pytestmark = pytest.mark.external

EMAIL = "canary.bird"
NAME = "Zwitscherkönigin"
PHONE = "+14155550133"
WORDS = (EMAIL, NAME, PHONE, PHONE[1:])


def event(number: int, user: str, type_: str = "post.claimed", **data) -> dict:
    return {
        "event_type": type_,
        "event_id": f"canary-{number}",
        "timestamp": datetime.now(UTC).isoformat(),
        "source_service": "fn-posts",
        "data": {"post_id": f"p-{number}", "title": NAME, "claimer_id": f"claimer-{number}", "user_id": user, **data},
    }


async def columns_with_canaries(deployment) -> list[str]:
    """Every column of every table that holds a canary in readable bytes."""
    found = []
    columns = await deployment.query(
        "SELECT c.table_name, c.column_name, c.data_type FROM information_schema.columns c"
        " JOIN information_schema.tables t USING (table_schema, table_name)"
        " WHERE table_schema = 'public' AND table_type = 'BASE TABLE'"
    )
    for table, column, type_ in columns:
        text = f"encode(\"{column}\", 'escape')" if type_ == "bytea" else f'"{column}"::text'
        rows = await deployment.query(f'SELECT {text} FROM "{table}" WHERE "{column}" IS NOT NULL')
        if any(word in row[0] for row in rows for word in WORDS):
            found.append(f"{table}.{column}")
    return found


async def test_no_address_and_no_name_leaks_on_any_path(deploy):
    behaviours = ["", "reject", "error500", "unavailable", "reset-after", "bounce", "ratelimited-once"]
    people = [
        {"user_id": f"user-{number}", "email": f"{word or EMAIL}@{EMAIL}.example.com", "phone": PHONE}
        for number, word in enumerate(behaviours)
    ]
    async with deploy() as deployment:
        file = deployment.directory / "people.jsonl"
        file.write_text("\n".join(json.dumps(person) for person in people))
        await deployment.start()
        await deployment.command("preferences", str(file))
        file.unlink()
        events = [event(number, f"user-{number}") for number in range(len(people))]
        events.append(event(90, f"{EMAIL}@example.com", type_=NAME))  # an unknown type that is somebody's name
        deployment.publish([*events, NAME.encode(), json.dumps({"type": "post.created", "data": NAME}).encode()])
        registered = event(91, "user-new", "user.registered", email=f"{EMAIL}@example.com", name=NAME)
        deployment.publish([registered])
        await until(lambda: deployment.settled(len(events) + 3))
        assert any(EMAIL in call.to for call in deployment.simulator.messages())
        assert any(NAME in call.text for call in deployment.simulator.messages())

        assert await columns_with_canaries(deployment) == []
        log = deployment.log.read_text()
        assert "service.started" in log
        # The name of an unknown type is what its publisher calls a kind of thing; all else must not stand here.
        log = re.sub(r"intake\.unknown_type.*", "", log)
        assert [word for word in WORDS if word in log] == []
        for topic in ("notification.sent", "delivery.failed", "notification.delivered", "dead-letter"):
            for value in deployment.consume(f"fn-notifications.{topic}", 1000, within=3):
                assert [word for word in WORDS if word in value.decode()] == []
