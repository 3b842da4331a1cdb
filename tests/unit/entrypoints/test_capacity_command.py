"""`capacity` as somebody types it, and the figures it is shipped with."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from fn_notifications.application.errors import Misconfigured
from fn_notifications.entrypoints.capacity.figures import figures_in, figures_of, shipped
from fn_notifications.entrypoints.cli.main import main

ROOT = Path(__file__).parents[3]
SHOWN = re.compile(r"^(?:\$ )?fn-notifications (capacity (?:.*\\\n)*.*)$", re.MULTILINE)
"""A command as a page shows it, over as many lines as it takes."""
ASKED = ["capacity", "--rate", "1000", "--channels", "email=0.9,sms=0.2"]
BENCH = {
    "cpu_ms": {
        "intake": {"worker": 0.5, "postgres": 0.1, "kafka": 0.01},
        "dispatch": {"worker": 1.0, "postgres": 0.4},
        "email_alone": {"worker": 1.2, "postgres": 0.5},
        "email_batch": {"worker": 0.21, "postgres": 0.104},
        "relay": {"worker": 0.05, "postgres": 0.02},
        "receipts": {"worker": 0.2, "postgres": 0.1},
    },
    "more": {
        "email_batch": {"messages_per_call": 100.0},
        "pipeline": {"bytes_kept": 3000.0, "wal_bytes": 6000.0},
        "receipts": {"bytes_kept": 1000.0, "wal_bytes": 2000.0},
        "memory": {"resident_mb": 90.0},
    },
}


def bench(folder: Path, document: object = BENCH) -> Path:
    file = folder / "bench.json"
    file.write_text(json.dumps(document))
    return file


def said(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    assert main([*ASKED, *words]) == 0
    return capsys.readouterr().out


def test_the_table(tmp_path, capsys):
    times = ("--call-ms", "email=100,sms=300", "--limits", "sms=150", "--daily", "1000000", "--utilisation", "0.5")
    file = bench(tmp_path)

    assert (
        said(capsys, *times, "--cores", "2", "--figures", str(file))
        == f"""\
1,000 events/s at the peak, no core and no slot busier than 50%
CPU and bytes as measured: {file}

work         each second  service ms  PostgreSQL ms
intake           1,100.0       0.500          0.100
email              900.0       0.300          0.140
sms                200.0       1.000          0.400
relay            2,200.0       0.050          0.020
reports          2,200.0       0.200          0.100
busy cores                      1.57           0.58

channel          calls/s on the wire          slots
email               90.0         9.0             40
sms                200.0        60.0            120

service     4 processes on 2 machines of 2 cores; 360 MB of memory
PostgreSQL  2 cores; up to 40 connections
disk        5.5 GB a day, 2.01 TB for 365 days
WAL         11 MB/s at the peak
Kafka       4 partitions or more in each busy topic
bends first the provider's limit for sms at 750 events/s, then slots for sms at 2,000 events/s
backlog     100,000 events: not gone before the peak is over
too much    sms: the account takes 150 a second, 50 a second more wait

settings of each machine
  PROCESSES=2
  OBAN_QUEUES=default:10,notifications:40,retries:5
  EMAIL_POOL_MAX_CONCURRENCY=10
  EMAIL_BATCH=10
  SMS_POOL_MAX_CONCURRENCY=30
  SMS_RATE=150
  POOL_SIZE=10
  RETENTION_DAYS=365
