"""All that a database holds, comparable: with another that went through the same, whatever chance had a part in."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

import psycopg
from attrs import frozen
from psycopg.sql import SQL, Identifier

_TABLES = """
SELECT c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('r', 'p') AND NOT c.relispartition ORDER BY 1
"""
_SEQUENCES = "SELECT sequencename FROM pg_sequences WHERE schemaname = 'public' ORDER BY 1"

Rows = tuple[Mapping[str, Any], ...]


@frozen
class Contents:
    """Tables and their rows, in no order."""

    tables: Mapping[str, Rows]

    def without(self, chance: Mapping[str, frozenset[str]]) -> Mapping[str, list[str]]:
        """Every table, its rows in one order and without the columns named."""
        return {
            table: sorted(json.dumps({k: v for k, v in row.items() if k not in chance[table]}) for row in rows)
            for table, rows in self.tables.items()
        }


async def contents(url: str) -> Contents:
    """What is committed."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        tables = [name for (name,) in await (await connection.execute(_TABLES)).fetchall()]
        parts = [
            SQL("(SELECT coalesce(json_agg(t), '[]') FROM {} AS t) AS {}").format(Identifier(name), Identifier(name))
            for name in tables
        ]
        row = await (await connection.execute(SQL("SELECT ") + SQL(", ").join(parts))).fetchone()
    assert row is not None
    return Contents(dict(zip(tables, map(tuple, row), strict=True)))


async def stagger(url: str, thousands: int) -> None:
    """Move every sequence on, so that numbers which only count show up as chance."""
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as connection:
        for (name,) in await (await connection.execute(_SEQUENCES)).fetchall():
            await connection.execute(SQL("SELECT setval({}, nextval({}) + {})").format(name, name, 1000 * thousands))


def chance(one: Contents, other: Contents) -> Mapping[str, frozenset[str]]:
    """Which columns differ between two runs of the same thing. Raises AssertionError when more than values do."""
    assert {name: len(rows) for name, rows in one.tables.items()} == {
        name: len(rows) for name, rows in other.tables.items()
    }
    return {name: frozenset(_differing(one.tables[name], other.tables[name])) for name in one.tables}


def _differing(rows: Rows, others: Rows) -> Iterator[str]:
    for column in rows[0] if rows else ():
        if sorted(json.dumps(row[column]) for row in rows) != sorted(json.dumps(row[column]) for row in others):
            yield column
