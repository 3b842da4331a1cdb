"""What keeps personal data unreadable at rest, and still findable."""

from typing import Final, Protocol

from fn_notifications.application.errors import PortError

LOOKUP_SIZE: Final = 16
"""Bytes of a look-up hash: enough that two addresses never share one."""


class VaultError(PortError):
    """Sealed bytes could not be opened: tampered with, of another context, or under a key we do not hold."""


class Vault(Protocol):
    """Seals, opens, and hashes for look-up."""

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """Bytes that only `open` with the same context turns back; they name the key they need.

        Sealing the same twice gives different bytes: equality does not show. `context` says what and whose this is
        (a table, a row), so that sealed bytes moved elsewhere do not open; it is not secret and not stored.
        """
        ...

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """What was sealed. Raises `VaultError` when these are not exactly the bytes sealed for this context.

        Opens what older keys sealed, as long as they are still held.
        """
        ...

    def lookup(self, kind: str, normalised: str) -> bytes:
        """`LOOKUP_SIZE` bytes that are equal for equal (kind, text) and tell nothing of the text without the key.

        The same for ever: a new sealing key does not change it.
        """
        ...
