"""`demo` and `dev`: the product on one machine, as a newcomer meets it."""

import asyncio
import json
import os
import random
import signal
import sys

import pytest
from tests.services.deployment import CLI

from fn_notifications.entrypoints.embedded import free_port


async def run(*arguments: str, cwd, **more: str) -> tuple[int, str, str]:
    environment = {"PATH": os.environ["PATH"], "HOME": str(cwd), **more}
    process = await asyncio.create_subprocess_exec(
        *CLI, *arguments, cwd=cwd, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, err = await asyncio.wait_for(process.communicate(), 90)
    return process.returncode or 0, out.decode(), err.decode()


async def test_the_demo_by_itself_tells_everybody_once_and_accounts_for_every_event(tmp_path):
    # What is configured must not matter: embedded parts only.
    code, out, err = await run(
        "demo",
        "--json",
        cwd=tmp_path,
        DATABASE_URL="postgresql://db.example.com/x",
        KAFKA_HOSTS="kafka.example.com:9",
        SENDGRID_API_KEY="SG.fake",
    )
    assert code == 0, err
    document = json.loads(out)
    assert document["ledger"]["events"] == {
        "in": 12,
        "planned": 11,
        "duplicate": 0,
        "ignored": 1,
        "stale": 0,
        "dead_lettered": 0,
        "held": 0,
    }
    assert document["ledger"]["deliveries"] == {"delivered": len(document["provider_calls"])}
    assert {one["notification_type"] for one in document["notifications"]} >= {"welcome", "urgent_claim", "staff_added"}
    assert all(one["title"] and one["body"] for one in document["notifications"])
    ids = [call["attempt_id"] for call in document["provider_calls"]]
    assert len(ids) == len(set(ids))
    assert list(tmp_path.iterdir()) == []


async def test_the_demo_takes_in_more_than_the_embedded_broker_keeps(tmp_path):
    padding = [random.Random(number).randbytes(500).hex() for number in range(6000)]
    events = tmp_path / "events.jsonl"
    events.write_text(
        "".join(json.dumps({"type": "no.such", "id": text[:32], "data": {"text": text}}) + "\n" for text in padding)
    )
    code, out, err = await run("demo", "--json", "--events", str(events), cwd=tmp_path)
    assert code == 0, err
    assert json.loads(out)["ledger"]["events"]["ignored"] == 6000


async def test_the_demo_takes_events_and_people_from_files(tmp_path):
    (tmp_path / "people.jsonl").write_text(
        json.dumps(
            {
                "user_id": "u1",
                "email": "u1@example.com",
                "phone": "+15005550006",
                "quiet_hours": {"start": "00:00", "end": "23:59"},
                "channel_preferences": {"sms": {"enabled": True}},
            }
        )
        + "\n"
        + json.dumps({"user_id": "u2", "email": "reject@example.com", "global_enabled": True})
    )
    match = {
        "event_type": "post.matched",
        "event_id": "m1",
        "data": {"reporter_id": "u1", "matcher_id": "u2", "match_id": "m"},
    }
    lines = [
        json.dumps(match),
        json.dumps(match),
        json.dumps(
            {
                "topic": "anywhere",
                "key": "k",
                "headers": {"ce_type": "post.resolved", "ce_id": "r1"},
                "value": {"user_id": "u1", "post_id": "p", "title": "Keys"},
            }
        ),
        json.dumps(
            {
                "event_type": "post.created",
                "event_id": "old",
                "timestamp": "2020-01-01T00:00:00Z",
                "data": {"user_id": "u1", "post_id": "p", "title": "Old"},
            }
        ),
        json.dumps({"event_type": "no.such.type", "event_id": "x"}),
        "this is not JSON",
    ]
    (tmp_path / "events.jsonl").write_text("\n".join(lines))
    code, out, err = await run(
        "demo", "--json", "--events", "events.jsonl", "--preferences", "people.jsonl", cwd=tmp_path
    )
    assert code == 0, err
    document = json.loads(out)
    assert document["ledger"]["events"] == {
        "in": 6,
        "planned": 2,
        "duplicate": 1,
        "ignored": 1,
        "stale": 1,
        "dead_lettered": 1,
        "held": 0,
    }
    by = {
        (one["user_id"], one["notification_type"], delivery["channel"]): delivery
        for one in document["notifications"]
        for delivery in one["deliveries"]
    }
    assert by["u1", "match_detected", "email"]["status"] == "delivered"
    sms = by["u1", "match_detected", "sms"]
    assert (sms["status"], sms["decision"], sms["reason"], sms["attempts"]) == ("pending", "defer", "quiet_hours", 0)
    assert sms["due_at"] is not None
    refused = by["u2", "match_detected", "email"]
    assert (refused["status"], refused["provider"], refused["attempts"]) == ("failed", "sendgrid", 1)
    no_phone = by["u2", "match_detected", "sms"]
    assert (no_phone["status"], no_phone["decision"], no_phone["reason"]) == ("skipped", "skip", "no_contact")
    assert by["u1", "post_confirmation", "email"]["reason"] == "stale"
    assert [letter["reason"] for letter in document["dead_letters"]] == ["not_json"]
    answers = [call["answer"] for call in document["provider_calls"]]
    assert set(answers) == {"http_400", "accepted"}, "who shared the refused call is there twice"
    assert answers.count("accepted") == 2


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        ({"events": None}, "events.jsonl"),
        ({"people": "not json"}, "line 1"),
        ({"people": '{"email": "u1@example.com"}'}, "user_id"),
        ({"people": '{"user_id": "u1", "email": "nobody"}'}, "u1: email"),
    ],
)
async def test_input_that_cannot_be_used_says_what_and_where(tmp_path, files, complaint):
    (tmp_path / "people.jsonl").write_text(files.get("people", ""))
    if "events" not in files:
        (tmp_path / "events.jsonl").write_text("")
    code, out, err = await run(
        "demo", "--json", "--events", "events.jsonl", "--preferences", "people.jsonl", cwd=tmp_path
    )
    assert (code, out) == (2, "")
    assert complaint in err
    assert "Traceback" not in err


