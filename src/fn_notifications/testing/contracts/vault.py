"""What every `Vault` keeps to. Subclass, provide the `subject` fixture, and pytest runs the rules."""

from typing import Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fn_notifications.application.ports.vault import LOOKUP_SIZE, Vault, VaultError
from fn_notifications.testing.properties import over_subjects

_PLAIN: Final = b"canary@example.com"
_CONTEXT: Final = b"contact_points:default:u-1:email"


class VaultContract:
    """Rules for sealing and for look-ups."""

    @over_subjects
    @given(plain=st.binary(max_size=200), context=st.binary(max_size=60))
    def test_what_is_sealed_opens(self, subject: Vault, plain: bytes, context: bytes) -> None:
        """Any bytes come back for their own context, the empty ones too."""
        assert subject.open(subject.seal(plain, context), context) == plain

    def test_sealed_bytes_tell_nothing(self, subject: Vault) -> None:
        """What was sealed cannot be read in them, nor the context, nor whether two are the same."""
        one, other = subject.seal(_PLAIN, _CONTEXT), subject.seal(_PLAIN, _CONTEXT)
        assert one != other
        assert not any(part in one for part in (_PLAIN, _PLAIN[:8], _CONTEXT))

    def test_another_context_does_not_open(self, subject: Vault) -> None:
        """Sealed bytes that were moved elsewhere are worth nothing."""
        sealed = subject.seal(_PLAIN, _CONTEXT)
        for context in (b"", _CONTEXT + b" ", _CONTEXT[:-1], _CONTEXT.replace(b"u-1", b"u-2")):
            with pytest.raises(VaultError):
                subject.open(sealed, context)

    def test_no_bit_can_be_changed(self, subject: Vault) -> None:
        """Every single flipped bit is noticed."""
        sealed = subject.seal(_PLAIN, _CONTEXT)
        for bit in range(len(sealed) * 8):
            forged = bytearray(sealed)
            forged[bit // 8] ^= 1 << bit % 8
            with pytest.raises(VaultError):
                subject.open(bytes(forged), _CONTEXT)

    def test_no_byte_can_be_missing_or_added(self, subject: Vault) -> None:
        """Every shorter and longer form is refused."""
        sealed = subject.seal(_PLAIN, _CONTEXT)
        for forged in (*(sealed[:length] for length in range(len(sealed))), sealed + b"\0", b"\0" + sealed):
            with pytest.raises(VaultError):
                subject.open(forged, _CONTEXT)

    @over_subjects
    @given(sealed=st.binary(max_size=80))
    def test_strange_bytes_are_refused(self, subject: Vault, sealed: bytes) -> None:
        """Bytes that nobody sealed do not open, and do not break anything either."""
        with pytest.raises(VaultError):
            subject.open(sealed, _CONTEXT)

    def test_the_refusal_and_the_repr_say_nothing(self, subject: Vault) -> None:
        """Neither holds what was sealed."""
        with pytest.raises(VaultError) as refused:
            subject.open(subject.seal(_PLAIN, _CONTEXT), b"elsewhere")
        assert "canary" not in f"{refused.value} {subject!r} {subject}"

    def test_equal_texts_are_found(self, subject: Vault) -> None:
        """The same kind and text hash to the same bytes, of the size everybody stores."""
        one = subject.lookup("email", "ana@example.com")
        assert one == subject.lookup("email", "ana@example.com")
        assert (type(one), len(one)) == (bytes, LOOKUP_SIZE)

    def test_different_texts_are_told_apart(self, subject: Vault) -> None:
        """Kinds do not meet, and kind and text do not run into each other."""
        pairs = [("email", "ana@example.com"), ("email", "bo@example.com"), ("phone", "ana@example.com")]
        pairs += [("emaila", "na@example.com"), ("", "emailana@example.com"), ("email", "")]
        assert len({subject.lookup(kind, text) for kind, text in pairs}) == len(pairs)

    def test_a_hash_tells_nothing(self, subject: Vault) -> None:
        """The text is not to be read in it."""
        assert not subject.lookup("phone", "+15005550006").startswith((b"phone", b"+15"))
