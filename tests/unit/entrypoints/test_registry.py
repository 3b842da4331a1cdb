"""Names to code: late, and with a word about what is missing."""

import sys

import pytest

from fn_notifications.application.errors import Misconfigured, MissingExtra
from fn_notifications.entrypoints.cli import main as cli
from fn_notifications.entrypoints.registry import _EXTRAS, PROVIDERS, provider, resolve


class Absent:
    """An import hook for a machine on which a package is not installed."""

    def __init__(self, package: str) -> None:
        self.package = package

    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == self.package:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


@pytest.fixture
def without(monkeypatch):
    """Make a package, and everything of ours that was loaded with it, go away; and all come back as it was."""
    before = dict(sys.modules)
    known = [
        (before[parent], child, module)
        for name, module in before.items()
        for parent, _, child in [name.rpartition(".")]
        if parent in before and getattr(before[parent], child, None) is module
    ]

    def hide(package: str) -> None:
        for name in [name for name in sys.modules if name.partition(".")[0] in (package, "fn_notifications")]:
            if name.startswith((package, "fn_notifications.adapters", "fn_notifications.entrypoints.providers")):
                del sys.modules[name]
        monkeypatch.setattr(sys, "meta_path", [Absent(package), *sys.meta_path])

    yield hide
    for name in sys.modules.keys() - before.keys():
        del sys.modules[name]
    sys.modules.update(before)
    for parent, child, module in known:
        # A package knows its modules as well, and by now those that were loaded a second time.
        setattr(parent, child, module)


@pytest.mark.parametrize(("package", "extra"), sorted(_EXTRAS.items()))
def test_a_missing_extra_names_the_pip_line(package, extra, without, tmp_path, monkeypatch):
    module = f"needs_{package}"
    (tmp_path / f"{module}.py").write_text(f"import {package}.anything\n")
    monkeypatch.syspath_prepend(tmp_path)
    without(package)
    with pytest.raises(MissingExtra, match=rf"pip install 'fn-notifications\[{extra}\]'"):
        resolve(module)


def test_a_provider_whose_sdk_is_not_installed_says_so(without):
    without("twilio")
    with pytest.raises(MissingExtra, match=r"fn-notifications\[twilio\]"):
        provider("twilio")


def test_the_command_line_says_it_in_two_lines_and_no_traceback(without, capsys, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    without("twilio")

    def load(_):
        return lambda _: provider("twilio")

    monkeypatch.setattr(cli, "resolve", load)
    assert cli.main(["check"]) == 2
    said = capsys.readouterr().err
    assert "pip install 'fn-notifications[twilio]'" in said
    assert "Traceback" not in said


def test_a_module_of_ours_that_is_missing_is_our_bug_and_not_an_extra():
    with pytest.raises(ModuleNotFoundError):
        resolve("fn_notifications.adapters.nonsense")


def test_every_provider_named_here_has_senders_and_doors():
    for name in PROVIDERS:
        module = provider(name)
        assert callable(module.sender)
        assert callable(module.doors)


def test_a_provider_nobody_knows_is_named_with_those_that_are():
    with pytest.raises(Misconfigured, match=r"'pigeon'.*local, sendgrid, twilio"):
        provider("pigeon")
