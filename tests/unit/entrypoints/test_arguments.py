"""What a command line is given: whatever cannot be meant is refused with what is expected, before anything happens."""

import pytest

from fn_notifications.entrypoints.cli.main import main


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
        (["demo", "--timeout", "nan"], "expected a positive number of seconds"),
        (["demo", "--timeout", "soon"], "expected a positive number of seconds"),
    ],
)
def test_what_cannot_be_meant_is_refused(command, said, capsys):
    with pytest.raises(SystemExit) as ended:
        main(command)
    assert ended.value.code == 2
    assert said in capsys.readouterr().err
