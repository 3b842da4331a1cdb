"""How other commands find the `dev` of their folder."""

import os

from fn_notifications.entrypoints.cli.running import Running, announced, find

RUNNING = Running(
    pid=os.getpid(), url="http://127.0.0.1:4000", broker="127.0.0.1:1", topics=("a", "b"), database="postgresql:///x"
)


def test_a_running_dev_is_found_while_it_runs(tmp_path):
    with announced(tmp_path / "state", RUNNING):
        assert find(tmp_path / "state") == RUNNING
    assert find(tmp_path / "state") is None


def test_what_a_killed_dev_left_behind_is_nobody(tmp_path):
    gone = Running(pid=2**22 + 1, url="u", broker="b", topics=(), database="d")
    with announced(tmp_path, gone):
        assert find(tmp_path) is None


def test_a_file_that_says_nothing_is_nobody(tmp_path):
    (tmp_path / "dev.json").write_text("{")
    assert find(tmp_path) is None
    (tmp_path / "dev.json").write_text('{"pid": 1}')
    assert find(tmp_path) is None
