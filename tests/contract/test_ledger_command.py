"""`fn-notifications ledger` over a real database: what it prints, and how it ends."""

import asyncio
import json
from datetime import datetime, timedelta

import psycopg
import pytest
from tests.services.deployment import SECRET
from tests.services.stores import postgres_stores

from fn_notifications.domain.decision import Decision
from fn_notifications.domain.outcome import Scope
from fn_notifications.domain.reasons import Reason
from fn_notifications.domain.routes import HoldKind
from fn_notifications.domain.stops import Word
from fn_notifications.entrypoints.cli.main import main
from fn_notifications.testing.contracts.stores import ADA, TENANT, begun, claim, deciding, meet, now, told, user

pytestmark = pytest.mark.external


@pytest.fixture
def database(postgres_url: str, monkeypatch, tmp_path) -> str:
    """One with a message on the wire."""

    async def fill() -> None:
        async with postgres_stores(postgres_url) as (stores, _):
            await meet(stores, user(), email=ADA.value)
            await told(stores, user(), "one")
            await begun(stores)

    asyncio.run(fill())
    monkeypatch.chdir(tmp_path)
    environment = {"ENVIRONMENT": "test", "SECRET_KEY_BASE": SECRET, "KAFKA_HOSTS": "127.0.0.1:9"}
    for name, value in {**environment, "DATABASE_URL": postgres_url}.items():
        monkeypatch.setenv(name, value)
    return postgres_url


def test_what_balances_ends_well(database, capsys):
    assert main(["ledger"]) == 0
    out = capsys.readouterr().out
    assert "events     in 1, planned 1" in out
    assert "deliveries sending 1" in out
    assert out.splitlines()[-1] == "balanced   yes"


@pytest.mark.parametrize("window", [(), ("--days", "2")])
def test_what_does_not_is_named_with_how_much(database, capsys, window):
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("DELETE FROM due")
        connection.execute("DELETE FROM event_log WHERE version = 2")
    assert main(["ledger", *window]) == 1
    told_of = capsys.readouterr().out.splitlines()
    assert told_of[-4:] == [
        "balanced   no",
        "off by 1   wake_ups: 1 expected, 0 found",
        "off by 1   transitions: 2 expected, 1 found",
        "off by 1   attempts: 1 expected, 0 found",
    ]
    assert main(["ledger", "--json", *window]) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["balanced"] is False
    assert document["imbalances"][0] == {"equation": "wake_ups", "expected": 1, "found": 0}


def test_what_waits_is_said_with_what_for_and_since_when(database, capsys, monkeypatch):
    monkeypatch.setenv("EMAIL_ADAPTER", "local")

    async def shut() -> datetime:
        async with postgres_stores(database, size=2) as (stores, _):
            began = await now(stores)
            word = Word(route="local/email", country=None, began=began, bad=Scope.ACCOUNT, code="http_401")
            await stores.routes.report([word])
            await told(stores, user(), "two")
            put_off = deciding(lambda one, at: Decision.defer(one.channel, Reason.LANE_WAITS, at + timedelta(hours=1)))
            await stores.deliveries.begin(await claim(stores), put_off)
            await stores.routes.hold(HoldKind.TYPE, "other", reason="", by="eve")
            (backlog,) = await stores.history.backlog(TENANT)
            return backlog.since

    since = asyncio.run(shut())
    assert main(["ledger"]) == 0
    out = capsys.readouterr().out.splitlines()
    at = out.index(f"waiting    email 1, the longest since {since:%Y-%m-%d %H:%M:%S} UTC")
    assert out[at + 1].startswith("             account local is shut until ")
    assert out[at + 1].endswith(" (it said http_401)")
    assert main(["ledger", "--json"]) == 0
    (queue,) = json.loads(capsys.readouterr().out)["waiting"]
    assert (queue["channel"], queue["deliveries"], queue["since"]) == ("email", 1, since.isoformat())
    assert len(queue["causes"]) == 1


@pytest.mark.parametrize("days", ["0", "-1", "x"])
def test_days_are_counted_from_one(days, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["ledger", "--days", days])
    assert ended.value.code == 2
    assert "--days" in capsys.readouterr().err
