"""The server that tests use: quick fresh databases, and faults that leave its promises standing."""

from collections.abc import Callable, Iterator

import psycopg
import pytest
from tests.services.postgres import Flavour, PostgresServer, postgres_server
from tests.services.required import required

from fn_notifications.application.errors import MissingExtra


def execute(url: str, statement: str) -> None:
    with psycopg.connect(url) as connection:
        connection.execute(statement)


def scalar(url: str, query: str) -> object:
    with psycopg.connect(url) as connection:
        row = connection.execute(query).fetchone()
    assert row is not None
    return row[0]


@pytest.fixture(scope="module", params=["system", "embedded"])
def server(request: pytest.FixtureRequest) -> Iterator[PostgresServer]:
    flavour: Flavour = request.param
    with required(LookupError, MissingExtra), postgres_server(flavour) as running:
        running.use_template(lambda url: execute(url, "CREATE TABLE migrated AS SELECT 7 AS version"))
        yield running


def test_fresh_databases_are_copies_of_the_template_and_share_nothing(server: PostgresServer) -> None:
    one, two = server.fresh_database(), server.fresh_database()
    execute(one, "UPDATE migrated SET version = 8")
    assert (scalar(one, "SELECT version FROM migrated"), scalar(two, "SELECT version FROM migrated")) == (8, 7)
    server.drop(one)
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        scalar(one, "SELECT 1")


@pytest.mark.parametrize("end", [PostgresServer.kill, PostgresServer.stop])
def test_a_test_server_comes_back_under_the_same_url(
    server: PostgresServer, end: Callable[[PostgresServer], None]
) -> None:
    url = server.fresh_database()
    execute(url, "UPDATE migrated SET version = 9")
    end(server)
    with pytest.raises(psycopg.OperationalError):
        scalar(url, "SELECT 1")
    server.start()
    assert scalar(url, "SELECT version FROM migrated") == 9


def test_a_given_server_is_used_cleaned_and_never_stopped(
    server: PostgresServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TEST_DATABASE_URL", server.url)
    with postgres_server() as given:
        assert (given.url, given.is_ours) == (server.url, False)
        left = given.fresh_database()
        with pytest.raises(RuntimeError, match="not ours to stop"):
            given.kill()
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        scalar(left, "SELECT 1")
