"""How other commands find the `dev` of their folder."""

import os

import pytest

from fn_notifications.entrypoints.cli.context import settings_of_running
from fn_notifications.entrypoints.cli.running import Running, announced, find
from fn_notifications.entrypoints.settings.scope import RECORDS

RUNNING = Running(
    pid=os.getpid(),
    url="http://127.0.0.1:4000",
    broker="127.0.0.1:1",
    topics=("a", "b"),
    database="postgresql:///x",
    adapters={"email": ("sendgrid",), "sms": ("twilio",), "whatsapp": ("twilio",)},
)


def test_a_running_dev_is_found_while_it_runs(tmp_path):
    with announced(tmp_path / "state", RUNNING):
        assert find(tmp_path / "state") == RUNNING
    assert find(tmp_path / "state") is None


def test_what_a_killed_dev_left_behind_is_nobody(tmp_path):
    gone = Running(pid=2**22 + 1, url="u", broker="b", topics=(), database="d", adapters={})
    with announced(tmp_path, gone):
        assert find(tmp_path) is None


def test_a_file_that_says_nothing_is_nobody(tmp_path):
    (tmp_path / "dev.json").write_text("{")
    assert find(tmp_path) is None
    (tmp_path / "dev.json").write_text('{"pid": 1}')
    assert find(tmp_path) is None


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder in which a `dev` runs, and an environment that says nothing."""
    monkeypatch.chdir(tmp_path)
    for name in list(os.environ):
        monkeypatch.delenv(name)
    with announced(tmp_path / ".fn-notifications", RUNNING):
        yield


def test_commands_go_to_the_dev_of_their_folder_and_know_its_routes(folder, capsys):
    settings = settings_of_running(RECORDS)
    assert settings.database.url.reveal() == RUNNING.database
    assert {channel: lane.adapters for channel, lane in settings.lanes.items()} == RUNNING.adapters
    assert RUNNING.url in capsys.readouterr().err


def test_what_is_configured_counts_wherever_a_dev_runs(folder, monkeypatch, capsys):
    """Whoever stops production must not stop the dev that happens to run here instead."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere.example.com/else")
    monkeypatch.setenv("KAFKA_HOSTS", "kafka.example.com:9092")
    settings = settings_of_running(RECORDS)
    assert settings.database.url.reveal() == "postgresql://somewhere.example.com/else"
    assert RUNNING.url not in capsys.readouterr().err
