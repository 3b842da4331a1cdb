"""The one chain every log line goes through."""

import io
import json
import logging
import subprocess
import sys
from contextlib import contextmanager

import pytest

from fn_notifications.adapters.telemetry.logs import configure_logs
from fn_notifications.application.redaction import Redaction

SECRET = "canary-secret-4711"
PERSON = "canary.person@example.com"


class Log:
    def __init__(self, logger, stream):
        self.logger, self.stream = logger, stream

    @property
    def text(self):
        return self.stream.getvalue()

    @property
    def lines(self):
        return [json.loads(line) for line in self.text.splitlines()]


@contextmanager
def logging_at(level="info", *, as_json=True, stream=None):
    stream = stream or io.StringIO()
    with configure_logs(level, json=as_json, stream=stream, redaction=Redaction([SECRET])) as logger:
        yield Log(logger, stream)


def test_a_line_is_a_json_object_with_time_level_event_and_fields():
    with logging_at() as log:
        log.logger.warning("delivery.odd", number=7, share=0.5, known=True, nothing=None)

    (line,) = log.lines
    assert line.pop("timestamp").endswith("Z")
    assert line == {
        "event": "delivery.odd",
        "level": "warning",
        "number": 7,
        "share": 0.5,
        "known": True,
        "nothing": None,
    }


def test_the_engine_is_heard_from_its_level_up():
    with logging_at("warning") as log:
        log.logger.info("quiet")
        log.logger.warning("loud")

    assert [line["event"] for line in log.lines] == ["loud"]


def test_libraries_are_heard_from_warning_up_whatever_the_level():
    with logging_at("debug") as log:
        log.logger.debug("own")
        logging.getLogger("library.client").info("-- BEGIN REQUEST --")
        logging.getLogger("library.client").warning("connection %s lost", 3)

    assert [(line["event"], line.get("logger")) for line in log.lines] == [
        ("own", None),
        ("connection 3 lost", "library.client"),
    ]


def test_libraries_are_not_heard_below_the_level_either():
    with logging_at("error") as log:
        logging.getLogger("library").warning("quiet")

    assert log.text == ""


def _fail(person):
    token = SECRET + "-as-a-local"
    raise ValueError(f"cannot reach {person} with {SECRET}", len(token))


@pytest.mark.parametrize("as_json", [True, False])
def test_a_traceback_has_neither_addresses_nor_secrets_nor_locals(as_json):
    with logging_at(as_json=as_json) as log:
        try:
            _fail(PERSON)
        except ValueError:
            logging.getLogger("library").exception("it broke for %s", PERSON)

    assert "ValueError: ('cannot reach [address] with [secret]'" in log.text
    assert "in _fail" in log.text
    assert "canary" not in log.text
    assert "as-a-local" not in log.text


def test_the_causes_of_an_exception_are_redacted_too():
    def cause():
        try:
            _fail(PERSON)
        except ValueError as error:
            raise RuntimeError("given up on +15005550006") from error

    with logging_at() as log:
        try:
            cause()
        except RuntimeError as error:
            log.logger.warning("broke", exc_info=error)

    (line,) = log.lines
    assert "RuntimeError: given up on [number]" in line["exception"]
    assert "canary" not in log.text


def test_a_tracebacks_lines_stay_lines_and_a_fields_do_not():
    with logging_at() as log:
        try:
            _fail("nobody")
        except ValueError:
            log.logger.exception("broke", why="one\ntwo")

    (line,) = log.lines
    assert line["exception"].startswith("Traceback (most recent call last):\n")
    assert line["why"] == "one two"


class Person:
    def __repr__(self):
        return f"<Person {PERSON}>"


def test_what_is_no_text_becomes_redacted_text():
    with logging_at() as log:
        log.logger.info("odd", person=Person(), list=[PERSON], nan=float("nan"), long="x" * 5000)

    (line,) = log.lines
    assert (line["person"], line["list"], line["nan"]) == ("<Person [address]>", "[address]", "nan")
    assert len(line["long"]) == 1000


def test_a_line_that_cannot_be_formatted_is_said_without_its_arguments(capsys):
    with logging_at() as log:
        logging.getLogger("library").error("%d", PERSON)

    (line,) = log.lines
    assert (line["event"], line["level"], line["logger"]) == ("a line that cannot be written", "error", "library")
    assert capsys.readouterr() == ("", "")


class Broken(io.StringIO):
    def write(self, _):
        raise OSError(28, "no space left")


def test_a_stream_that_cannot_be_written_to_stops_nobody(capsys):
    with logging_at(stream=Broken()) as log:
        log.logger.error("lost", to=PERSON)

    assert capsys.readouterr() == ("", "")


def test_letters_a_stream_does_not_have_are_escaped():
    raw = io.BytesIO()
    with logging_at(as_json=False, stream=io.TextIOWrapper(raw, encoding="ascii", write_through=True)) as log:
        log.logger.info("größer")
        said = raw.getvalue()

    assert b"gr\\xf6\\xdfer" in said


def test_text_for_people_has_no_colours_where_nobody_looks():
    with logging_at(as_json=False) as log:
        log.logger.warning("plain", why="because")

    assert "\x1b" not in log.text
    assert "why=because" in log.text


def test_everything_is_as_it_was_afterwards():
    root, own = logging.getLogger(), logging.getLogger("fn_notifications")
    before = root.handlers[:], root.level, own.level

    with logging_at("debug"):
        assert root.handlers != before[0]

    assert (root.handlers[:], root.level, own.level) == before


def test_importing_configures_nothing():
    code = (
        "import logging, structlog\n"
        "import fn_notifications.adapters.telemetry.logs, fn_notifications.adapters.telemetry.metrics\n"
        "print(logging.getLogger().handlers, structlog.is_configured())"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert ran.stdout.split() == ["[]", "False"]


def test_a_level_nobody_knows_is_refused():
    with pytest.raises(KeyError), logging_at("loud"):
        pass
