"""Every variable there is, in the order the reference shows them."""

from types import ModuleType
from typing import Any, Final

from attrs import astuple

from fn_notifications.entrypoints.settings.variable import Section, Variable
from fn_notifications.entrypoints.settings.variables import channels, security, service, stores


def _declared(module: ModuleType) -> list[Variable[Any]]:
    return [value for value in vars(module).values() if isinstance(value, Variable)]


_PER_CHANNEL: Final[list[Variable[Any]]] = [
    variable for of_one in channels.CHANNELS.values() for variable in astuple(of_one, recurse=False)
]
_UNSORTED: Final = [
    *(variable for module in (service, stores, channels, security) for variable in _declared(module)),
    *_PER_CHANNEL,
    *security.LATER,
]
_ORDER: Final = tuple(Section)

VARIABLES: Final[tuple[Variable[Any], ...]] = tuple(
    sorted(_UNSORTED, key=lambda variable: _ORDER.index(variable.section))
)
