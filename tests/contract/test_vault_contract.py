"""Both vaults keep to the contract, the contract notices those that do not, and keys can be rotated."""

import hashlib

import pytest

from fn_notifications.adapters.memory.vault import MemoryVault
from fn_notifications.adapters.vault.aes import AesVault
from fn_notifications.adapters.vault.keys import Keys, derive_keys
from fn_notifications.application.errors import Misconfigured
from fn_notifications.application.ports.vault import LOOKUP_SIZE, VaultError
from fn_notifications.testing.contracts.vault import VaultContract
from fn_notifications.testing.planted import broken_rules

OLD, NEW, LOOKUP = bytes(range(32)), bytes(range(1, 33)), b"l" * 32


def vault(*sealing):
    return AesVault(Keys(sealing=sealing, lookup=LOOKUP))


class TestMemoryVault(VaultContract):
    @pytest.fixture
    def subject(self):
        return MemoryVault()


class TestAesVault(VaultContract):
    @pytest.fixture
    def subject(self):
        return vault(("2026-06", NEW), ("2025-01", OLD))

    def test_the_format_is_the_documented_one(self):
        sealed = vault(("k1", NEW)).seal(b"12345", b"c")
        assert sealed[:4] == b"\x01\x02k1"
        assert len(sealed) == 4 + 12 + 5 + 16

    def test_the_context_and_the_key_id_cannot_trade_bytes(self):
        """What is authenticated is framed: moving a byte from the id to the context does not open."""
        sealed = vault(("k1", NEW)).seal(b"plain", b"c")
        moved = b"\x01\x01k" + sealed[4:]
        with pytest.raises(VaultError):
            vault(("k", NEW)).open(moved, b"1c")


class TestRotation:
    def test_the_newest_key_seals_and_all_open(self):
        before, after = vault(("old", OLD)), vault(("new", NEW), ("old", OLD))
        sealed = before.seal(b"plain", b"c")
        assert after.open(sealed, b"c") == b"plain"
        assert b"new" in after.seal(b"plain", b"c")
        with pytest.raises(VaultError, match="not held"):
            before.open(after.seal(b"plain", b"c"), b"c")

    def test_a_dropped_key_opens_nothing_any_more(self):
        sealed = vault(("old", OLD)).seal(b"plain", b"c")
        with pytest.raises(VaultError, match="not held"):
            vault(("new", NEW)).open(sealed, b"c")

    def test_a_key_under_another_id_is_another_key(self):
        """The id is authenticated: relabelling sealed bytes does not open them, even where the key is the same."""
        sealed = vault(("a", OLD)).seal(b"plain", b"c")
        relabelled = sealed.replace(b"\x01\x01a", b"\x01\x01b", 1)
        with pytest.raises(VaultError):
            vault(("b", OLD)).open(relabelled, b"c")

    def test_look_ups_do_not_change(self):
        before, after = vault(("old", OLD)), vault(("new", NEW), ("old", OLD))
        assert before.lookup("email", "a@example.com") == after.lookup("email", "a@example.com")

    def test_look_ups_need_the_key(self):
        other = AesVault(Keys(sealing=(("a", OLD),), lookup=b"m" * 32))
        assert other.lookup("email", "a@example.com") != vault(("a", OLD)).lookup("email", "a@example.com")


