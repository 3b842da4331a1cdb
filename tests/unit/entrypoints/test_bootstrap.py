"""What stops the start."""

import shutil

import pytest
from attrs import evolve

from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.ports.telemetry import Silent
from fn_notifications.entrypoints import parts
from fn_notifications.entrypoints.bootstrap import bootstrap
from fn_notifications.entrypoints.settings import Embed, Role, load_settings


@pytest.fixture
def settings(tmp_path):
    """Nothing is embedded yet, so that what is not stopped earlier stops for want of a database."""
    return load_settings({}, cwd=tmp_path, embed=Embed.EVERYTHING)


@pytest.fixture
def broken(monkeypatch, tmp_path):
    """A catalogue with two templates that cannot be used."""
    shutil.copytree(parts._CATALOGUE, tmp_path / "catalogue")
    for name, text in (("body.txt", "{{ colour }}"), ("sms.txt", "{% if %}")):
        (tmp_path / "catalogue/templates/en/welcome" / name).write_text(text)
    monkeypatch.setattr(parts, "_CATALOGUE", tmp_path / "catalogue")


async def _refusal(settings) -> str:
    with pytest.raises(Misconfigured) as refused:
        async with bootstrap(settings, Silent()):
            pass
    return str(refused.value)


@pytest.mark.usefixtures("broken")
async def test_templates_that_cannot_be_used_stop_the_start_and_are_all_named(settings):
    refusal = await _refusal(settings)
    assert "en/welcome/body.txt: undeclared: colour" in refusal
    assert "en/welcome/sms.txt, line 1" in refusal


@pytest.mark.usefixtures("broken")
async def test_they_are_no_matter_to_who_sends_nothing(settings):
    assert await _refusal(evolve(settings, roles=frozenset(Role) - {Role.DISPATCH})) == "DATABASE_URL is missing"


async def test_the_shipped_ones_stop_nothing(settings):
    assert await _refusal(settings) == "DATABASE_URL is missing"
