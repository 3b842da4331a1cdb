"""The variables as rows of a reference."""

from attrs import frozen

from fn_notifications.entrypoints.settings.variable import Section
from fn_notifications.entrypoints.settings.variables import VARIABLES


@frozen(kw_only=True)
class Row:
    """One variable in words."""

    section: Section
    name: str
    aliases: tuple[str, ...]
    default: str | None
    otherwise: str
    expected: str
    meaning: str
    secret: bool
    outside: bool
    """Passed over by `dev` and `demo`."""


def describe() -> tuple[Row, ...]:
    """Every variable, by section and in the order of the table."""
    return tuple(
        Row(
            section=variable.section,
            name=variable.name,
            aliases=variable.aliases,
            default=variable.default,
            otherwise=variable.otherwise,
            expected=variable.kind.expected,
            meaning=variable.meaning,
            secret=variable.secret,
            outside=variable.outside,
        )
        for variable in VARIABLES
    )