"""
    )


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--rate", "0.5", "--backlog", "1"), "backlog     1 event: gone after 0 s of the peak"),
        (("--backlog", "1000000000000"), " days of the peak"),
        (("--rate", "300000"), "connections; raise max_connections or put a pooler before it"),
        (("--rate", "0.5"), "1 process on 1 machine of 4 cores"),
        (("--retention", "1"), " for 1 day\n"),
        (("--rate", "900000", "--retention", "36500"), " PB for 36500 days"),
    ],
)
def test_words_fit_their_numbers(words, expected, capsys):
    assert expected in said(capsys, *words).replace("36,500", "36500")


def test_json_says_the_same_for_programs(tmp_path, capsys):
    document = json.loads(said(capsys, "--json", "--figures", str(bench(tmp_path))))

    assert document.keys() == {
        "measured", "demand", "work", "service_cores", "postgres_cores", "processes", "machines", "memory_mb",
        "postgres_cpus", "connections", "partitions", "lanes", "settings", "disk_per_day", "disk_kept",
        "wal_per_second", "bounds", "relay_share", "drain_seconds",
    }  # fmt: skip
    assert document["measured"] == str(tmp_path / "bench.json")
    assert document["demand"]["channels"] == {"email": 0.9, "sms": 0.2}
    assert (document["demand"]["batch"], document["demand"]["retention"]) == (10, 365)
    assert document["settings"]["PROCESSES"] == str(document["processes"])
    assert document["work"][0] == {"name": "intake", "per_second": 1100.0, "cost": {"service": 0.5, "postgres": 0.1}}
    assert document["bounds"][0].keys() == {"resource", "rate"}


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("--rate", "0"), "argument --rate: expected a number from 0.001 to 999999, not '0'"),
        (("--rate", "many"), "argument --rate: expected a number from 0.001 to 999999, not 'many'"),
        (("--channels", "email"), "argument --channels: expected channel=number pairs such as email="),
        (("--channels", "email=0"), "argument --channels: expected a number from 0.0001 to 100, not '0'"),
        (("--channels", "pager=1"), "such as email=0.8,sms=0.2, each of email, sms, whatsapp at most once, not 'pager"),
        (("--channels", "sms=1,sms=2"), "at most once, not 'sms=1,sms=2'"),
        (("--channels", ""), "argument --channels: expected channel=number pairs"),
        (("--batch", "0"), "argument --batch: expected a whole number from 1 to 1000, not '0'"),
        (("--call-ms", "email=fast"), "argument --call-ms: expected a number from 0.1 to 600000, not 'fast'"),
        (("--limits", "email=0"), "argument --limits: expected a number from 0.01 to 100000, not '0'"),
        (("--reports", "-1"), "argument --reports: expected"),
        (("--daily", "1.5"), "argument --daily: expected a whole number of events from 1 to"),
        (("--retention", "0"), "argument --retention: expected a whole number of days from 1 to 36500"),
        (("--cores", "257"), "argument --cores: expected a whole number from 1 to 256, not '257'"),
        (("--utilisation", "1.1"), "argument --utilisation: expected a number from 0.05 to 1, not '1.1'"),
        (("--backlog", "some"), "argument --backlog: expected a whole number of events from 1 to"),
    ],
)
def test_what_cannot_be_meant_is_refused(words, expected, capsys):
    with pytest.raises(SystemExit) as ended:
        main([*ASKED, *words])
    assert ended.value.code == 2
    assert expected in capsys.readouterr().err


def test_a_channel_that_is_not_used_is_named(capsys):
    assert main([*ASKED, "--limits", "whatsapp=5"]) == 2
    assert capsys.readouterr().err == (
        "fn-notifications: --limits names whatsapp: name it in --channels too, or leave it out here\n"
    )


def test_a_file_that_is_not_there_or_holds_no_json_is_named_with_what_makes_one(tmp_path, capsys):
    for text, expected in ((None, "No such file or directory"), ("rates:", "no JSON"), ("\xff", "no JSON")):
        file = tmp_path / "bench.json"
        if text:
            file.write_text(text, encoding="latin-1")
        assert main([*ASKED, "--figures", str(file)]) == 2
        assert (
            capsys.readouterr().err == f"fn-notifications: {file}: {expected}; `make bench` writes build/bench.json\n"
        )


@pytest.mark.parametrize("wrong", [None, "0.5", -0.1, True, float("nan"), float("inf")])
def test_a_figure_that_is_none_is_named_with_what_measures_it(wrong, tmp_path):
    document = {**BENCH, "cpu_ms": {**BENCH["cpu_ms"], "relay": {"worker": wrong, "postgres": 0.1}}}
    with pytest.raises(
        Misconfigured, match=r"cpu_ms.relay.worker must be a number from 0; a whole run of `make bench`"
    ):
        figures_in(bench(tmp_path, document))


def test_two_sizes_of_calls_are_needed():
    document = {**BENCH, "more": {**BENCH["more"], "email_batch": {"messages_per_call": 1.0}}}
    with pytest.raises(Misconfigured, match=r"here: more.email_batch.messages_per_call must be a number above 1;"):
        figures_of(document, "here")


@pytest.mark.parametrize("document", [[], None, 1, {}, {"cpu_ms": []}])
def test_another_document_is_refused(document):
    with pytest.raises(Misconfigured, match=r"here: cpu_ms.intake.worker must be"):
        figures_of(document, "here")


def test_what_is_shipped_has_all_that_is_calculated_with_and_says_where_it_is_from():
    figures = shipped()

    assert figures.measured.startswith("fn-notifications ")
    assert " cores of " in figures.measured
    assert 0 < figures.email(100).service < figures.alone.service
    assert figures.delivery_room.kept > figures.report_room.kept > 0
    assert figures.resident_mb > 0


@pytest.mark.parametrize("page", ["explanation/capacity.md", "how-to/run-in-production.md"])
def test_the_commands_of_the_pages_run_and_print_what_stands_below_them(page, tmp_path, monkeypatch, capsys):
    (tmp_path / "build").mkdir()
    bench(tmp_path / "build")
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / page).read_text("utf-8")
    commands = list(SHOWN.finditer(text))

    assert commands
    for command in commands:
        assert main(shlex.split(command[1].replace("\\\n", " "))) == 0
        printed = capsys.readouterr().out
        if command[0].startswith("$ "):
            assert text[command.end() + 1 :].startswith(f"{printed}```")


def test_it_needs_nothing_but_the_base_install():
    program = f"""
import sys
from fn_notifications.entrypoints.cli.main import main
code = main({ASKED!r})
print(sorted({{name.partition(".")[0] for name in sys.modules}} - sys.stdlib_module_names), file=sys.stderr)
sys.exit(code)
"""
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)

    vendors = {"aiohttp", "confluent_kafka", "cryptography", "jinja2", "opentelemetry", "psycopg", "redis", "structlog"}
    assert vendors.isdisjoint(re.findall(r"\w+", run.stderr))


def test_what_the_relay_cannot_carry_is_said(tmp_path, capsys):
    """It is one core for all machines: 0.05 ms for each of 20,000 results."""
    out = said(capsys, "--rate", "10000", "--channels", "email=1", "--figures", str(bench(tmp_path)))
    assert "too much    relay: one core publishes the results of all, and 100% of it would be busy\n" in out


def test_a_day_that_cannot_be_is_refused(capsys):
    assert main([*ASKED, "--daily", "86400001"]) == 2
    assert "--daily is more than --rate makes in a day, 86,400,000" in capsys.readouterr().err


def test_figures_too_deep_to_be_any_are_refused(tmp_path, capsys):
    file = tmp_path / "deep.json"
    file.write_text("[" * 100_000)
    assert main([*ASKED, "--figures", str(file)]) == 2
    assert "no JSON" in capsys.readouterr().err
