"""librdkafka's lines, without the flood."""

import logging

import pytest

from fn_notifications.adapters.kafka.logs import QUIET, ClientLog


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records]


def test_a_kind_of_line_is_said_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    now = 1000.0
    log = ClientLog(lambda: now)
    log.log(logging.ERROR, "connect to %s failed (after %dms)", "127.0.0.1:9092", 3)
    log.log(logging.ERROR, "connect to %s failed (after %dms)", "127.0.0.1:9093", 17)
    log.log(logging.ERROR, "another matter")
    assert said(caplog) == ["connect to 127.0.0.1:9092 failed (after 3ms)", "another matter"]
    now += QUIET
    log.log(logging.ERROR, "connect to %s failed (after %dms)", "127.0.0.1:9092", 4)
    assert said(caplog)[2:] == ["connect to 127.0.0.1:9092 failed (after 4ms)"]


def test_what_is_remembered_is_bounded() -> None:
    log = ClientLog(lambda: 0.0)
    for number in range(1000):
        log.log(logging.INFO, "x" * number)
    assert len(log._said) <= 200
