"""A vault for the base install, which has no cipher: it gives out tickets and keeps the things themselves."""

import hmac
from hashlib import sha256
from typing import Final

from attrs import field, frozen

from fn_notifications.application.ports.vault import LOOKUP_SIZE, VaultError

_TICKET: Final = b"in-memory\0"


@frozen
class MemoryVault:
    """Sealed bytes are a ticket; what they stand for lies in this object in clear and goes with it.

    So nothing readable reaches a store, and nothing outlives the process: fit for tests, simulations and stores that
    are in memory themselves. It encrypts nothing and does not claim to.
    """

    key: bytes = field(default=b"in-memory", repr=False)
    """For look-ups and tickets."""
    _kept: dict[bytes, tuple[bytes, bytes]] = field(factory=dict, init=False, repr=False)

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """See `Vault`."""
        number = len(self._kept).to_bytes(8, "big")
        ticket = _TICKET + self._hash(b"ticket", number)
        self._kept[ticket] = (bytes(plain), bytes(context))
        return ticket

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """See `Vault`."""
        plain, sealed_for = self._kept.get(bytes(sealed), (b"", None))
        if sealed_for is None or sealed_for != context:
            raise VaultError("nothing was sealed here as these bytes, for this context")
        return plain

    def lookup(self, kind: str, normalised: str) -> bytes:
        """See `Vault`."""
        return self._hash(kind.encode(), normalised.encode())

    def _hash(self, kind: bytes, data: bytes) -> bytes:
        framed = len(kind).to_bytes(4, "big") + kind + data
        return hmac.digest(self.key, framed, sha256)[:LOOKUP_SIZE]