async def test_a_demo_that_is_stopped_does_not_claim_to_have_settled(tmp_path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    (tmp_path / "events.jsonl").write_text('{"event_type": "post.created", "event_id": "1", "data": {"user_id": "u"}}')
    (tmp_path / "people.jsonl").write_text('{"user_id": "u", "email": "unavailable@example.com"}')
    process = await asyncio.create_subprocess_exec(
        *CLI, "demo", "--json", "--events", "events.jsonl", "--preferences", "people.jsonl",
        cwd=tmp_path, env=environment, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting := asyncio.create_task(process.communicate())), 6)
    process.send_signal(signal.SIGTERM)
    out, _ = await asyncio.wait_for(waiting, 60)
    assert (process.returncode, out) == (130, b"")


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("dev", "--port", "99999"), 2),
        (("demo", "--timeout", "-1"), 2),
        (("demo", "--timeout", "nan"), 2),
        (("send", "", "reminder", "title=a"), 2),
        (("publish", "nowhere.jsonl"), 2),
    ],
)
async def test_wrong_arguments_are_told_in_a_sentence(tmp_path, arguments, code):
    answered, out, err = await run(*arguments, cwd=tmp_path)
    assert (answered, out) == (code, "")
    assert "Traceback" not in err


async def test_dev_shows_deliveries_and_other_commands_find_it(tmp_path):
    environment = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "fn_notifications.entrypoints.cli.main",
        "dev",
        "--port",
        str(free_port()),
        cwd=tmp_path,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(60):
            while b"delivered" not in (line := await process.stdout.readline()):
                assert line, "dev ended before anything was delivered"
        code, out, err = await run("explain", line.split()[0].decode(), cwd=tmp_path)
        assert code == 0, err
        assert line.split()[1].decode() in out
        (tmp_path / "more.jsonl").write_text(
            '{"event_type": "post.created", "event_id": "own", "data": {"user_id": "demo-ana", "post_id": "p1"}}'
        )
        code, out, err = await run("publish", "more.jsonl", cwd=tmp_path)
        assert (code, out) == (0, "published 1 event\n"), err
        code, out, err = await run("send", "demo-ana", "reminder", "title=Hello", "body=Again", cwd=tmp_path)
        assert code == 0, err
        id_ = out.split()[0]
        code, out, err = await run("explain", id_, cwd=tmp_path)
        assert code == 0, err
        assert "reminder for demo-ana" in out
    finally:
        process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
