"""From text in four places to settings, or to one message about everything that is wrong with it."""

from collections.abc import Collection, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from fn_notifications.domain.address import Channel
from fn_notifications.entrypoints.settings import adapters as known
from fn_notifications.entrypoints.settings.advice import misspelt, notices, warnings
from fn_notifications.entrypoints.settings.assemble import assemble
from fn_notifications.entrypoints.settings.check import Check
from fn_notifications.entrypoints.settings.model import Settings
from fn_notifications.entrypoints.settings.plan import Embed, plan
from fn_notifications.entrypoints.settings.problems import SettingsError
from fn_notifications.entrypoints.settings.readings import read_all
from fn_notifications.entrypoints.settings.scope import EVERYTHING, Scope
from fn_notifications.entrypoints.settings.sources import gather
from fn_notifications.entrypoints.settings.variables import VARIABLES

_KNOWN: Final = frozenset(name for variable in VARIABLES for name in variable.names)
_OUTSIDE: Final = frozenset(name for variable in VARIABLES if variable.outside for name in variable.names)
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


def load_settings(
    environ: Mapping[str, str],
    *,
    cwd: Path,
    overrides: Mapping[str, str] = _NOTHING,
    embed: Embed = Embed.WHEN_EMPTY,
    scope: Scope = EVERYTHING,
    adapters: Mapping[Channel, Collection[str]] = known.AVAILABLE,
) -> Settings:
    """The settings of a process started in `cwd`. Reads `.env` and the TOML file there and nothing else.

    `overrides` are the command line's, by variable name. `adapters` are the names each channel may use. Raises
    `SettingsError` with every problem of `scope` at once; what is wrong outside it is left to its default, and whoever
    does not read everything gets no advice.
    """
    gathered = gather(environ, overrides, cwd, _KNOWN)
    hidden = _OUTSIDE if embed is Embed.EVERYTHING else frozenset[str]()
    readings = read_all(VARIABLES, [source.without(hidden) for source in gathered.sources])
    planned = plan(readings, embed)
    check = Check(readings, planned, adapters, scope)
    problems = (*gathered.problems, *readings.problems(scope), *check.problems())
    if problems:
        raise SettingsError(problems, hints=(*gathered.remarks, *misspelt(gathered.sources)))
    if scope != EVERYTHING:
        return assemble(readings, planned, cwd, warnings=(), notices=())
    return assemble(
        readings,
        planned,
        cwd,
        warnings=(*gathered.remarks, *warnings(readings, planned, gathered.sources)),
        notices=tuple(notices(readings, planned, gathered.sources, hidden)),
    )
