"""The operator's commands on a real database: what they print, and what they refuse."""

import asyncio
import getpass
import io
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta

import pytest
from tests.services.stores import SECRET, postgres_stores

from fn_notifications.adapters.vault.keys import derive_keys
from fn_notifications.application.ports.intake import Batch
from fn_notifications.domain.catalogue import NotificationType
from fn_notifications.domain.commands import Remedy, Settle
from fn_notifications.domain.outcome import OutcomeKind, Scope
from fn_notifications.domain.routes import HoldKind
from fn_notifications.domain.stops import Word
from fn_notifications.entrypoints.cli.main import main
from fn_notifications.testing.contracts.quarantine import old
from fn_notifications.testing.contracts.stores import ADA, TENANT, answer, begun, dead, meet, now, stored, told, user

pytestmark = pytest.mark.external


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self):
        return True


@pytest.fixture
def run(postgres_url, monkeypatch, tmp_path, capsys):
    """A command, as it is typed; its exit code and what it printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", postgres_url)
    monkeypatch.setenv("EMAIL_ADAPTER", "local")
    monkeypatch.setenv("SMS_ADAPTER", "local")
    keys = derive_keys(SECRET)
    monkeypatch.setenv("CONTACT_KEYS", ",".join(f"{id_}:{b64encode(key).decode()}" for id_, key in keys.sealing))
    monkeypatch.setenv("LOOKUP_KEY", b64encode(keys.lookup).decode())

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
    code, out, _ = run("pause", "--type", "welcome", "--reason", "bad template", "--by", "eve")
    assert (code, out) == (0, "welcome is held back; see: fn-notifications holds\n")
    code, out, err = run("pause", "--type", "welcome", "--reason", "another")
    assert (code, out.startswith("already: type welcome is held back by eve since ")) == (0, True)
    assert out.endswith(": bad template\n")
    assert "another" not in err
    _, out, _ = run("holds")
    assert "type welcome is held back by eve since " in out
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
        ("pin", "twilio/sms", "--for", "2h"),
        ("cancel", "--type", "nothing", "--before", "2026-01-01T00:00:00Z"),
    ],
)
def test_a_misspelt_stop_button_says_so(run, words):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert err.startswith("fn-notifications: ")


_NOW = ("--as", "failed", "--reason", "no", "--before", "2026-01-01T00:00:00Z")


@pytest.mark.parametrize(
    ("words", "known"),
    [
        (("quarantine", "list", "--type", "nope"), "match_detected"),
        (("quarantine", "discard", "--type", "nope"), "match_detected"),
        (("resolve", "0" * 32, "--channel", "fax", "--as", "sent", "--reason", "seen"), "email, sms"),
        (("resolve", "--type", "nope", *_NOW), "match_detected"),
        (("resolve", "--route", "carrier/pigeon", *_NOW), "local/email"),
        (("send", "ada", "nope"), "match_detected"),
        (("send", "ada", "welcome", "--channel", "fax"), "email, sms"),
    ],
)
def test_what_is_not_there_is_answered_with_what_is(run, words, known):
    code, out, err = run(*words)
    assert (code, out) == (2, "")
    assert "no such " in err
    assert known in err


@pytest.mark.parametrize(
    "words",
    [
        ("resolve", "--as", "sent", "--reason", "seen"),
        ("resolve", "0" * 32, *_NOW, "--type", "welcome"),
        ("resolve", "--all-in-doubt", "--as", "sent", "--reason", "seen"),
        ("resolve", "--all-in-doubt", "--channel", "sms", *_NOW),
        ("resolve", "0" * 32, "--as", "sent", "--reason", "seen"),
    ],
)
def test_a_ruling_is_about_one_or_about_many_and_says_which(run, words):
    code, out, _ = run(*words)
    assert (code, out) == (2, "")


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
    said = "local/sms was not held back; it was shut, and the next call tries it; see: fn-notifications holds\n"
    assert run("resume", "--route", "local/sms")[1] == said
    assert run("resume", "--route", "local/email")[1].startswith("local/email was not held back; see: ")
    assert json.loads(run("holds", "--json")[1])["routes"]["local/sms"]["state"] == "to be tried again"


def test_resume_says_what_is_still_held(run):
    for what in (("--all",), ("--type", "welcome"), ("--channel", "sms")):
        run("pause", *what, "--by", "eve")
    first, *others = run("resume", "--all")[1].splitlines()
    assert first == "everything goes on; still held back:"
    said = sorted(line.partition(" by ")[0] for line in others)
    assert said == ["  channel sms is held back", "  type welcome is held back"]
    run("resume", "--type", "welcome")
    assert run("resume", "--channel", "sms")[1] == "sms goes on; see: fn-notifications holds\n"


def test_holds_tells_what_is_held_from_what_is_shut(run, postgres_url):
    async def shut(stores):
        word = Word(route="local/sms", country=None, began=(await stores.routes.board()).now, bad=Scope.ROUTE)
        await stores.routes.report([word])

    def routes():
        text = [line.split(maxsplit=1) for line in run("holds")[1].splitlines() if line.startswith("local/")]
        document = json.loads(run("holds", "--json")[1])["routes"]
        return dict(text), {name: (route["state"], route["held"]) for name, route in document.items()}

    on(postgres_url, shut)
    text, document = routes()
    assert (text["local/email"], text["local/sms"]) == ("open", "shut")
    assert (document["local/email"], document["local/sms"]) == (("open", False), ("shut", False))
    run("pause", "--all")
    text, document = routes()
    assert (text["local/email"], text["local/sms"]) == ("held back", "held back, shut")
    assert (document["local/email"], document["local/sms"]) == (("open", True), ("shut", True))
    run("resume", "--all")
    run("pause", "--channel", "email")
    assert routes()[0] == {**text, "local/sms": "shut"}


def test_cancel_says_how_many(run, postgres_url):
    async def fill(stores):
        await meet(stores, user(), email=ADA.value)
        for number in range(3):
            await told(stores, user(), f"n{number}", NotificationType(name="welcome"))
        await stores.routes.hold(HoldKind.ALL, "", reason="", by="eve")

    on(postgres_url, fill)
    before = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    cancel = ("cancel", "--type", "welcome", "--before", before)
    code, out, err = run(*cancel)
    assert (code, out) == (1, "")
    assert "this cancels 3 deliveries of welcome; say --yes to do it" in err
    assert run(*cancel, "--yes")[:2] == (0, "3 deliveries of welcome cancelled\n")
    assert run(*cancel)[:2] == (0, "0 deliveries of welcome cancelled\n")


def test_one_delivery_is_one_delivery(run, doubtful, monkeypatch):
    run("resolve", doubtful[0].delivery.key.event_key, "--as", "sent", "--reason", "seen")
    monkeypatch.setattr("sys.stdin", Terminal("y\n"))
    asked = "this resolves 1 delivery in doubt as failed. Go on? [y/N] "
    assert run(*_many("--all-in-doubt"))[1] == f"{asked}1 delivery resolved as failed\n"


@pytest.fixture
def doubtful(postgres_url):
    """Two messages in doubt that wait for an operator."""

    async def fill(stores):
        await meet(stores, user(), email=ADA.value)
        for number in range(2):
            await told(stores, user(), f"n{number}", NotificationType(name="welcome"))
        calls = await begun(stores, type_=NotificationType(name="welcome"))
        await stores.deliveries.finish([answer(one, OutcomeKind.IN_DOUBT) for one in calls])
        await stores.deliveries.change([one.delivery.key for one in calls], lambda *_: Settle(remedy=Remedy.HOLD))
        return calls

    return on(postgres_url, fill)


def _many(*words):
    before = (datetime.now(UTC) + timedelta(hours=1)).isoformat()
    return ("resolve", *words, "--before", before, "--as", "failed", "--reason", "an outage", "--by", "eve")


def test_many_are_counted_first_and_resolved_when_it_is_meant(run, doubtful):
    code, out, err = run(*_many("--all-in-doubt"))
    assert (code, out) == (1, "")
    assert "this resolves 2 deliveries in doubt as failed; say --yes to do it" in err
    assert run(*_many("--route", "local/sms", "--yes"))[:2] == (0, "0 deliveries resolved as failed\n")
    assert run(*_many("--type", "welcome", "--yes"))[:2] == (0, "2 deliveries resolved as failed\n")
    assert run(*_many("--all-in-doubt"))[:2] == (0, "0 deliveries resolved as failed\n")
    assert "an operator decided: an outage (by eve)" in run("explain", doubtful[0].notification.id.hex)[1]


def test_on_a_terminal_it_asks(run, doubtful, monkeypatch):
    monkeypatch.setattr("sys.stdin", Terminal("n\ny\n"))
    assert run(*_many("--all-in-doubt"))[0] == 1
    assert run(*_many("--all-in-doubt"))[1].endswith("2 deliveries resolved as failed\n")


def test_one_is_resolved_by_somebody(run, doubtful):
    one, two = (call.delivery.key.event_key for call in doubtful)
    assert run("resolve", one, "--as", "sent", "--reason", "seen", "--by", "eve")[1] == f"{one}  email: sent\n"
    assert run("resolve", one, "--as", "sent", "--reason", "seen")[0] == 1
    assert "an operator decided: seen (by eve)" in run("explain", one)[1]
    run("resolve", two, "--as", "sent", "--reason", "seen")
    assert f"seen (by {getpass.getuser()})" in run("explain", two)[1]


def test_the_totals_of_a_list_are_of_what_it_lists(run, postgres_url):
    async def fill(stores):
        at = await now(stores)
        await stored(stores, old("one", user(), at, "match_detected"), old("two", user("bea"), at, "welcome"))

    on(postgres_url, fill)
    document = json.loads(run("quarantine", "list", "--type", "welcome", "--json")[1])
    assert [one["type"] for one in document["totals"]] == [one["type"] for one in document["held"]] == ["welcome"]
    document = json.loads(run("quarantine", "list", "--user", user().user_id, "--json")[1])
    assert [one["type"] for one in document["totals"]] == ["match_detected"]


def test_a_list_says_when_there_is_more(run, postgres_url, doubtful):
    async def fill(stores):
        at = await now(stores)
        await stored(stores, *(old(f"old{number}", user(), at, "welcome") for number in range(2)))
        await stores.intake.store(Batch(tenant=TENANT, dead=(dead("dead0"), dead("dead1", 1))))

    on(postgres_url, fill)
    for command in (("in-doubt",), ("in-doubt", "--all"), ("quarantine", "list"), ("dead-letters", "list")):
        assert "(there are more than these 1: see --limit)\n" in run(*command, "--limit", "1")[2]
        assert "there are more" not in run(*command, "--limit", "2")[2]
    code, out, err = run("in-doubt", "--limit", "1", "--json")
    assert (code, len(json.loads(out))) == (0, 1)
    assert "there are more" in err


def test_an_empty_list_says_so(run):
    assert run("quarantine", "list")[1] == "nothing is held\n"
    assert run("dead-letters", "list")[1] == "there are none\n"
    assert run("in-doubt", "--all")[1] == "nothing is in doubt\n"


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        (("name=Ada", "name=Bea"), "variables given twice: name"),
        (("color=red", "size=9"), "welcome has no variables color, size; it has "),
    ],
)
def test_variables_that_cannot_be_meant_are_named(run, variables, said):
    code, out, err = run("send", "ada", "welcome", "--key", "k", *variables)
    assert (code, out) == (2, "")
    assert err.startswith(f"fn-notifications: {said}")
