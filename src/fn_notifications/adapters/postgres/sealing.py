"""JSON in and out of sealed columns. The context names table and row: sealed bytes moved elsewhere do not open."""

import json
from typing import Any, Final

from attrs import frozen

from fn_notifications.adapters.postgres.rows import dumps
from fn_notifications.application.ports.vault import Vault
from fn_notifications.domain.address import Address, EmailAddress, PhoneNumber

_JSON: Final = json.JSONDecoder()


@frozen
class Seals:
    """The vault, as the stores use it."""

    vault: Vault

    def seal(self, plain: bytes, *row: str) -> bytes:
        """Seal bytes for a row: its table and key."""
        return self.vault.seal(plain, _context(row))

    def open(self, sealed: bytes, *row: str) -> bytes:
        """What `seal` sealed for this row. Raises `VaultError` when it was not."""
        return self.vault.open(sealed, _context(row))

    def seal_json(self, value: Any, *row: str) -> bytes:
        """Seal a JSON document. Raises `Refused` when it cannot be one."""
        return self.seal(dumps(value).encode(), *row)

    def open_json(self, sealed: bytes, *row: str) -> Any:
        """What `seal_json` sealed for this row. Raises `VaultError` when it was not."""
        value, _ = _JSON.raw_decode(self.open(sealed, *row).decode())
        return value

    def seal_address(self, address: Address, *row: str) -> bytes:
        """Seal an address."""
        return self.seal(address.value.encode(), *row)

    def open_address(self, sealed: bytes, *row: str) -> Address:
        """What `seal_address` sealed for this row."""
        value = self.open(sealed, *row).decode()
        return EmailAddress(value) if "@" in value else PhoneNumber(value)

    def lookup(self, address: Address) -> bytes:
        """What equal addresses have in common; a number is the same one on every channel."""
        return self.vault.lookup("email" if isinstance(address, EmailAddress) else "phone", address.lookup)


def _context(row: tuple[str, ...]) -> bytes:
    return "\0".join(row).encode()  # what a text column holds has no NUL