class TestKeys:
    def test_one_secret_makes_keys_that_have_nothing_in_common(self):
        keys = derive_keys(b"s" * 32)
        ((key_id, key),) = keys.sealing
        assert len({key, keys.lookup, b"s" * 32}) == 3
        assert derive_keys(b"s" * 32) == keys
        assert derive_keys(b"t" * 32).sealing[0][0] != key_id

    def test_a_derived_secret_can_be_rotated(self):
        old, new = derive_keys(b"s" * 32), derive_keys(b"t" * 32)
        both = AesVault(Keys(sealing=new.sealing + old.sealing, lookup=old.lookup))
        assert both.open(AesVault(old).seal(b"plain", b"c"), b"c") == b"plain"
        assert both.lookup("phone", "+15005550006") == AesVault(old).lookup("phone", "+15005550006")

    def test_derivation_never_changes(self):
        """Everything ever sealed depends on it."""
        keys = derive_keys(b"s" * 32)
        whole = hashlib.sha256(keys.sealing[0][0].encode() + keys.sealing[0][1] + keys.lookup).hexdigest()
        assert whole == "d264e0babb775069c7e37579bf621404dc7e6a9942b3f0bf3f60c208ea803a14"

    @pytest.mark.parametrize(
        "sealing",
        [
            (),
            (("a", b"short"),),
            (("", OLD),),
            (("x" * 65, OLD),),
            (("sp ace", OLD),),
            (("a", OLD), ("a", NEW)),
        ],
    )
    def test_what_cannot_be_keys_is_refused(self, sealing):
        with pytest.raises(Misconfigured):
            Keys(sealing=sealing, lookup=LOOKUP)

    def test_a_short_look_up_key_is_refused(self):
        with pytest.raises(Misconfigured):
            Keys(sealing=(("a", OLD),), lookup=b"short")

    def test_keys_are_not_shown(self):
        shown = repr(vault(("a", OLD)))
        assert repr(OLD)[2:10] not in shown
        assert "llll" not in shown


class _Plaintext(MemoryVault):
    """Seals nothing."""

    def seal(self, plain, context):
        return super().seal(plain, context) + plain

    def open(self, sealed, context):
        ticket = sealed[: len(super().seal(b"", b""))]
        return super().open(ticket, context)


class _AnyContext(MemoryVault):
    """Ignores whose it is."""

    def seal(self, plain, context):
        del context
        return super().seal(plain, b"")

    def open(self, sealed, context):
        del context
        return super().open(sealed, b"")


class _Repeatable:
    """Always the same nonce: equality shows."""

    def __init__(self):
        self.kept = {}

    def seal(self, plain, context):
        ticket = hashlib.sha256(len(plain).to_bytes(4, "big") + plain + context).digest()
        self.kept[ticket, context] = plain
        return ticket

    def open(self, sealed, context):
        try:
            return self.kept[sealed, context]
        except KeyError:
            raise VaultError("no") from None

    def lookup(self, kind, normalised):
        return MemoryVault().lookup(kind, normalised)


class _Malleable(MemoryVault):
    """Authenticates all but the last byte."""

    def seal(self, plain, context):
        return super().seal(plain, context) + b"\0"

    def open(self, sealed, context):
        return super().open(sealed[:-1], context)


class _RunTogether(MemoryVault):
    """Does not frame what it hashes."""

    def lookup(self, kind, normalised):
        return hashlib.sha256((kind + normalised).encode()).digest()[:LOOKUP_SIZE]


class _Talkative(MemoryVault):
    """Quotes what it could not give out."""

    def open(self, sealed, context):
        try:
            return super().open(sealed, context)
        except VaultError:
            raise VaultError(f"not for you: {self._kept.get(sealed)}") from None


@pytest.mark.parametrize(
    ("broken", "rule"),
    [
        (_Plaintext(), "test_sealed_bytes_tell_nothing"),
        (_AnyContext(), "test_another_context_does_not_open"),
        (_Repeatable(), "test_sealed_bytes_tell_nothing"),
        (_Malleable(), "test_no_bit_can_be_changed"),
        (_RunTogether(), "test_different_texts_are_told_apart"),
        (_Talkative(), "test_the_refusal_and_the_repr_say_nothing"),
    ],
)
def test_the_contract_rejects(broken, rule):
    assert rule in broken_rules(VaultContract, broken)


def test_the_contract_accepts_what_is_whole():
    assert not broken_rules(VaultContract, MemoryVault())
