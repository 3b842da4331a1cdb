"""The operator's commands on a real database: what they print, and what they refuse."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from tests.services.stores import postgres_stores

from fn_notifications.domain.catalogue import NotificationType
from fn_notifications.domain.outcome import Scope
from fn_notifications.domain.routes import HoldKind
from fn_notifications.domain.stops import Word
from fn_notifications.entrypoints.cli.main import main
from fn_notifications.testing.contracts.stores import ADA, meet, told, user

pytestmark = pytest.mark.external


@pytest.fixture
def run(postgres_url, monkeypatch, tmp_path, capsys):
    """A command, as it is typed; its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("KAFKA_HOSTS", "localhost:1")
    monkeypatch.setenv("EMAIL_ADAPTER", "local")
    monkeypatch.setenv("SMS_ADAPTER", "local")

    def typed(*words):
        code = main(words)
        said = capsys.readouterr()
        return code, said.out, said.err

    return typed


def on(url, work):
    """Do something with the stores of a database."""

    async def opened():
        async with postgres_stores(url, size=2) as (stores, _):
            return await work(stores)

    return asyncio.run(opened())


def test_a_pause_is_seen_and_ended(run):
    code, out, _ = run("pause", "--type", "welcome", "--reason", "bad template")
    assert (code, out) == (0, "welcome is held back; see: fn-notifications holds\n")
    assert run("pause", "--type", "welcome")[1] == "welcome is held back already; see: fn-notifications holds\n"
    _, out, _ = run("holds")
    assert "type welcome is held back by " in out
    assert ": bad template" in out
    assert run("resume", "--type", "welcome")[1] == "welcome goes on; see: fn-notifications holds\n"
    assert run("resume", "--type", "welcome")[1] == "welcome was not held back; see: fn-notifications holds\n"
    assert run("pause", "--all")[1].startswith("everything is held back")


@pytest.mark.parametrize(
    "words",
    [
        ("pause", "--type", "wellcome"),
        ("pause", "--channel", "fax"),
        ("pause", "--route", "local"),
        ("pause", "--all", "--reason", "two\nlines"),
        ("pin", "twilio/sms", "--for", "2h"),
        ("cancel", "--type", "nothing", "--before", "2026-01-01T00:00:00Z"),
    ],
)
def test_a_misspelt_stop_button_says_so(run, words):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("fn-notifications: ")


@pytest.mark.parametrize(
    "words",
    [("pause",), ("pause", "--all", "--type", "welcome"), ("pin", "local/sms"), ("pin", "local/sms", "--for", "0s"),
     ("cancel", "--type", "welcome", "--before", "2026-01-01T00:00:00")],
)  # fmt: skip
def test_what_cannot_be_meant_is_refused(run, words):
    with pytest.raises(SystemExit) as stopped:
        run(*words)
    assert stopped.value.code == 2


def test_holds_shows_routes(run, postgres_url):
    async def shut(stores):
        began = (await stores.routes.board()).now
        await stores.routes.report(
            [Word(route="local/sms", country=None, began=began, bad=Scope.ACCOUNT, code="http_401")]
        )

    on(postgres_url, shut)
    assert run("pin", "local/email", "--for", "2h")[1].startswith("local/email goes first until ")
    _, out, _ = run("holds")
    assert "account local is shut until " in out
    assert "(it said http_401)" in out
    document = json.loads(run("holds", "--json")[1])
    assert document["routes"]["local/email"]["state"] == "shut"
    assert document["routes"]["local/email"]["pin"]["until"]
    assert [stop["what"] for stop in document["stops"]] == ["local"]
    assert run("unpin", "local/email")[1] == "local/email is pinned no longer\n"
    run("resume", "--route", "local/sms")
    assert json.loads(run("holds", "--json")[1])["routes"]["local/sms"]["state"] == "to be tried again"


def test_cancel_says_how_many(run, postgres_url):
    async def fill(stores):
        await meet(stores, user(), email=ADA.value)
        for number in range(3):
            await told(stores, user(), f"n{number}", NotificationType(name="welcome"))
        await stores.routes.hold(HoldKind.ALL, "", reason="", by="eve")

    on(postgres_url, fill)
    before = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    assert run("cancel", "--type", "welcome", "--before", before)[:2] == (0, "3 deliveries of welcome cancelled\n")
    assert run("cancel", "--type", "welcome", "--before", before)[1] == "0 deliveries of welcome cancelled\n"
