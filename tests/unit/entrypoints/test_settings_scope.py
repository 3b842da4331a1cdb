"""A command is refused for what it reads, and for nothing else."""

from pathlib import Path

import pytest

from fn_notifications.application.errors import Conflict, Misconfigured, MissingExtra, Unavailable
from fn_notifications.entrypoints.cli.main import main
from fn_notifications.entrypoints.settings import SettingsError, load_settings
from fn_notifications.entrypoints.settings.scope import BROKER, EVERYTHING, PLANS, RECORDS, ROUTES, SCHEMA

NOWHERE = Path("/nonexistent")
DATABASE = {"DATABASE_URL": "postgresql://db.example.com/n"}
KAFKA = {"KAFKA_HOSTS": "kafka.example.com:9092"}
PROD = {"ENVIRONMENT": "prod"}
SECRET = {"SECRET_KEY_BASE": "k" * 32}
REAL = {"EMAIL_ADAPTER": "sendgrid"}
_DERIVED = {"CONTACT_KEYS", "LOOKUP_KEY"}
"""What a missing secret lacks besides."""


@pytest.mark.parametrize(
    ("scope", "environ"),
    [
        pytest.param(SCHEMA, PROD | DATABASE, id="schema"),
        pytest.param(ROUTES, PROD | DATABASE, id="routes"),
        pytest.param(RECORDS, PROD | DATABASE | SECRET, id="records"),
        pytest.param(PLANS, PROD | DATABASE | SECRET, id="plans"),
        pytest.param(BROKER, PROD | KAFKA, id="broker"),
        pytest.param(SCHEMA, DATABASE | {"EMAIL_ADAPTER": "pigeon", "KAFKA_SSL": "perhaps"}, id="others' mistakes"),
        pytest.param(RECORDS, DATABASE | REAL, id="nobody is written to"),
    ],
)
def test_a_scope_asks_for_what_it_reads_only(scope, environ):
    load_settings(environ, cwd=NOWHERE, scope=scope)
    with pytest.raises(SettingsError):
        load_settings(environ, cwd=NOWHERE, scope=EVERYTHING)


@pytest.mark.parametrize(
    ("scope", "environ", "lacking"),
    [
        pytest.param(SCHEMA, PROD, "DATABASE_URL", id="schema"),
        pytest.param(ROUTES, DATABASE | {"EMAIL_ADAPTER": "pigeon"}, "EMAIL_ADAPTER", id="routes"),
        pytest.param(RECORDS, PROD | DATABASE, "SECRET_KEY_BASE", id="records"),
        pytest.param(RECORDS, DATABASE | {"CACHE_ADAPTER": "redis"}, "REDIS_URL", id="cache"),
        pytest.param(PLANS, DATABASE | REAL, "RECIPIENT_ALLOWLIST", id="plans"),
        pytest.param(BROKER, PROD, "KAFKA_HOSTS", id="broker"),
        pytest.param(BROKER, KAFKA | {"KAFKA_SSL": "perhaps"}, "KAFKA_SSL", id="unreadable"),
    ],
)
def test_and_says_what_is_missing(scope, environ, lacking):
    with pytest.raises(SettingsError) as caught:
        load_settings(environ, cwd=NOWHERE, scope=scope)
    assert {problem.where.partition(" ")[0] for problem in caught.value.problems} - _DERIVED == {lacking}


def test_advice_is_for_what_runs():
    environ = DATABASE | KAFKA | {"SMS_ADAPTRE": "twilio"}
    assert load_settings(environ, cwd=NOWHERE).warnings
    assert not load_settings(environ, cwd=NOWHERE, scope=RECORDS).warnings


@pytest.fixture
def environment(monkeypatch, tmp_path):
    """Production, of which nothing is configured but what a test adds."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("ENVIRONMENT", "prod")
    return monkeypatch


_DATABASE = ["DATABASE_URL"]
_KEYS = ["DATABASE_URL", "SECRET_KEY_BASE"]
_BEFORE = ["--before", "2026-01-01T00:00:00Z"]
_ID = "0" * 32


@pytest.mark.parametrize(
    ("words", "lacking"),
    [
        (["migrate"], _DATABASE),
        (["pause", "--all"], _DATABASE),
        (["resume", "--all"], _DATABASE),
        (["pin", "twilio/sms", "--for", "1h"], _DATABASE),
        (["unpin", "twilio/sms"], _DATABASE),
        (["cancel", "--type", "welcome", *_BEFORE], _KEYS),
        (["in-doubt"], _KEYS),
        (["resolve", f"{_ID}-1", "--as", "sent", "--reason", "seen"], _KEYS),
        (["explain", _ID], _KEYS),
        (["ledger"], _KEYS),
        (["holds"], _KEYS),
        (["send", "ada", "welcome"], _KEYS),
        (["quarantine", "list"], _KEYS),
        (["dead-letters", "list"], _KEYS),
        (["topics", "create"], ["KAFKA_HOSTS"]),
        (["publish", "events.jsonl"], ["KAFKA_HOSTS"]),
        (["serve"], ["PUBLIC_HOST", "DATABASE_URL", "KAFKA_HOSTS", "SECRET_KEY_BASE"]),
        (["check", "--offline"], ["PUBLIC_HOST", "DATABASE_URL", "KAFKA_HOSTS", "SECRET_KEY_BASE"]),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else None,
)
def test_exit_code_2_names_what_the_command_needs(environment, words, lacking, capsys):
    assert main(words) == 2
    said = {line[4:].split(" ")[0].rstrip(":") for line in capsys.readouterr().err.splitlines() if line[:4] == "  - "}
    assert said - _DERIVED == set(lacking)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unavailable("gone"), 1),
        (Conflict("again"), 1),
        (Misconfigured("wrong"), 2),
        (MissingExtra("Kafka", "kafka"), 2),
    ],
    ids=lambda value: type(value).__name__,
)
def test_what_failed_is_told_from_what_is_wrong(environment, error, code, capsys):
    def fails(_):
        raise error

    environment.setattr("fn_notifications.entrypoints.cli.migrate.run", fails)
    assert main(["migrate"]) == code
    assert capsys.readouterr().err.startswith(f"fn-notifications: {error}")


def test_exit_code_0_says_that_it_is_done(environment, capsys):
    environment.setenv("ENVIRONMENT", "dev")
    assert main(["check", "--offline"]) == 0
    assert capsys.readouterr().out
