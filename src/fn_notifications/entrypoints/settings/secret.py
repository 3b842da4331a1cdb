"""Values that must not be seen, and the keys made from one of them."""

import hmac
from hashlib import sha256
from typing import Generic, TypeVar

from attrs import frozen

Hidden = TypeVar("Hidden", str, bytes)


@frozen(repr=False)
class Secret(Generic[Hidden]):
    """A credential. It prints as stars, whichever way it is printed; only `reveal` gives it away."""

    _value: Hidden

    def reveal(self) -> Hidden:
        """The credential itself, for the one call that needs it."""
        return self._value

    def __repr__(self) -> str:
        return "Secret(***)"


def derive(base: Secret[str], purpose: str) -> Secret[bytes]:
    """A 32-byte key of its own for each purpose: HMAC-SHA256 of the purpose under the base.

    Knowing one derived key tells nothing about the base or the others, so a leaked session key opens no address.
    """
    return Secret(hmac.digest(base.reveal().encode(), f"fn-notifications/{purpose}/1".encode(), sha256))
