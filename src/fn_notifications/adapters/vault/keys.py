"""The keys a vault works with, and how one secret becomes all of them."""

import re
from typing import Final

from attrs import field, frozen
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from fn_notifications.application.errors import Misconfigured

KEY_SIZE: Final = 32
_KEY_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,64}")


@frozen(kw_only=True)
class Keys:
    """`sealing`: (id, key) pairs, newest first: the first seals, all of them open. `lookup` never changes.

    To rotate, put a new pair in front, reseal what there is, then drop the old pair. Another `lookup` key would
    forget every suppression. Raises `Misconfigured` when these cannot be keys.
    """

    sealing: tuple[tuple[str, bytes], ...] = field(repr=False)
    lookup: bytes = field(repr=False)

    def __attrs_post_init__(self) -> None:
        ids = [key_id for key_id, _ in self.sealing]
        if not ids or len(set(ids)) != len(ids):
            raise Misconfigured("a vault needs at least one sealing key, each under an id of its own")
        if not all(_KEY_ID.fullmatch(key_id) for key_id in ids):
            raise Misconfigured("a sealing key's id is 1 to 64 letters, digits, dots, hyphens or underscores")
        if any(len(key) != KEY_SIZE for _, key in self.sealing) or len(self.lookup) != KEY_SIZE:
            raise Misconfigured(f"a vault's keys are {KEY_SIZE} bytes each")


def derive_keys(secret: bytes) -> Keys:
    """Keys for whoever configured a single secret: one to seal, one to look up, by HKDF-SHA256 (RFC 5869).

    The sealing key's id is derived too, so that sealed bytes say which secret they need. To change the secret later,
    keep the old keys: `Keys(sealing=derive_keys(new).sealing + old.sealing, lookup=old.lookup)`.
    """
    key_id = _derive(secret, b"sealing key id", 4).hex()
    return Keys(sealing=((f"d-{key_id}", _derive(secret, b"sealing key")),), lookup=_derive(secret, b"look-up key"))


def _derive(secret: bytes, purpose: bytes, size: int = KEY_SIZE) -> bytes:
    info = b"fn-notifications/vault/1/" + purpose
    return HKDF(algorithm=SHA256(), length=size, salt=None, info=info).derive(secret)
