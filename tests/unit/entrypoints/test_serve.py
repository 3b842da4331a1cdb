"""What `serve` refuses to share among processes."""

import pytest

from fn_notifications.entrypoints.cli.main import main


@pytest.mark.parametrize(
    ("arguments", "configured", "why"),
    [
        (["--embedded"], {}, "embedded parts live in one process"),
        (
            ["--role", "http"],
            {"DATABASE_URL": "postgresql://127.0.0.1:9/none", "KAFKA_HOSTS": "127.0.0.1:9"},
            "HTTP listens in one process",
        ),
    ],
)
def test_what_cannot_be_shared_is_refused(monkeypatch, tmp_path, capsys, arguments, configured, why):
    monkeypatch.chdir(tmp_path)
    for name, value in {"ENVIRONMENT": "test", **configured}.items():
        monkeypatch.setenv(name, value)
    assert main(["serve", "--processes", "2", *arguments]) == 2
    assert why in capsys.readouterr().err
