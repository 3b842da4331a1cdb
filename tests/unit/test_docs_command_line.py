"""The reference page of the command line names every command and argument of the parser, and no other."""

import argparse
import re
from collections.abc import Iterator
from pathlib import Path

from fn_notifications.entrypoints.cli import main

PAGE = (Path(__file__).parents[2] / "docs" / "reference" / "command-line.md").read_text("utf-8")


def commands(parser: argparse.ArgumentParser, prefix: str = "") -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Every command that can be run, by the words it is called with."""
    groups = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not groups:
        yield prefix.strip(), parser
    for group in groups:
        for name, command in group.choices.items():
            yield from commands(command, f"{prefix} {name}")


def arguments(parser: argparse.ArgumentParser) -> list[str]:
    """As the page writes them: `--port PORT`, `--json`, `user`."""
    return [_written(action) for action in parser._actions if not isinstance(action, argparse._HelpAction)]


def _written(action: argparse.Action) -> str:
    if not action.option_strings:
        return str(action.metavar or action.dest)
    flag = action.option_strings[-1]
    return flag if action.nargs == 0 else f"{flag} {action.metavar or action.dest.upper()}"


def described() -> dict[str, list[str]]:
    """Commands by the page's headings, with the first column of the table of each."""
    _, *sections = re.split(r"^## ", PAGE, flags=re.MULTILINE)
    named = (section.partition("\n") for section in sections)
    return {heading: re.findall(r"^\| `([^`]+)`", text, re.MULTILINE) for heading, _, text in named}


def test_every_command_and_argument_is_described() -> None:
    assert described() == {name: arguments(parser) for name, parser in commands(main._parser())}


def test_the_options_of_the_program_itself_are_described() -> None:
    flags = {flag for action in main._parser()._actions for flag in action.option_strings}
    head = PAGE.partition("\n## ")[0]

    assert flags == set(re.findall(r"`(--?[a-z]+)`", head))
