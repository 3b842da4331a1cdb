"""Where values come from, which place wins, and how their names may be written."""

from pathlib import Path

import pytest

from fn_notifications.entrypoints.settings import Environment, SettingsError, load_settings
from fn_notifications.entrypoints.settings.dotenv import parse_dotenv

NOWHERE = Path("/nonexistent")


def wheres(error: pytest.ExceptionInfo[SettingsError]) -> list[str]:
    return [problem.where for problem in error.value.problems]


def test_the_command_line_wins_over_environment_dotenv_file_and_default(tmp_path):
    (tmp_path / "fn-notifications.toml").write_text("port = 4\npool_size = 4\ntenant = 'four'\nprocesses = 4")
    (tmp_path / ".env").write_text("PORT=3\nPOOL_SIZE=3\nTENANT=three\n")
    environ = {"PORT": "2", "POOL_SIZE": "2"}

    settings = load_settings(environ, cwd=tmp_path, overrides={"PORT": "1"})

    assert (settings.http.port, settings.database.pool_size) == (1, 2)
    assert (settings.tenant, settings.processes, settings.telemetry.log_level) == ("three", 4, "info")


def test_a_blank_value_says_not_set_to_the_places_below(tmp_path):
    (tmp_path / ".env").write_text("MIX_ENV=prod\n")

    assert load_settings({"ENVIRONMENT": " "}, cwd=tmp_path).environment is Environment.DEV


def test_an_older_spelling_in_a_stronger_place_wins(tmp_path):
    (tmp_path / ".env").write_text("ENVIRONMENT=prod\n")

    assert load_settings({"MIX_ENV": "test"}, cwd=tmp_path).environment is Environment.TEST


@pytest.mark.parametrize(
    "pair",
    [
        {"MIX_ENV": "dev", "ENVIRONMENT": "test"},
        {"PHX_HOST": "a.example.com", "PUBLIC_HOST": "b.example.com"},
        {"KAFKA_HOSTS": "a:1", "KAFKA_BOOTSTRAP_SERVERS": "b:1"},
        {"KAFKA_USERNAME": "a", "KAFKA_API_KEY": "b", "KAFKA_PASSWORD": "p"},
        {"KAFKA_PASSWORD": "a", "KAFKA_API_SECRET": "b", "KAFKA_USERNAME": "u"},
        {"KAFKA_GROUP_ID": "a", "KAFKA_CONSUMER_GROUP": "b"},
    ],
)
def test_two_names_of_one_setting_must_agree(pair):
    environ = {"DATABASE_URL": "postgres://h/d", "KAFKA_HOSTS": "h:1"} | pair

    with pytest.raises(SettingsError) as caught:
        load_settings(environ, cwd=NOWHERE)

    assert len(caught.value.problems) == 1
    assert all(name in wheres(caught)[0] for name in list(pair)[:2])
    agreeing = environ | dict.fromkeys(list(pair)[:2], next(iter(pair.values())))
    assert load_settings(agreeing, cwd=NOWHERE)


def test_a_problem_goes_by_the_name_and_the_place_that_were_used(tmp_path):
    (tmp_path / ".env").write_text("KAFKA_BOOTSTRAP_SERVERS=nowhere\n")
    (tmp_path / "fn-notifications.toml").write_text("[phx]\nhost = 'https://a.example.com'")

    with pytest.raises(SettingsError) as caught:
        load_settings({"MIX_ENV": "staging", "DATABASE_URL": "postgres://h/d"}, cwd=tmp_path, overrides={"PORT": "x"})

    assert sorted(wheres(caught)) == [
        "KAFKA_BOOTSTRAP_SERVERS (.env)",
        "MIX_ENV (environment)",
        "PHX_HOST (fn-notifications.toml)",
        "PORT (command line)",
    ]


def test_a_toml_files_tables_lists_and_types_become_variables(tmp_path):
    (tmp_path / "other.toml").write_text(
        """
        database_url = "postgresql://h/d"
        role = ["intake", "http"]
        INTAKE_START = 2026-11-01T00:00:00+01:00
        [kafka]
        hosts = ["a:1", "b:2"]
        ssl = true
        [circuit_breaker]
        failure-threshold = 9
        """
    )

    settings = load_settings({"CONFIG_FILE": "other.toml"}, cwd=tmp_path)

    assert settings.kafka.hosts == ("a:1", "b:2")
    assert settings.kafka.tls
    assert settings.circuit.failures == 9
    assert settings.intake.start.isoformat() == "2026-10-31T23:00:00+00:00"
    assert len(settings.roles) == 2


@pytest.mark.parametrize(
    ("content", "where"),
    [
        ("port = = 1", "fn-notifications.toml"),
        (b"port = '\xff'", "fn-notifications.toml"),
        ("port = [[1]]", "PORT (fn-notifications.toml)"),
        ("kafka_hosts = 'a:1'\n[kafka]\nhosts = 'b:1'", "KAFKA_HOSTS (fn-notifications.toml)"),
    ],
)
def test_a_toml_file_that_cannot_be_read_is_a_problem(tmp_path, content, where):
    (tmp_path / "fn-notifications.toml").write_bytes(content if isinstance(content, bytes) else content.encode())

    with pytest.raises(SettingsError) as caught:
        load_settings({"DATABASE_URL": "postgres://h/d", "ROLE": "http"}, cwd=tmp_path)

    assert wheres(caught) == [where]


