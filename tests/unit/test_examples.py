"""What the documentation shows runs, and does what it says."""

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from fn_notifications.adapters.jmespath.paths import JmesPaths
from fn_notifications.adapters.memory.addresses import StrictAddresses
from fn_notifications.adapters.templates.jinja import JinjaRenderer
from fn_notifications.adapters.zones.tz import zone
from fn_notifications.application.loading import load
from fn_notifications.application.ports.intake import DeadReason, EventOutcome
from fn_notifications.domain.reasons import SENTENCES

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
CATALOGUE = ROOT / "src/fn_notifications/catalogue"
FILES = re.compile(r"^`([\w/]+\.\w+)`\n\n```\w+\n(.*?)```", re.DOTALL | re.MULTILINE)
"""Blocks of a page that are whole files: the name stands alone on the line before."""


def page(name: str) -> str:
    return (DOCS / name).read_text("utf-8")


def output_of(*command: str | Path, cwd: Path = ROOT) -> str:
    """What a script prints. It finds what lies in its folder, as an installed package would be found."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(cwd), os.environ.get("PYTHONPATH", "")])}
    run = subprocess.run(
        [sys.executable, *command], cwd=cwd, env=environment, capture_output=True, text=True, check=False, timeout=120
    )
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_the_library_example_prints_what_readme_says() -> None:
    section = (ROOT / "README.md").read_text("utf-8").partition("## As a library")[2]
    expected = re.findall(r"```text\n(.*?)```", section, re.DOTALL)[0]

    assert output_of("examples/library.py") == expected


def test_the_page_about_the_domain_shows_the_example_and_what_it_prints() -> None:
    code = (ROOT / "examples/why_not.py").read_text("utf-8").partition("\n\n")[2]
    printed = output_of("examples/why_not.py")

    assert f"```python\n{code}```\n\n```text\n{printed}```" in page("how-to/use-the-domain.md")


@pytest.mark.parametrize("name", ["how-to/use-the-domain.md", "tutorial/first-notification.md"])
def test_every_program_of_a_page_prints_what_stands_below_it(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    names: dict[str, Any] = {"__name__": "page"}
    programs = re.findall(r"```python\n(.*?)```\n\n```text\n(.*?)```", page(name), re.DOTALL)
    assert len(programs) == page(name).count("```python")
    for code, expected in programs:
        exec(compile(code, name, "exec"), names)
        assert capsys.readouterr().out == expected


def test_the_adapter_of_the_page_keeps_the_contract_and_is_found(tmp_path: Path) -> None:
    for name, text in FILES.findall(page("how-to/write-an-adapter.md")):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    project = tomllib.loads((tmp_path / "pyproject.toml").read_text())["project"]
    installed = tmp_path / "acme_sms-0.1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-sms\nVersion: 0.1\n")
    for group, names in project["entry-points"].items():
        lines = [f"{name} = {module}\n" for name, module in names.items()]
        (installed / "entry_points.txt").write_text(f"[{group}]\n" + "".join(lines))

    options = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    tested = output_of(
        "-m", "pytest", "-q", "-W", "error", "-p", "no:cacheprovider", *options, "test_acme.py", cwd=tmp_path
    )
    assert " passed" in tested
    found = "from fn_notifications.entrypoints.registry import provider as p; print(p('acme').sender, p('acme').doors)"
    assert output_of("-c", found, cwd=tmp_path).count("<function ") == 2
    output_of("-c", "import serve", cwd=tmp_path)


def test_the_event_of_the_page_is_a_catalogue_with_its_templates(tmp_path: Path) -> None:
    text = page("how-to/add-an-event.md")
    folder = tmp_path / "en/post_flagged"
    folder.mkdir(parents=True)
    for name, template in FILES.findall(text):
        (folder / name).write_text(template)
    document = tomllib.loads((CATALOGUE / "findly.toml").read_text("utf-8"))
    for added in re.findall(r"```toml\n(.*?)```", text, re.DOTALL):
        for table, entries in tomllib.loads(added).items():
            document[table] |= entries

    catalogue = load(document, JmesPaths(), StrictAddresses(), zone)

    assert "post.flagged" in catalogue.events
    assert JinjaRenderer(catalogue, [tmp_path, CATALOGUE / "templates"], zone).problems() == []


def test_the_page_about_events_names_every_outcome_and_reason() -> None:
    text = page("reference/events.md")

    assert [word for word in (*EventOutcome, *DeadReason) if f"`{word}`" not in text] == []
    assert [code for code, said in SENTENCES.items() if f"| `{code}` | {said} |" not in text] == []


def test_every_promise_is_held_by_files_that_exist() -> None:
    named = re.findall(r"`((?:tests|contracts|src)/[\w/]+\.py)`", page("explanation/promises.md"))
    contracts = "src/fn_notifications/testing/contracts/"
    paths = [name.replace("contracts/", contracts, 1) if name.startswith("contracts/") else name for name in named]

    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).is_file()] == []
