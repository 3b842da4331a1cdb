"""Which sections of the configuration a command reads. What is wrong in the others is no business of its own."""

from collections.abc import Set as AbstractSet
from typing import Final

from fn_notifications.entrypoints.settings.variable import Section

Scope = AbstractSet[Section]

EVERYTHING: Final[Scope] = frozenset(Section)
"""What runs loops, and whoever checks for it."""
_PROCESS: Final = frozenset({Section.SERVICE, Section.TELEMETRY})
BROKER: Final[Scope] = _PROCESS | {Section.KAFKA}
"""What publishes, or makes topics."""
SCHEMA: Final[Scope] = _PROCESS | {Section.DATABASE}
"""What needs the database and no key to what is in it."""
ROUTES: Final[Scope] = SCHEMA | {Section.CHANNELS}
"""What steers: the database, and the names of the routes."""
RECORDS: Final[Scope] = ROUTES | {Section.SECURITY, Section.QUEUE, Section.CACHE}
"""What reads and changes what is stored, with its keys."""
PLANS: Final[Scope] = RECORDS | {Section.SENDERS}
"""What decides who hears of something: whom it may be at all counts too."""