def test_a_toml_file_that_was_asked_for_must_exist(tmp_path):
    with pytest.raises(SettingsError) as caught:
        load_settings({}, cwd=tmp_path, overrides={"CONFIG_FILE": "absent.toml"})

    assert wheres(caught) == ["CONFIG_FILE"]


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("A=b", "b"),
        ("export A=b", "b"),
        ("  A = b  ", "b"),
        ("A=b # said", "b"),
        ("A=b\t# said", "b"),
        ("A=b#c", "b#c"),
        ("A=#b", "#b"),
        ("A= # said", ""),
        ("A=", ""),
        ("A=x=y==", "x=y=="),
        ("A=two words", "two words"),
        ("A='b # c'", "b # c"),
        ("A='b' # said", "b"),
        (r"A='b\n'", r"b\n"),
        (r'A="b\n\"c\" \\ \$d \q"', 'b\n"c" \\ $d \\q'),
        ('A="b # c" # said', "b # c"),
        ("A=${B}", "${B}"),
        ("A=b\r", "b"),
        ("\ufeffA=b", "b"),
        ("A=a\nA=b", "b"),
        (" \n  # said\nA=b\n", "b"),
    ],
)
def test_a_dotenv_line(line, value):
    parsed = parse_dotenv(line)

    assert parsed.values == {"A": value}
    assert parsed.unreadable == ()


@pytest.mark.parametrize("line", ["A='b", 'A="b', "A='b' c", 'A="b"c', r'A="b\"'])
def test_a_quote_that_does_not_close_is_no_value(line):
    assert parse_dotenv(f"# said\n\n{line}").unreadable == ((3, "A"),)


def test_a_dotenv_line_that_spoils_a_setting_stops_the_start(tmp_path):
    (tmp_path / ".env").write_text("PORT='4000\n")

    with pytest.raises(SettingsError) as caught:
        load_settings({}, cwd=tmp_path)

    assert wheres(caught) == ["PORT (.env line 1)"]


def test_a_dotenv_that_is_no_text_stops_the_start(tmp_path):
    (tmp_path / ".env").write_bytes(b"PORT=\xff")

    with pytest.raises(SettingsError) as caught:
        load_settings({}, cwd=tmp_path)

    assert wheres(caught) == [".env"]


def test_a_dotenv_line_that_may_be_somebody_elses_does_not(tmp_path):
    (tmp_path / ".env").write_text("THEIRS='-----BEGIN\nMIIB\nTENANT=t\n")

    settings = load_settings({}, cwd=tmp_path)

    assert settings.tenant == "t"
    assert settings.warnings == (".env line 2 is not NAME=value and is passed over",)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("KAFKA_HOST", "KAFKA_HOSTS"),
        ("TWILLIO_AUTH_TOKEN", "TWILIO_AUTH_TOKEN"),
        ("CIRCUIT_BREAKER_TRESHOLD", "CIRCUIT_BREAKER_FAILURE_THRESHOLD"),
        ("SECRET_KEY", "SECRET_KEY_BASE"),
    ],
)
def test_a_name_near_one_of_ours_is_pointed_out(name, meant):
    settings = load_settings({name: "hidden"}, cwd=NOWHERE)

    assert settings.warnings == (f"{name} (environment) is not a setting; did you mean {meant}?",)


def test_a_misspelt_name_is_pointed_out_beside_what_is_missing():
    with pytest.raises(SettingsError, match=r"KAFKA_HOST \(environment\) is not a setting; did you mean KAFKA_HOSTS"):
        load_settings({"DATABASE_URL": "postgres://h/d", "KAFKA_HOST": "h:1"}, cwd=NOWHERE)


def test_what_others_put_into_the_environment_is_nobodys_misspelling():
    injected = {
        "KAFKA_PORT": "tcp://h:1",
        "REDIS_SERVICE_HOST": "h",
        "KAFKA_PORT_9092_TCP_ADDR": "h",
        "AWS_REGION": "r",
    }

    assert (
        load_settings(
            injected | {"OTEL_SERVICE_NAME": "n", "KAFKA_HOSTS_PORT": "tcp://h:1", "PORTS": "1"}, cwd=NOWHERE
        ).warnings
        == ()
    )


def test_a_name_nobody_reads_in_our_own_file_is_pointed_out(tmp_path):
    (tmp_path / "fn-notifications.toml").write_text("colour = 'red'")

    assert load_settings({}, cwd=tmp_path).warnings == ("COLOUR (fn-notifications.toml) is not a setting",)


def test_a_name_nobody_reads_on_the_command_line_is_pointed_out():
    settings = load_settings({}, cwd=NOWHERE, overrides={"COLOUR": "red"})

    assert settings.warnings == ("COLOUR (command line) is not a setting",)


def test_a_blank_config_file_is_none(tmp_path):
    (tmp_path / "fn-notifications.toml").write_text("tenant = 't'")

    assert load_settings({"CONFIG_FILE": " "}, cwd=tmp_path).tenant == "t"


def test_what_a_later_version_reads_is_said_so():
    assert load_settings({"MAILGUN_API_KEY": "hidden"}, cwd=NOWHERE).notices == (
        "MAILGUN_API_KEY: not read by this version",
    )
