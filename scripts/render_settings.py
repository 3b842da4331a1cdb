"""Print docs/reference/configuration.md, made from the table of variables the service itself reads."""

from itertools import groupby
from typing import Final

from fn_notifications.entrypoints.settings import Row, describe

_HEAD: Final = """\
# Configuration

<!-- Made by scripts/render_settings.py; a test compares the two. -->

Every setting is a variable. The first of these places that names it decides, and a blank value there says it is not
set:

1. the command line,
2. the environment,
3. `.env` in the working directory (`NAME=value`, `export` and quotes allowed; nothing is substituted),
4. a TOML file: `fn-notifications.toml` in the working directory, or the one `CONFIG_FILE` names. Its keys are the
   names below in any case; tables are joined by `_`, so `[kafka]` with `hosts = ["a:9092", "b:9092"]` is `KAFKA_HOSTS`,
5. the default.

With nothing set, `serve` runs on embedded parts. As soon as a database, Kafka or a provider is configured it embeds
nothing, unless `--embedded` asks it to embed what is missing; production never embeds. `dev` and `demo` run on embedded
parts only and pass over what is marked †.

A configuration that cannot work stops the start with one message that names every offending variable and holds no
value of any. `fn-notifications check` says the same without starting.
"""


def _cell(text: str) -> str:
    return text.replace("|", r"\|").replace("<", r"\<")


def _line(row: Row) -> str:
    names = f"`{row.name}`{' †' if row.outside else ''}"
    also = "".join(f" or `{alias}`" for alias in row.aliases)
    default = f"`{_cell(row.default)}`" if row.default is not None else _cell(row.otherwise)
    expected = _cell(row.expected) + (" (secret)" if row.secret else "")
    return f"| {names}{also} | {default} | {expected} | {_cell(row.meaning)} |"


def render() -> str:
    """The whole page, with one table per section."""
    parts = [_HEAD]
    for section, rows in groupby(describe(), key=lambda row: row.section):
        table = ["| variable | default | expected | meaning |", "|---|---|---|---|", *map(_line, rows)]
        parts.append(f"## {section}\n\n" + "\n".join(table) + "\n")
    return "\n".join(parts)


if __name__ == "__main__":
    print(render(), end="")
