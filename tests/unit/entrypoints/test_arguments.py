"""What a command line is given: whatever cannot be meant is refused with what is expected, before anything happens."""

import pytest

from fn_notifications.domain.errors import InvalidValue
from fn_notifications.entrypoints.cli import main as program
from fn_notifications.entrypoints.cli.main import main

_REASON = "expected one line of at most 200 characters and no address"
_CANCEL = ["cancel", "--type", "welcome", "--before", "2026-11-22T15:30:00Z"]


@pytest.mark.parametrize(
    ("command", "said"),
    [
        (["pause", "--type", ""], "it is empty; to mean everything, say --all"),
        (["resume", "--channel", " "], "it is empty; to mean everything, say --all"),
        (["quarantine", "discard", "--user", ""], "it is empty; to mean everything, say --all"),
        (["quarantine", "release", "--type", ""], "it is empty; to mean everything, say --all"),
        (["resolve", "x", "--as", "sent", "--reason", "r", "--channel", ""], "it is empty"),
        (["ledger", "--days", "999999"], "expected a whole number of days from 1 to 36500"),
        (["ledger", "--days", "soon"], "expected a whole number of days from 1 to 36500"),
        (["in-doubt", "--limit", "0"], "expected a whole number from 1 to 1000000"),
        (["in-doubt", "--limit", "-1"], "expected a whole number from 1 to 1000000"),
        (["dead-letters", "list", "--limit", str(10**30)], "expected a whole number from 1 to 1000000"),
        (["dead-letters", "replay", str(2**63)], "expected a number as listed, from 1 to"),
        (["pin", "twilio/sms", "--for", "31d"], "expected a time from 1s to 30d, such as 30m or 2h, not '31d'"),
        (["pin", "twilio/sms", "--for", "soon"], "expected a time from 1s to 30d"),
        (["cancel", "--type", "welcome", "--before", "2026-11-22T15:30:00"], "expected ISO 8601 with an offset"),
        (["cancel", "--type", "welcome", "--before", "noon"], "expected ISO 8601 with an offset"),
        (["resolve", "x", "--as", "sent", "--reason", ""], f"argument --reason: {_REASON}"),
        (["resolve", "--all-in-doubt", "--as", "sent", "--reason", "  "], f"argument --reason: {_REASON}"),
        (["resolve", "x", "--as", "sent", "--reason", "two\nlines"], f"argument --reason: {_REASON}"),
        (["pause", "--all", "--reason", "two\nlines"], f"argument --reason: {_REASON}"),
        (["pause", "--all", "--reason", "ask ada@example.com"], f"argument --reason: {_REASON}"),
        (["pause", "--all", "--by", "ada@example.com"], "argument --by: expected a name of at most 60 characters and"),
        (["pause", "--all", "--by", "+15005550106"], "argument --by: expected a name of at most 60 characters and"),
        (["pin", "twilio/sms", "--for", "2h", "--reason", "x" * 201], f"argument --reason: {_REASON}"),
        ([*_CANCEL, "--reason", "call +1 500 555 0106"], f"argument --reason: {_REASON}"),
        (["send", "ada\nbea", "welcome"], "argument user: expected a user id: one line of at most 255 characters"),
        (["send", " ", "welcome"], "argument user: expected a user id"),
        (["send", "a" * 256, "welcome"], "argument user: expected a user id"),
        (["send", "ada", "welcome", "--key", "k", "name=Ada", "--loud"], "unrecognized arguments: name=Ada --loud"),
        (["ledger", "all"], "unrecognized arguments: all"),
        (["demo", "--timeout", "nan"], "expected a positive number of seconds"),
        (["demo", "--timeout", "soon"], "expected a positive number of seconds"),
    ],
)
def test_what_cannot_be_meant_is_refused(command, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("words", [["a=1", "--key", "k", "b=2"], ["--key", "k", "a=1", "b=2"], ["a=1", "b=2"]])
def test_variables_may_stand_before_and_after_options(words, monkeypatch):
    found = []
    monkeypatch.setattr(program, "resolve", lambda _: lambda arguments: found.append(arguments.variables) or 0)
    assert main(["send", "ada", "welcome", *words]) == 0
    assert found == [["a=1", "b=2"]]


def test_what_the_domain_refuses_is_one_line(monkeypatch, capsys):
    def refuse(_):
        raise InvalidValue("a reason is needed")

    monkeypatch.setattr(program, "resolve", lambda _: refuse)
    assert main(["holds"]) == 2
    assert capsys.readouterr().err == "fn-notifications: a reason is needed\n"
