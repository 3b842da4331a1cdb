"""Dossiers as JSON: what is written comes back equal; a key too many or a value of another type is not read."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, time, timedelta
from types import MappingProxyType
from typing import Any, Final

from attrs import field, frozen
from cattrs import Converter

from fn_notifications.application.ports.people import Dossier
from fn_notifications.domain.address import Address, EmailAddress, PhoneNumber
from fn_notifications.domain.preferences import Source


def _converter() -> Converter:
    """Strict: no key too many, no number where text is expected, times with an offset."""
    converter = Converter(forbid_extra_keys=True)
    for kind in (str, int, bool):
        converter.register_structure_hook(kind, _exactly(kind))
    converter.register_structure_hook(Source, lambda raw, _: Source(_exactly(int)(raw, int)))
    converter.register_unstructure_hook(datetime, datetime.isoformat)
    converter.register_structure_hook(datetime, lambda raw, _: _instant(raw))
    converter.register_unstructure_hook(time, time.isoformat)
    converter.register_structure_hook(time, lambda raw, _: time.fromisoformat(raw))
    converter.register_unstructure_hook(timedelta, timedelta.total_seconds)
    converter.register_structure_hook(timedelta, lambda raw, _: timedelta(seconds=raw))
    converter.register_unstructure_hook(EmailAddress, lambda address: {"email": address.value})
    converter.register_unstructure_hook(PhoneNumber, lambda address: {"phone": address.value})
    converter.register_structure_hook_func(lambda kind: kind == Address | None, lambda raw, _: _address(raw))
    return converter


_ADDRESSES: Final[Mapping[str, Callable[[str], Address]]] = MappingProxyType(
    {"email": EmailAddress, "phone": PhoneNumber}
)


@frozen
class DossierFormat:
    """Writes and reads dossiers."""

    _converter: Converter = field(factory=_converter, init=False, repr=False)

    def write(self, dossier: Dossier) -> bytes:
        """A dossier as JSON. Raises TypeError when a profile holds what JSON has no form for."""
        return json.dumps(self._converter.unstructure(dossier), separators=(",", ":")).encode()

    def read(self, raw: bytes) -> Dossier:
        """The dossier that was written. Raises some exception for anything else: there is no telling which."""
        return self._converter.structure(json.loads(raw), Dossier)


def _exactly(kind: type) -> Callable[[Any, Any], Any]:
    def read(raw: Any, _: Any) -> Any:
        if type(raw) is not kind:
            raise ValueError(f"expected {kind.__name__}")
        return raw

    return read


def _instant(raw: str) -> datetime:
    instant = datetime.fromisoformat(raw)
    if instant.tzinfo is None:
        raise ValueError("expected a time with an offset")
    return instant


def _address(raw: Any) -> Address | None:
    if raw is None:
        return None
    ((kind, value),) = raw.items()
    return _ADDRESSES[kind](value)
