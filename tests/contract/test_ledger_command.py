"""`fn-notifications ledger` over a real database: what it prints, and how it ends."""

import asyncio
import json

import psycopg
import pytest
from tests.services.deployment import SECRET
from tests.services.stores import postgres_stores

from fn_notifications.entrypoints.cli.main import main
from fn_notifications.testing.contracts.stores import ADA, begun, meet, told, user

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


@pytest.mark.parametrize("days", ["0", "-1", "x"])
def test_days_are_counted_from_one(days, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["ledger", "--days", days])
    assert ended.value.code == 2
    assert "--days" in capsys.readouterr().err
