"""Sealing by AES-256-GCM.

Sealed bytes: version (1 byte), length of the key id (1), key id, nonce (12), ciphertext with its 16-byte tag. What
stands before the nonce is authenticated together with the context, so no bit of it can be changed unnoticed.
"""

import hmac
import os
from collections.abc import Mapping
from hashlib import sha256
from typing import Final

from attrs import field, frozen
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from fn_notifications.adapters.vault.keys import Keys
from fn_notifications.application.ports.vault import LOOKUP_SIZE, VaultError

_VERSION: Final = 1
_NONCE_SIZE: Final = 12


@frozen
class AesVault:
    """A vault whose keys are given.

    Nonces are random: one key seals at most 2**32 values before it must be rotated (NIST SP 800-38D §8.3).
    """

    keys: Keys
    _ciphers: Mapping[bytes, AESGCM] = field(init=False, repr=False)

    @_ciphers.default
    def _ciphers_of_keys(self) -> Mapping[bytes, AESGCM]:
        return {_header(key_id): AESGCM(key) for key_id, key in self.keys.sealing}

    def seal(self, plain: bytes, context: bytes) -> bytes:
        """See `Vault`."""
        header, cipher = next(iter(self._ciphers.items()))
        nonce = os.urandom(_NONCE_SIZE)
        return header + nonce + cipher.encrypt(nonce, plain, header + context)

    def open(self, sealed: bytes, context: bytes) -> bytes:
        """See `Vault`."""
        if len(sealed) < 2 or sealed[0] != _VERSION:
            raise VaultError("these bytes were not sealed here")
        end = 2 + sealed[1]
        header, nonce, body = sealed[:end], sealed[end : end + _NONCE_SIZE], sealed[end + _NONCE_SIZE :]
        cipher = self._ciphers.get(bytes(header))
        if cipher is None:
            raise VaultError("sealed under a key that is not held")
        try:
            return cipher.decrypt(nonce, body, header + context)
        except (InvalidTag, ValueError):
            raise VaultError("tampered with, or of another context") from None

    def lookup(self, kind: str, normalised: str) -> bytes:
        """See `Vault`. The kind is preceded by its length, so that kind and text cannot run into each other."""
        named = kind.encode()
        framed = len(named).to_bytes(4, "big") + named + normalised.encode()
        return hmac.digest(self.keys.lookup, framed, sha256)[:LOOKUP_SIZE]


def _header(key_id: str) -> bytes:
    encoded = key_id.encode()
    return bytes((_VERSION, len(encoded))) + encoded
